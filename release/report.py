"""What a run tells at its end: what ran, what was made, what was checked, and what was not."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

from release.progress import seconds_text
from release.verification import MACS

if TYPE_CHECKING:
    from rich.console import Console

    from release.config import Config
    from release.run import Done

_MAC_ONLY = "codesign's and hdiutil's own word, Bun under the hardened runtime: only a Mac has them"


def not_checked(*, rehearsal: bool, mac: bool) -> tuple[str, ...]:
    """Return what no run of this kind can find out on such a machine."""
    if not rehearsal:
        return () if mac else (_MAC_ONLY, "Gatekeeper: ./invoke verify --profile production on a Mac asks it")
    return (
        "Apple itself: notary, tickets and timestamps came from the local stand-in",
        "Gatekeeper: it accepts nothing that Apple has not notarized",
        *(() if mac else (_MAC_ONLY,)),
        "the real bucket and the public site: a local S3 server stood in",
    )


def closing(done: Done, console: Console) -> None:
    """Print the closing tables of a finished release."""
    from rich.table import Table

    rehearsal = " (rehearsal)" if done.config.rehearsal else ""
    ran = [one for one in done.outcomes if one.status == "ran"]
    total = sum(one.seconds for one in ran)
    console.print()
    console.print(
        f"[bold]{done.config.app.name} {done.version.version} ({done.version.build})[/]{rehearsal}: "
        f"{len(ran)} of {len(done.outcomes)} steps ran, {seconds_text(total)}",
        highlight=False,
    )
    if not done.complete:
        console.print("not finished: ./invoke release goes on from here", style="yellow")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("SHA-256", overflow="fold")
    for name, size, digest in files(done):
        table.add_row(name, size, digest)
    console.print(table)
    _verified(done, console)
    for line in not_checked(rehearsal=done.config.rehearsal, mac=sys.platform == "darwin"):
        console.print(f"  [yellow]not checked[/] {line}", highlight=False)


def files(done: Done) -> list[tuple[str, str, str]]:
    """The artifacts: path from the checkout, size, digest."""
    from release.files import sha256

    rows, places = [], done.places
    for path in (places.image, places.appcast, places.notes, places.sbom, places.provenance):
        if path.is_file():
            name = path.relative_to(places.dist.parent)
            known = done.journal.entries.get("staple")
            digest = known.facts["sha256"] if known and path == places.image else sha256(path)
            rows.append((str(name), f"{path.stat().st_size:,}", digest))
    return rows


def _verified(done: Done, console: Console) -> None:
    if not done.places.verification.is_file():
        return
    rows = json.loads(done.places.verification.read_text("utf-8"))["rows"]
    for group, checks in groupby(rows, key=lambda row: row["group"]):
        found = list(checks)
        passed = [row["name"] for row in found if row["ok"]]
        said = f"{len(passed)} kinds of Macs" if group == MACS else ", ".join(passed)
        console.print(f"  [green]verified[/]    {group}: {said}", highlight=False)
        for row in found:
            if row["ok"] is None:
                detail = row["detail"].removeprefix("not checked: ")
                console.print(f"  [yellow]not checked[/] {row['name']}: {detail}", highlight=False)


def configuration(config: Config, console: Console, environ: dict[str, str] | None = None) -> None:
    """Print what is in force: every key, and for a secret where it comes from and whether it is there."""
    from signing.secrets import present

    table = ""
    for key, value in flatten(config):
        group, _, name = key.partition(".")
        if group != table:
            table = group
            console.print(f"\n[bold]{table}[/]", highlight=False)
        note = ""
        if isinstance(value, str) and value.split(":")[0] in ("env", "file", "keychain"):
            note = {None: "  [yellow]can't be told[/]", True: "  [green]set[/]", False: "  [red]missing[/]"}[
                present(value, environ=environ)
            ]
        console.print(f"  {name:<22} {_toml(value)}{note}", highlight=False, soft_wrap=True)


def _toml(value: Any) -> str:
    """A value as release.toml writes it, safe for rich."""
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("[", "\\[")


def flatten(config: Config) -> list[tuple[str, Any]]:
    """Dotted keys and values, in the file's order; an input as `version digest`."""
    import msgspec

    rows: list[tuple[str, Any]] = [("profile", config.profile_name)]
    rows += [
        (key, getattr(config.profile, key)) for key in ("bundle_id_suffix", "require_clean", "require_tag")
    ]
    tables = {"app": config.app, "image": config.image, "feed": config.feed, "notes": config.notes}
    for name in ("signing", "notary", "sparkle", "publish"):
        tables[name] = getattr(config.profile, name)
    for table, values in tables.items():
        found = msgspec.structs.asdict(values).items()
        rows += [(f"{table}.{key}", value) for key, value in found if value is not None]
    for name, pin in config.inputs.items():
        rows.append((f"inputs.{name}", f"{pin['version']} {pin['digest'] or 'NOT PINNED'}"))
    return rows
