"""Does a signature hold: of a Mach-O, of a whole bundle with everything in it, of a disk image.

What is checked without a Mac: every page hash, every special slot, the CMS signature with its chain and
timestamp, the resource seal with every file and link, and nested code all the way down. What is not: whether
Apple issued the certificates or revoked them, and Gatekeeper's policy. No signature covers file modes, a
universal file's alignment values, or localized files the seal calls optional being absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509

from errors import Exit, Fault
from signing import bundle as bundles
from signing import embedded, image_signature, macho, requirements, resources
from signing.binary import Malformed, mapped
from signing.bundle import Bundle
from signing.embedded import Code, Policy, Severity, Surroundings
from signing.resources import Seal
from signing.superblob import SLOT_INFO, SLOT_REP_SPECIFIC, SLOT_RESOURCES

MAX_DEPTH = 12
IN_BUNDLE = frozenset((SLOT_INFO, SLOT_RESOURCES))


class BadSignature(Fault):
    """A signature does not hold."""

    status = Exit.SIGNATURE


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about `path` (relative to what was verified; empty for itself)."""

    path: str
    what: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. The single facts are those of the first signed slice; `codes` has them all.

    `team_id` is the code directory's; the certificate's where the directory names none, as the portable
    signer leaves it in disk images. `cdhash` is 40 hex digits, `hash_type` 1 for SHA-1 and 2 for SHA-256,
    `certificates` DER, leaf first, `checked` the number of pages and files compared.
    """

    subject: str
    problems: tuple[Problem, ...]
    cdhash: str = ""
    hash_type: int = 0
    team_id: str | None = None
    identifier: str = ""
    flags: tuple[str, ...] = ()
    timestamped: bool = False
    certificates: tuple[bytes, ...] = ()
    nested: tuple[Report, ...] = ()
    checked: int = 0
    codes: tuple[Code, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing worse than a warning was found, here or in nested code."""
        return not any(problem.severity == "error" for problem in self.all_problems())

    @property
    def entitlements(self) -> Mapping[str, Any]:
        """The entitlements it was signed with."""
        return self.codes[0].entitlements if self.codes else {}

    def walk(self) -> Iterator[Report]:
        """This report and those of all nested code."""
        yield self
        for each in self.nested:
            yield from each.walk()

    def all_problems(self) -> Iterator[Problem]:
        """Every problem, of nested code too."""
        return (problem for report in self.walk() for problem in report.problems)

    def require(self) -> Report:
        """Return itself if ok; raise BadSignature with the problems as details otherwise."""
        if self.ok:
            return self
        lines = [str(problem) for problem in self.all_problems() if problem.severity == "error"]
        more = (f"… and {len(lines) - 20} more",) if len(lines) > 20 else ()
        raise BadSignature(
            "the code signature does not hold",
            where=self.subject,
            cure="sign it again; if it came like this, fetch it again from its source",
            details=(*lines[:20], *more),
        )


@dataclass(frozen=True, slots=True)
class _Context:
    """Where names in problems count from, and how strictly to look."""

    root: Path
    policy: Policy

    def name(self, path: Path) -> str:
        relative = os.path.relpath(path, self.root)
        return "" if relative == "." else Path(relative).as_posix()


def verify_macho(path: Path, *, trust: bytes | None = None, exact: bool = False) -> Report:
    """Verify every slice of a Mach-O file by itself.

    `trust` is the PEM of the one certificate that must have signed. With `exact`, bytes that no signature
    covers are errors instead of warnings. Bad bytes become problems; only an unreadable path or certificate
    is a Fault.
    """
    return replace(_macho(path, _context(path, trust, exact)), subject=str(path))


