"""What `./invoke keys.…` does: Sparkle keys made, shown, moved, and their rotation planned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from appcast.history import Identity, identities
from commands import Runner, Subprocess
from errors import Fault
from release import published
from release.config import Config
from release.continuity import FEED_PATIENCE, Outlook, Signers, outlook, require_continuity, signers
from release.continuity import certificate_digest as digest_of
from release.services import Services, placed
from signing import eddsa, eddsa_keys

if TYPE_CHECKING:
    from rich.console import Console


def generate(config: Config, to: str = "", *, runner: Runner | None = None) -> str:
    """Make a key at `to`, or where the profile expects it; return its public half. Never overwrites."""
    return eddsa_keys.create(_at(config, to), runner=runner)


def show(config: Config, key: str = "", *, runner: Runner | None = None) -> str:
    """Return the public half of a key: the profile's, or the one at `key`."""
    return eddsa.public_key(eddsa.load(_at(config, key), environ=os.environ, runner=runner))


def export(config: Config, path: Path, key: str = "", *, runner: Runner | None = None) -> str:
    """Copy a private key to a new file, mode 0600; return its public half."""
    return eddsa_keys.export(_at(config, key), path, environ=os.environ, runner=runner)


def import_key(config: Config, source: str, to: str = "", *, runner: Runner | None = None) -> str:
    """Keep the key at `source`, a path or a URI, at `to` or where the profile expects it."""
    if source.partition(":")[0] not in ("env", "file", "keychain"):
        source = f"file:{Path(source).resolve()}"
    return eddsa_keys.import_key(source, _at(config, to), environ=os.environ, runner=runner)


@dataclass(frozen=True, slots=True)
class Plan:
    """A rotation: who is installed, what the next release and those after it mean to them, what to do."""

    now: Signers
    handover: tuple[Outlook, ...]
    after: tuple[Outlook, ...]
    steps: tuple[str, ...]


def rotate(config: Config, new_key: str = "", certificate: Path | None = None) -> Plan:
    """Plan a change to the key at `new_key` (a URI) or to a new certificate (PEM), from what is published.

    Raises RotationFault if both would change in the same release, and whatever reading keys and feed raises.
    """
    with _services(config) as services:
        public = published.feed(config, services)
        now = signers(config, services)
        past = identities(public) if public else ()
        key = show(config, new_key) if new_key else now.key
        new = replace(now, key=key)
        if certificate is not None:
            new = replace(new, certificate=_digest(certificate))
        retiring = services.retiring_public_key
    return plan(past, now, new, retiring)


def plan(past: tuple[Identity, ...], now: Signers, new: Signers, retiring: str | None) -> Plan:
    """Plan the way from `now` to `new` for the installed builds `past`; `retiring`: the key set as such."""
    installed = past[-1] if past else None
    if installed is not None and installed.public_key != new.key:  # the next release hands over
        first = replace(new, signing_key=installed.public_key)
    else:
        first = replace(new, signing_key=new.key)
    require_continuity(installed, first)
    last = replace(new, signing_key=new.key)
    return Plan(
        now,
        tuple(outlook(one, first) for one in past),
        tuple(outlook(one, last) for one in past),
        tuple(_steps(installed, new, retiring)),
    )


def print_plan(planned: Plan, console: Console) -> None:
    """Show who can still update, and what to do."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("installed builds", "key", "team", "the next release", "those after it"):
        table.add_column(column)
    for next_one, later in zip(planned.handover, planned.after, strict=True):
        one = next_one.installed
        builds = one.first if one.first == one.last else f"{one.first} – {one.last}"
        table.add_row(builds, f"{one.public_key[:12]}…", one.team or "none", _say(next_one), _say(later))
    console.print(table if planned.handover else "nothing is on record yet: no release has been published")
    for number, step in enumerate(planned.steps, 1):
        console.print(f"{number}. {step}", highlight=False, markup=False)


def _say(seen: Outlook) -> str:
    return f"{seen.way}: {seen.why}"


def _steps(installed: Identity | None, new: Signers, retiring: str | None) -> Iterator[str]:
    if installed is None:
        yield "Publish a release first: installed apps decide what may change."
    elif installed.public_key != new.key:
        yield from _before_handover(new, configured=retiring == installed.public_key)
    elif retiring not in (None, new.key):
        yield from _after_handover(installed)
    elif new.certificate not in (None, installed.certificate):
        yield "Release with the new certificate and the same key: every installed app accepts that at once."
        yield "Leave the key as it is until that release has reached everybody."
    else:
        yield "Nothing changes. Make a key (./invoke keys.generate --to URI) and name it with --new-key."


def _before_handover(new: Signers, *, configured: bool) -> Iterator[str]:
    if not configured:
        yield "Keep both keys, each with a copy somewhere safe (./invoke keys.export)."
        yield (
            "In release.toml set sparkle.private_key to the new key, sparkle.public_key to"
            f" {new.key}, and sparkle.retiring_key to where sparkle.private_key points now."
        )
    yield (
        "Release once, with the same certificate. That release hands over: the app in it trusts the new key,"
        " archive and feed are signed with the old one, so everybody is offered it at once. Apps that have it"
        f" take nothing from this feed for {FEED_PATIENCE} days: let the next release follow before that."
    )
    yield "Run ./invoke keys.rotate again: it says how to retire the old key."


def _after_handover(installed: Identity) -> Iterator[str]:
    handover = installed.first
    if installed.first == installed.last:
        yield (
            f"Build {handover} has handed over. Once most users have it, release again: that is signed with"
            f' the new key. Set feed.minimum_update_version = "{handover}", so that those who are late take'
            " the handover first."
        )
    yield (
        "When a release signed with the new key is public, take sparkle.retiring_key out of release.toml."
        " Keep the old key in a safe place until nobody is left on it."
    )


def _at(config: Config, uri: str) -> str:
    return placed(uri or config.profile.sparkle.private_key, config.root, config.root / "dist")


def _digest(certificate: Path) -> str:
    try:
        return digest_of(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise Fault("the certificate cannot be read", where=certificate, cure="give a PEM file") from error


@contextmanager
def _services(config: Config) -> Iterator[Services]:
    from release.places import world

    with Services(config, world(config), Subprocess(), 0) as services:
        yield services
