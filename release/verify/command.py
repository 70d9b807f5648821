"""What `./invoke verify` does: find out what is known beforehand, and look."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release import verify_mac
from release.config import Config, load
from release.places import world
from release.services import Services
from release.verification import Verification
from release.verify.expected import Expected
from release.verify.site import Hosts, verify_site
from signing import secrets
from signing.eddsa_keys import KEY_BYTES, decode


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. `url`: another site than the profile's. `key`: base64."""

    profile: str = "rehearsal"
    url: str = ""
    key: str = ""
    hosts: str = "default"
    keep: Path | None = None
    dist: Path | None = None


def verify(root: Path, wish: Wish, runner: Runner) -> Verification:
    """Verify the site of a profile, or any other. Raises Fault USAGE, NETWORK, INPUT_MISSING."""
    import requests

    hosts = _hosts(wish.hosts)
    config = load(root, wish.profile)
    site = wish.url.rstrip("/") or config.site
    _require_address(site)
    key = _key(wish.key)
    if wish.keep is not None:
        _require_empty(wish.keep)
    with ExitStack() as stack:
        workdir = wish.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-")))
        if site == config.site and config.rehearsal:
            services = stack.enter_context(_rehearsed(config, runner, wish.dist))
            session, expected = services.public_session(), _rehearsal(services, key)
        else:
            session = stack.enter_context(requests.Session())
            expected = _production(config, runner, key) if site == config.site else Expected(signed_by=key)
        return verify_site(
            site,
            session=session,
            workdir=workdir,
            expected=expected,
            hosts=hosts,
            mac=verify_mac.here(runner, apple=not config.rehearsal or site != config.site),
            keep=wish.keep is not None,
        )


def _hosts(text: str) -> Hosts:
    if text == "default":
        return "default"
    if text == "all":
        return "all"
    raise Fault(f"there is no --hosts {text}", cure="--hosts default or all", status=Exit.USAGE)


def _require_address(site: str) -> None:
    if not site.startswith(("http://", "https://")):
        raise Fault(f"{site!r} is no site", cure="--url https://…", status=Exit.USAGE)


def _require_empty(folder: Path) -> None:
    """Refuse a folder that has something in it: it is emptied first."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Fault("the folder is not empty", where=folder, cure="name a new one", status=Exit.USAGE)


def _key(text: str) -> str | None:
    if not text:
        return None
    if len(decode(text, "the key")) != KEY_BYTES:
        raise Fault("--key is no public EdDSA key", cure="44 characters, as SUPublicEDKey", status=Exit.USAGE)
    return text


def _production(config: Config, runner: Runner, key: str | None) -> Expected:
    """Return what the profile tells about its own site; no private key is asked for."""

    def known(text: str | None) -> str | None:
        if text and text.startswith("env:"):
            return secrets.read(text, runner=runner) if secrets.present(text) else None
        return text

    profile = config.profile
    return Expected(
        app_name=config.app.name,
        key=known(profile.sparkle.public_key),
        signed_by=key,
        team=known(profile.signing.team_id),
    )


def _rehearsal(services: Services, key: str | None) -> Expected:
    """Return what a rehearsal in this checkout knows: its own key and identity."""
    return Expected(
        app_name=services.config.app.name,
        trust=services.trust,
        key=services.sparkle_public_key,
        signed_by=key,
    )


def _rehearsed(config: Config, runner: Runner, dist: Path | None) -> Services:
    """Return what stands in for the outside in a rehearsal, once there has been one."""
    home = world(config, dist)
    if not (home.rehearsal / "bucket").is_dir():
        raise Fault(
            "nothing has been published by a rehearsal here",
            where=home.rehearsal,
            cure="./invoke release first, or name a site: --url https://…",
            status=Exit.INPUT_MISSING,
        )
    return Services(config, home, runner, 0)
