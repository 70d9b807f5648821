"""What would sign without a word and not hold, or fail half-way: looked for before anything is signed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import Exit, Fault
from signing import bundle as bundles
from signing import macho, resources
from signing.binary import Malformed
from signing.bundle import Bundle

SHOWN = 20
CURES = {
    Exit.PLIST: "repair the property list or build the bundle again",
    Exit.LINK: "make the link relative and let it lead to something inside of the bundle, or leave it out",
    Exit.SIGN: "leave the file out of the bundle or move it: data belongs in Contents/Resources",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something cannot be signed; `status` is the exit status of its kind."""

    path: str
    what: str
    status: Exit


def require(app: Path) -> None:
    """Raise a Fault listing all findings of the gravest kind: property lists, then links, then the rest."""
    found = list(findings(app))
    for status in (Exit.PLIST, Exit.LINK, Exit.SIGN):
        lines = [f"{each.path}: {each.what}" for each in found if each.status == status]
        if lines:
            more = (f"… and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
            raise Fault(
                "the bundle cannot be signed as it is",
                where=app,
                cure=CURES[status],
                status=status,
                details=(*lines[:SHOWN], *more),
            )


def findings(app: Path) -> Iterator[Finding]:
    """Everything in `app` that keeps it from being signed."""
    yield from _tree(app)
    try:
        bundle = bundles.load(app)
    except Fault as fault:
        yield _finding(app, app, fault)
        return
    yield from _bundle(bundle, app)


def _finding(path: Path, app: Path, fault: Fault) -> Finding:
    status = fault.status if fault.status in CURES else Exit.SIGN
    return Finding(_name(path, app), fault.what, status)


def _name(path: Path, app: Path) -> str:
    return path.relative_to(app).as_posix()


def _tree(app: Path) -> Iterator[Finding]:
    for folder, folders, files in os.walk(app):
        for entry in sorted((*folders, *files)):
            path = Path(folder) / entry
            if not entry.isascii():
                what = "has a name that is not ASCII: disk images store it in another form than the seal"
                yield Finding(_name(path, app), what, Exit.SIGN)
            if path.is_symlink():
                yield from _link(path, app)


def _link(path: Path, app: Path) -> Iterator[Finding]:
    target = path.readlink()
    end = Path(os.path.realpath(path))  # through other links, too
    if target.is_absolute() or not end.is_relative_to(os.path.realpath(app)):
        yield Finding(_name(path, app), f"leads out of the bundle, to {target}", Exit.LINK)
    elif not path.exists():
        yield Finding(_name(path, app), f"leads nowhere: {target}", Exit.LINK)


def _bundle(bundle: Bundle, app: Path) -> Iterator[Finding]:
    if bundle.is_framework and bundles.other_versions(bundle):
        yield Finding(
            _name(bundle.root, app), "has more than one version: only the current is signed", Exit.SIGN
        )
    for thing in resources.found(bundle, resources.standard_seal()):
        if thing.kind == "nested" and not _is_code(thing.path):
            kind = "folder with a dot in its name" if thing.path.is_dir() else "file"
            yield Finding(_name(thing.path, app), f"is a {kind} where only code is sealed", Exit.SIGN)
    for path in _machos(bundle):
        yield from _room(path, app)
    for code in bundles.code(bundle):
        if code.is_bundle:
            try:
                yield from _bundle(bundles.load(code.path), app)
            except Fault as fault:
                yield _finding(code.path, app, fault)


def _is_code(path: Path) -> bool:
    return bundles.is_bundle(path) if path.is_dir() else macho.is_macho(path)


def _machos(bundle: Bundle) -> Iterator[Path]:
    if bundle.executable is not None and bundle.executable.is_file():
        yield bundle.executable
    yield from (code.path for code in bundles.code(bundle) if not code.is_bundle)


def _room(path: Path, app: Path) -> Iterator[Finding]:
    """A signature needs a load command of its own, and there is not always room for one."""
    try:
        for part in macho.read(path):
            if part.signature() is None and part.header_room() < macho.SIGNATURE_COMMAND_SIZE:
                what = f"has no room in its {part.arch} header for a signature: thin it to one architecture"
                yield Finding(_name(path, app), what, Exit.SIGN)
    except Malformed as error:
        yield Finding(_name(path, app), error.what, Exit.SIGN)
