"""What is signed, in which order, with which identifier, flags and entitlements: as data.

Both executors take the same plan, and a dry run prints it. Everything is signed inside out and by name, never
with codesign's --deep: nested code keeps no option of its parent's and no entitlement of its vendor's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from errors import Exit, Fault
from signing import bundle as bundles
from signing import entitlements as rights
from signing import lint
from signing.bundle import Bundle
from signing.entitlements import Entitlements
from signing.verify import Report

RUNTIME_FLAGS = ("runtime",)
FIRST = ("Installer.xpc", "Downloader.xpc", "Autoupdate", "Updater.app", "Sparkle.framework")
"""Sparkle's own order; after it the loose Mach-O files, then all other bundles."""
RUNTIMES = ("Contents/Helpers/bun",)
"""What gets the entitlements of a JIT compiler."""


class BadPlan(Fault):
    """An app cannot be signed as it was asked for."""

    status = Exit.SIGN


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to sign. `path` counts from the app's folder and is empty for the app itself.

    A bundle's identifier is its CFBundleIdentifier: neither executor can give it another one.
    """

    path: str
    kind: Literal["macho", "bundle"]
    identifier: str
    flags: tuple[str, ...]
    entitlements: Entitlements


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to sign, inside out; the app is the last item."""

    items: tuple[Item, ...]


class Signer(Protocol):
    """Carries out a plan. Never in place: `dst` appears whole when everything went well."""

    def sign_app(self, plan: Plan, src: Path, dst: Path) -> None:
        """Sign the app at `src` by `plan` into `dst`."""
        ...

    def sign_image(self, src: Path, dst: Path, *, identifier: str) -> None:
        """Sign the disk image at `src` into `dst`."""
        ...


def plan_app(
    app: Path,
    *,
    runtimes: Collection[str] = RUNTIMES,
    app_entitlements: Entitlements = rights.NONE,
) -> Plan:
    """Plan the signing of `app`, after checking that everything in it can be signed.

    `runtimes` are the paths that get the entitlements of a JIT compiler; each must be there. Faults: PLIST,
    LINK, and SIGN for what would be left unsealed or cannot hold a signature.
    """
    lint.require(app)
    special = {**dict.fromkeys(runtimes, rights.JIT), "": app_entitlements}
    items = tuple(_items(bundles.load(app), app, special))
    absent = sorted(set(runtimes) - {item.path for item in items})
    if absent:
        raise BadPlan(
            f"there is no Mach-O to give a runtime's entitlements to: {', '.join(absent)}",
            where=app,
            cure="embed the runtime first, or name the right path",
        )
    return Plan(items)


def _items(bundle: Bundle, app: Path, special: Mapping[str, Entitlements]) -> Iterator[Item]:
    for code in sorted(bundles.code(bundle), key=_rank):
        if code.is_bundle:
            yield from _items(bundles.load(code.path), app, special)
        else:
            yield _item(code.path, app, "macho", canonical_identifier(code.path.name), special)
    if bundle.identifier is None:
        raise bundles.BadPlist(
            "has no CFBundleIdentifier", where=bundle.info, cure="give the bundle an identifier"
        )
    yield _item(bundle.root, app, "bundle", bundle.identifier, special)


def _rank(code: bundles.Code) -> tuple[int, str]:
    name = code.path.name
    if name in FIRST:
        return FIRST.index(name), ""
    return len(FIRST) + code.is_bundle, code.path.as_posix()


def _item(
    path: Path,
    app: Path,
    kind: Literal["macho", "bundle"],
    identifier: str,
    special: Mapping[str, Entitlements],
) -> Item:
    relative = path.relative_to(app).as_posix() if path != app else ""
    return Item(relative, kind, identifier, RUNTIME_FLAGS, special.get(relative, rights.NONE))


def canonical_identifier(name: str) -> str:
    """Derive the identifier codesign gives a loose file: its name without extension and minor version.

    The rule is that of Security's DiskRep: the last extension goes unless it starts with a digit; of trailing
    numbers the first stays: libfoo7.3.5.dylib is libfoo7, foo.2.3.4 is foo.2, libssl.3.dylib is libssl.3.
    """
    stem, dot, extension = name.rpartition(".")
    if dot and not extension[:1].isdigit() and extension:
        name = stem
    if name[:1].isdigit() or name[:1] in ("", "."):
        return name
    bare = name.rstrip("0123456789.")
    tail = name[len(bare) :]
    lead = "." if tail.startswith(".") else ""
    first = tail[len(lead) :].split(".")[0]
    return bare + lead + first


def describe(plan: Plan) -> tuple[tuple[str, str, str, str, str], ...]:
    """Rows for a table: number, path, identifier, flags, entitlements (by their last words)."""
    return tuple(
        (
            str(number),
            item.path or "(the app)",
            item.identifier,
            ",".join(item.flags),
            _words(item.entitlements),
        )
        for number, item in enumerate(plan.items, 1)
    )


def rules() -> tuple[tuple[str, str, str, str, str], ...]:
    """Rows as of `describe` for an app that is not there yet: by which rules it will be signed."""
    flags, none, own = ",".join(RUNTIME_FLAGS), _words(rights.NONE), "its own identifier"
    code = ", ".join(FIRST)
    rows = (
        (code, own, flags, none),
        *(
            (path, canonical_identifier(PurePosixPath(path).name), flags, _words(rights.JIT))
            for path in RUNTIMES
        ),
        ("all other Mach-O, by path", "its name without minor version", flags, none),
        ("all other bundles, by path, each after what is in it", own, flags, none),
        ("(the app)", own, flags, none),
    )
    return tuple((str(number), *row) for number, row in enumerate(rows, 1))


def _words(entitlements: Entitlements) -> str:
    return ", ".join(sorted(PurePosixPath(key.replace(".", "/")).name for key in entitlements)) or "none"


def deviations(plan: Plan, report: Report) -> tuple[str, ...]:
    """Where a signed app is not what the plan says: code left out or unplanned, identifier, flags, rights.

    `report` is the verification of the signed app; every slice has to be as planned.
    """
    planned = {item.path: item for item in plan.items}
    signed = {"" if each is report else each.subject: each for each in report.walk()}
    return (
        *(f"{path or 'the app'}: is planned and was not signed" for path in planned if path not in signed),
        *(f"{path}: was signed and is not planned" for path in signed if path not in planned),
        *(
            f"{path or 'the app'}: {what}"
            for path in planned
            if path in signed
            for what in _deviations(planned[path], signed[path])
        ),
    )


def _deviations(item: Item, report: Report) -> Iterator[str]:
    for code in report.codes:
        directory = code.directory
        if directory is None:
            yield f"{code.arch} is not signed"
            continue
        if directory.identifier != item.identifier:
            yield f"has the identifier {directory.identifier}, planned is {item.identifier}"
        if directory.flag_names() != item.flags:
            yield f"has the flags {directory.flag_names()}, planned are {item.flags}"
        if dict(code.entitlements) != dict(item.entitlements):
            yield f"has the entitlements {sorted(code.entitlements)}, planned are {sorted(item.entitlements)}"