def verify_app(path: Path, *, trust: bytes | None = None, exact: bool = False) -> Report:
    """Verify a bundle (app, XPC service, framework): its code, its seal, and all code nested in it."""
    if not path.is_dir():
        raise BadSignature("there is no bundle here", where=path, cure="check the path")
    context = _context(path, trust, exact)
    try:
        return replace(_bundle(path, context, None, 0), subject=str(path))
    except OSError as error:
        cure = "check who may read it, and that nothing else works on it"
        raise BadSignature(
            f"cannot be read: {error.strerror or error}", where=error.filename or path, cure=cure
        ) from error


def verify_image(path: Path, *, trust: bytes | None = None, exact: bool = False) -> Report:
    """Verify a disk image's signature: all data before it, and the trailer. Not what is in the image."""
    context = _context(path, trust, exact)
    try:
        parts = image_signature.parts(mapped(path))
        around = Surroundings({SLOT_REP_SPECIFIC: parts.trailer})
        code = embedded.check("image", parts.data, parts.signature, len(parts.data), around, context.policy)
    except Malformed as error:
        return Report(str(path), (Problem("", error.what),))
    return replace(_report("", (code,), ()), subject=str(path))


def _context(root: Path, trust: bytes | None, exact: bool) -> _Context:
    try:
        leaf = None if trust is None else x509.load_pem_x509_certificate(trust)
    except ValueError as error:
        raise BadSignature("the certificate to trust is not one", cure="give it in PEM form") from error
    return _Context(root, Policy(leaf, exact))


def _report(name: str, codes: tuple[Code, ...], problems: tuple[Problem, ...]) -> Report:
    found = tuple(
        Problem(name, what if len(codes) == 1 else f"{code.arch}: {what}", severity)
        for code in codes
        for what, severity in code.findings
    )
    first = next((code for code in codes if code.directory), None)
    if first is None or first.directory is None:
        return Report(name, (*found, *problems), codes=codes)
    return Report(
        subject=name,
        problems=(*found, *problems),
        cdhash=first.cdhash,
        hash_type=first.directory.hash_type,
        team_id=first.directory.team_id or first.signature.team_id,
        identifier=first.directory.identifier,
        flags=first.directory.flag_names(),
        timestamped=all(code.timestamp for code in codes),
        certificates=first.certificates(),
        checked=sum(code.checked for code in codes),
        codes=codes,
    )


def _macho(path: Path, context: _Context, around: Surroundings | None = None) -> Report:
    name = context.name(path)
    try:
        data = mapped(path)
        slices = macho.slices(data)
        codes = tuple(_slice(each, around, context.policy) for each in slices)
        padded = any(any(gap) for gap in macho.gaps(data, slices))
    except Malformed as error:
        return Report(name, (Problem(name, error.what),))
    what = "has bytes other than zero between or after its slices"
    return _report(name, codes, (Problem(name, what, context.policy.uncovered),) if padded else ())


def _slice(part: macho.Slice, around: Surroundings | None, policy: Policy) -> Code:
    place = part.signature()
    if place is None:
        return Code(part.arch, (("is not signed", "error"),))
    offset, size = place
    code = embedded.check(
        part.arch, part.data, part.data[offset : offset + size], offset, around or _alone(part), policy
    )
    if offset + size == len(part.data):
        return code
    return replace(code, findings=(*code.findings, ("has bytes after its signature", "error")))


def _alone(part: macho.Slice) -> Surroundings:
    """A program without a bundle may carry its Info.plist in a section of its own."""
    info = part.section("__TEXT", "__info_plist")
    return Surroundings({} if info is None else {SLOT_INFO: info}, IN_BUNDLE)


