"""The review behind the stand-in's verdict: what Apple's notary refuses, checked on the uploaded bytes.

The rules follow Apple's "Resolving common notarization issues"; the words are our own. What Apple does
beyond them, such as looking for malware, nobody can imitate here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from errors import Fault
from release.image.reader import DiskImage
from release.rehearsal.apple_review import Review
from release.rehearsal.apple_zip import unpack
from signing import bundle as bundles
from signing import macho
from signing.embedded import Code
from signing.identity import DEVELOPER_ID_APPLICATION
from signing.notary_log import Issue, TicketContent
from signing.superblob import ADHOC, RUNTIME
from signing.verify import Report, verify_app, verify_image, verify_macho

APPS = frozenset((".app",))
DIGESTS = {1: "SHA-1", 2: "SHA-256", 3: "SHA-256", 4: "SHA-384"}
JIT = "com.apple.security.cs.allow-jit"
DEBUGGABLE = "com.apple.security.get-task-allow"
DOCS = "docs/release.md"

ADHOC_TEXT = "Signed ad hoc: a Developer ID Application certificate has to sign it."
FOREIGN_TEXT = "The signing certificate is not a Developer ID Application certificate."
TIME_TEXT = "The signature carries no secure timestamp, so nobody can tell when it was made."
RUNTIME_TEXT = "A program without the hardened runtime: sign it with the runtime flag."
DEBUG_TEXT = (
    f"The entitlement {DEBUGGABLE} lets any debugger attach: leave it out of what is given to others."
)
JIT_TEXT = f"Bun compiles while it runs; under the hardened runtime macOS kills it without {JIT}."
EMPTY_TEXT = "There is no signed code in the archive, so there is nothing to make a ticket for."
KIND_TEXT = "Neither a disk image nor a zip archive."
INSTALLER_TEXT = "An installer package: this stand-in examines disk images and zip archives only."


@dataclass(frozen=True, slots=True)
class Found:
    """A verified piece of code: its report, the name the notary gives it, where it lies on disk."""

    report: Report
    name: str
    root: Path

    @property
    def path(self) -> Path:
        """The file or bundle itself (a nested report's subject counts from the root)."""
        return self.root / self.report.subject

    @property
    def label(self) -> str:
        """The path inside the archive, as issues name it."""
        inside = os.path.relpath(self.path, self.root)
        return self.name if inside == "." else f"{self.name}/{Path(inside).as_posix()}"


class Examiner:
    """Examines disk images, and zip archives with apps, in earnest."""

    def review(self, upload: Path, name: str) -> Review:
        """See Reviewer.review."""
        with upload.open("rb") as file:
            head = file.read(4)
            file.seek(max(0, upload.stat().st_size - 512))
            tail = file.read(4)
        if tail == b"koly":
            return self._image(upload, name)
        if head == b"PK\x03\x04":
            return self._unpacked(upload, name, unpack)
        return Review((Issue("error", name, INSTALLER_TEXT if head == b"xar!" else KIND_TEXT),))

    def _image(self, upload: Path, name: str) -> Review:
        image = Found(verify_image(upload), name, upload)
        damage = _damage(upload, name)
        inside = self._unpacked(upload, name, _extract, empty_is_fine=True) if damage.accepted else damage
        return _join(_examined([image]), inside)

    def _unpacked(
        self, upload: Path, name: str, extract: Callable[[Path, Path], None], *, empty_is_fine: bool = False
    ) -> Review:
        with tempfile.TemporaryDirectory(dir=upload.parent, prefix=".review-") as folder:
            try:
                extract(upload, Path(folder) / "root")
            except Fault as fault:
                return Review((Issue("error", name, f"The archive cannot be unpacked: {fault.what}"),))
            found = [each for code in _code(Path(folder) / "root", name) for each in _walk(code)]
            if not found and not empty_is_fine:
                return Review((Issue("error", name, EMPTY_TEXT),))
            return _examined(found)


def _extract(image: Path, dst: Path) -> None:
    with DiskImage.open(image) as disk:
        disk.extract(dst)


def _damage(image: Path, name: str) -> Review:
    try:
        with DiskImage.open(image) as disk:
            return Review(tuple(Issue("error", name, f"Damaged: {text}") for text in disk.checksums()))
    except Fault as fault:
        return Review((Issue("error", name, f"Damaged: {fault.what}"),))


def _join(first: Review, second: Review) -> Review:
    return Review((*first.issues, *second.issues), (*first.contents, *second.contents))


def _code(root: Path, name: str) -> Iterator[Found]:
    """Verify all apps and all loose programs and libraries in a folder, not following links."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if not Path(folder, each).is_symlink())
        for each in [each for each in folders if Path(each).suffix in APPS]:
            folders.remove(each)
            app = Path(folder, each)
            yield Found(replace(verify_app(app), subject=""), _label(name, root, app), app)
        for each in sorted(files):
            path = Path(folder, each)
            if not path.is_symlink() and macho.is_macho(path):
                yield Found(replace(verify_macho(path), subject=""), _label(name, root, path), path)


def _label(name: str, root: Path, path: Path) -> str:
    return f"{name}/{path.relative_to(root).as_posix()}"


def _walk(found: Found) -> Iterator[Found]:
    return (replace(found, report=report) for report in found.report.walk())


def _examined(found: list[Found]) -> Review:
    issues = [issue for each in found for issue in (*_problems(each), *_rules(each))]
    contents = [content for each in found for content in _contents(each)]
    return Review(tuple(dict.fromkeys(issues)), tuple(dict.fromkeys(contents)))


def _problems(found: Found) -> Iterator[Issue]:
    """Turn what verification found into issues; paths there count from the outermost bundle."""
    for problem in found.report.problems:
        path = f"{found.name}/{problem.path}" if problem.path else found.name
        text = f"The signature does not hold: it {problem.what}"
        yield Issue(problem.severity, path, f"{text}.", doc_url=DOCS)


def _rules(found: Found) -> Iterator[Issue]:
    program = _is_program(found.path)
    for code in found.report.codes:
        if code.directory is None:
            continue
        for severity, text in _code_rules(code, program, found.path.name):
            arch = code.arch if code.arch != "image" else None
            yield Issue(severity, found.label, text, arch, doc_url=DOCS)


def _code_rules(code: Code, program: bool, file_name: str) -> Iterator[tuple[str, str]]:
    flags = code.directory.flags if code.directory else 0
    if flags & ADHOC:
        yield "error", ADHOC_TEXT
    elif not _developer_id(code):
        yield "error", FOREIGN_TEXT
    if not flags & ADHOC and code.timestamp is None:
        yield "error", TIME_TEXT
    if program and not flags & RUNTIME:
        yield "error", RUNTIME_TEXT
    if code.entitlements.get(DEBUGGABLE) is True:
        yield "error", DEBUG_TEXT
    if program and file_name == "bun" and code.entitlements.get(JIT) is not True:
        yield "warning", JIT_TEXT


def _developer_id(code: Code) -> bool:
    leaf = next(iter(code.signature.chain), None)
    return leaf is not None and any(
        extension.oid == DEVELOPER_ID_APPLICATION for extension in leaf.extensions
    )


def _is_program(path: Path) -> bool:
    """Tell whether a file, or a bundle's main file, is a program rather than a library."""
    try:
        file = bundles.load(path).executable if path.is_dir() else path
        return file is not None and macho.is_macho(file) and any(part.is_main for part in macho.read(file))
    except Fault:
        return False  # an error of its own by now


def _contents(found: Found) -> Iterator[TicketContent]:
    for code in found.report.codes:
        if code.directory is not None:
            arch = code.arch if code.arch != "image" else None
            yield TicketContent(found.label, code.cdhash, DIGESTS[code.directory.hash_type], arch)
