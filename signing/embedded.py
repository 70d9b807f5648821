"""One embedded signature against what it signs: pages, special slots, CMS, and that they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing import cms, requirements, superblob
from signing.bundle import parse_plist
from signing.requirements import Subject
from signing.superblob import ADHOC, SLOT_CMS, SLOT_ENTITLEMENTS, SLOT_NAMES, CodeDirectory, SuperBlob

Severity = Literal["error", "warning"]
Finding = tuple[str, Severity]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What special slots refer to outside of the code.

    `contents` holds their bytes by slot. `unseen` are slots that belong to a bundle nobody looked at.
    """

    contents: Mapping[int, bytes | memoryview] = field(default_factory=dict)
    unseen: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """How strictly to look.

    `trust`: the one leaf certificate allowed to have signed (None: whoever signed). `exact`: bytes that no
    signature covers have to be zero; Apple's own codesign leaves rubbish in the space it does not need.
    """

    trust: x509.Certificate | None = None
    exact: bool = False

    @property
    def uncovered(self) -> Severity:
        """How bad a byte is that could be changed without notice."""
        return "error" if self.exact else "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """One signed piece of code, a slice or a disk image, and everything found about its signature."""

    arch: str
    findings: tuple[Finding, ...]
    directory: CodeDirectory | None = None
    signature: cms.Signature = field(default_factory=cms.Signature)
    entitlements: Mapping[str, Any] = field(default_factory=dict)
    subject: Subject | None = None
    checked: int = 0

    @property
    def cdhash(self) -> str:
        """Forty hex digits, or nothing if unsigned."""
        return "" if self.directory is None else self.directory.cdhash.hex()

    @property
    def signing_time(self) -> datetime | None:
        """When the signer says it signed."""
        return self.signature.signing_time

    @property
    def timestamp(self) -> datetime | None:
        """When a timestamp authority says it was signed."""
        return None if self.signature.timestamp is None else self.signature.timestamp.time

    def certificates(self) -> tuple[bytes, ...]:
        """The chain in DER, leaf first."""
        return tuple(each.public_bytes(Encoding.DER) for each in self.signature.chain)


def check(
    arch: str, code: memoryview, signature: memoryview, limit: int, around: Surroundings, policy: Policy
) -> Code:
    """Check the signature in the space `signature` over the first `limit` bytes of `code`.

    Malformed if it is no signature.
    """
    blob = superblob.parse(signature)
    directories = blob.directories()
    best = superblob.best(directories)
    payload = blob.payload(SLOT_CMS) or b""
    signed = cms.verify(payload, directories) if payload else cms.Signature()
    subject = _subject(blob, directories, best, signed, around)
    findings = (
        *_space(signature, blob, policy),
        *_agreement(directories, limit),
        *(found for each in directories for found in _pages(each, code)),
        *(found for each in directories for found in _slots(each, blob, around)),
        *((problem, "error") for problem in signed.problems),
        *_identity(best, signed, bool(payload), policy),
        *_designated(blob, subject),
    )
    return Code(
        arch=arch,
        findings=tuple(dict.fromkeys(findings)),  # two directories, one message
        directory=best,
        signature=signed,
        entitlements=entitlements(blob),
        subject=subject,
        checked=sum(each.page_count for each in directories),
    )


def _subject(
    blob: SuperBlob,
    directories: tuple[CodeDirectory, ...],
    best: CodeDirectory,
    signed: cms.Signature,
    around: Surroundings,
) -> Subject:
    info = around.contents.get(superblob.SLOT_INFO, b"")
    return Subject(
        identifier=best.identifier,
        cdhashes=frozenset(each.cdhash for each in directories),
        chain=signed.chain,
        info=_plist(bytes(info)),
        entitlements=entitlements(blob),
    )


def _designated(blob: SuperBlob, subject: Subject) -> Iterator[Finding]:
    """Code has to meet the requirement it gives itself: macOS knows it by that in an update."""
    part = blob.blobs.get(superblob.SLOT_REQUIREMENTS)
    own = None if part is None else superblob.requirements(part).get(requirements.DESIGNATED)
    if own is None:
        return
    try:
        if not requirements.compiled(own)(subject):
            yield "does not meet its own designated requirement", "error"
    except requirements.Unsupported as error:
        yield f"its designated requirement was not checked: {error.what}", "warning"


def entitlements(blob: SuperBlob) -> Mapping[str, Any]:
    """The entitlements in the XML slot; nothing if there are none or they cannot be read."""
    return _plist(blob.payload(SLOT_ENTITLEMENTS) or b"")


def _plist(data: bytes) -> Mapping[str, Any]:
    try:
        return parse_plist(data) if data else {}
    except ValueError:  # what is in slots is hashed: an unreadable one was signed so, and says nothing
        return {}


def _space(signature: memoryview, blob: SuperBlob, policy: Policy) -> Iterator[Finding]:
    if any(signature[blob.size :]):
        yield "has bytes other than zero in the unused space after its signature", policy.uncovered


def _agreement(directories: tuple[CodeDirectory, ...], limit: int) -> Iterator[Finding]:
    if any(each.limit != limit for each in directories):
        yield "signs another number of bytes than lie before its signature", "error"
    facts = {(each.identifier, each.team_id, each.flags, each.platform) for each in directories}
    if len(facts) > 1:
        yield "has code directories that contradict each other", "error"
    if len({each.hash_type for each in directories}) != len(directories):
        yield "has two code directories of one hash type", "error"


def _pages(directory: CodeDirectory, code: memoryview) -> Iterator[Finding]:
    wrong = directory.wrong_pages(code)
    if wrong:
        of = f"page {wrong[0]}" if len(wrong) == 1 else f"{len(wrong)} pages from page {wrong[0]}"
        yield f"was changed after signing: {of} of {directory.page_count}", "error"


def _slots(directory: CodeDirectory, blob: SuperBlob, around: Surroundings) -> Iterator[Finding]:
    present = {slot: part for slot, part in blob.blobs.items() if 0 < slot < 0x1000}
    contents: Mapping[int, bytes | memoryview] = {**around.contents, **present}
    for slot in sorted({*range(1, directory.special_count + 1), *contents}):
        finding = _slot(directory, slot, contents.get(slot), around)
        if finding:
            yield finding


def _slot(
    directory: CodeDirectory, slot: int, content: bytes | memoryview | None, around: Surroundings
) -> Finding | None:
    sealed, name = directory.special(slot), SLOT_NAMES.get(slot, f"part in slot {slot}")
    if sealed is None:
        return None if content is None else (f"has its {name} not covered by its signature", "error")
    if content is None and slot in around.unseen:
        return f"is bound to a bundle's {name}, which was not looked at", "warning"
    if content is None:
        return f"was signed with its {name}, which is missing", "error"
    if directory.hash(content) != sealed:
        return f"does not have the {name} it was signed with", "error"
    return None


def _identity(best: CodeDirectory, signed: cms.Signature, has_cms: bool, policy: Policy) -> Iterator[Finding]:
    adhoc = bool(best.flags & ADHOC)
    if adhoc == has_cms:
        yield ("says it is ad hoc and has a CMS signature" if adhoc else "has no CMS signature"), "error"
    elif adhoc:
        yield "is signed ad hoc: its bytes hold, but nobody vouches for them", "warning"
    if signed.chain and best.team_id is not None and best.team_id != signed.team_id:
        yield f"claims team {best.team_id}, but its certificate is of team {signed.team_id}", "error"
    if policy.trust is not None and policy.trust != next(iter(signed.chain), None):
        yield "was not signed with the expected certificate", "error"