def _bundle(root: Path, context: _Context, version: str | None, depth: int) -> Report:
    name = context.name(root)
    if depth > MAX_DEPTH:
        return Report(name, (Problem(name, "is nested too deeply"),))
    try:
        bundle = bundles.load(root, version)
        info = bundle.info.read_bytes()
        sealed = bundle.seal.read_bytes() if bundle.seal.is_file() else None
        seal = None if sealed is None else resources.parse(sealed)
    except (Malformed, bundles.BadPlist) as error:
        return Report(name, (Problem(name, error.what),))
    contents = {SLOT_INFO: info} if sealed is None else {SLOT_INFO: info, SLOT_RESOURCES: sealed}
    main = _main(bundle, Surroundings(contents), context)
    nested = (*_nested(bundle, context, depth), *_versions(bundle, version, context, depth))
    things = [] if seal is None else list(resources.found(bundle, seal))
    problems = (
        *main.problems,
        *(Problem(name, what) for what in _unsealed(bundle, seal)),
        *(() if seal is None else _sealed(bundle, seal, things, nested, context)),
    )
    return replace(main, subject=name, problems=problems, nested=nested, checked=main.checked + len(things))


def _main(bundle: Bundle, around: Surroundings, context: _Context) -> Report:
    path, name = bundle.executable, context.name(bundle.root)
    if path is None:
        return Report(name, (Problem(name, "names no main executable in its Info.plist"),))
    if path.is_symlink() or not path.is_file():
        return Report(name, (Problem(name, f"its main executable {path.name} is missing"),))
    report = _macho(path, context, around)
    if bundle.root.suffix != ".framework" and not os.access(path, os.X_OK):
        broken = Problem(context.name(path), "is the main executable and may not be executed")
        return replace(report, problems=(*report.problems, broken))
    return report


def _nested(bundle: Bundle, context: _Context, depth: int) -> Iterator[Report]:
    for code in bundles.code(bundle):
        if code.is_bundle:
            yield _bundle(code.path, context, None, depth + 1)
        else:
            yield _macho(code.path, context)


def _versions(bundle: Bundle, version: str | None, context: _Context, depth: int) -> Iterator[Report]:
    """Look into what else a framework has besides its current version: each is signed by itself."""
    if bundle.is_framework and version is None:
        for other in bundles.other_versions(bundle):
            yield _bundle(bundle.root, context, other, depth + 1)


def _unsealed(bundle: Bundle, seal: Seal | None) -> Iterator[str]:
    """What stands outside of the seal by design, and therefore has only one right form."""
    if seal is None:
        yield "has no resource seal"
    if bundle.is_framework:
        yield from bundles.framework_problems(bundle.root)
    else:
        yield from bundles.root_problems(bundle.root)
        yield from bundles.pkginfo_problems(bundle)


def _sealed(
    bundle: Bundle, seal: Seal, things: list[resources.Found], nested: tuple[Report, ...], context: _Context
) -> Iterator[Problem]:
    reports = {report.subject: report for report in nested}
    base = bundle.base
    for name, what in resources.problems(bundle, seal, things):
        yield Problem(context.name(base / name), what)
    for thing in things:
        if thing.kind == "omitted":
            what = "is left out of the seal: it could change unnoticed"
            yield Problem(context.name(thing.path), what, context.policy.uncovered)
        entry = seal.entries.get(thing.name)
        if thing.kind == "nested" and entry is not None and entry.digest is None:
            path = context.name(thing.path)
            try:
                yield from (Problem(path, what) for what in _vouched(entry, reports.get(path)))
            except requirements.Unsupported as error:
                yield Problem(path, f"its parent's requirement was not checked: {error.what}", "warning")
            except Malformed as error:
                yield Problem(path, error.what)


def _vouched(entry: resources.Entry, report: Report | None) -> Iterator[str]:
    """Whether nested code is the code its parent was signed with."""
    if report is None:
        yield "is sealed as nested code and is not code"
        return
    subjects = [code.subject for code in report.codes if code.subject]
    if entry.cdhash is not None and not any(entry.cdhash in each.cdhashes for each in subjects):
        yield "is signed, but is not the code its parent was sealed with"
    if entry.requirement is not None and not all(map(requirements.text(entry.requirement), subjects)):
        yield "does not meet the requirement its parent was sealed with"
