"""Code requirements: conditions on a signature, compiled (in a signature) or as text (in a resource seal).

The compiled form follows Security's requirement.h, the text its requirement grammar. Both become a predicate
over a `Subject`. What needs a Mac's trust settings or a notarization ticket is refused as Unsupported.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from signing.binary import Malformed, cut, unpack

DESIGNATED = 3
# Of the "Apple Root CA" certificate in DER, as Apple's certificate authority page publishes it; both
# intermediates of Developer ID hang from it.
APPLE_ROOT_SHA256 = "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024"
MAX_DEPTH = 64
LEAF, ROOT = 0, -1

_HEADER = struct.Struct(">III")
_U32 = struct.Struct(">I")
_I32 = struct.Struct(">i")
_NAMES = {
    "CN": NameOID.COMMON_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "C": NameOID.COUNTRY_NAME,
    "UID": NameOID.USER_ID,
    "L": NameOID.LOCALITY_NAME,
}


class Unsupported(Malformed):
    """A requirement asks for something that cannot be answered here."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What requirements are about: the signed code."""

    identifier: str
    cdhashes: frozenset[bytes]
    chain: Sequence[x509.Certificate] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    entitlements: Mapping[str, Any] = field(default_factory=dict)

    def certificate(self, slot: int) -> x509.Certificate | None:
        """The certificate at a place in the chain: 0 is the leaf, -1 the root."""
        return self.chain[slot] if -len(self.chain) <= slot < len(self.chain) else None


Requirement = Callable[[Subject], bool]
Match = Callable[[object], bool]


def compiled(blob: memoryview) -> Requirement:
    """Read a compiled requirement with its header."""
    _, _, kind = unpack(_HEADER, blob, 0, "the requirement")
    if kind != 1:
        raise Unsupported(f"the requirement is of the unknown form {kind}")
    reader = _Compiled(blob, _HEADER.size)
    found = reader.expression(0)
    if reader.at != len(blob):
        raise Malformed("the requirement has bytes after its end")
    return found


def text(source: str) -> Requirement:
    """Parse a requirement's text."""
    reader = _Text(source)
    found = reader.disjunction(0)
    reader.expect("")
    return found


def _always(value: bool) -> Requirement:
    return lambda subject: value


def _both(left: Requirement, right: Requirement) -> Requirement:
    return lambda subject: left(subject) and right(subject)


def _either(left: Requirement, right: Requirement) -> Requirement:
    return lambda subject: left(subject) or right(subject)


def _identifier(value: str) -> Requirement:
    return lambda subject: subject.identifier == value


def _cdhash(value: bytes) -> Requirement:
    return lambda subject: value in subject.cdhashes


def _apple_root(subject: Subject) -> bool:
    root = subject.certificate(ROOT)
    return root is not None and root.fingerprint(hashes.SHA256()).hex() == APPLE_ROOT_SHA256


def _apple_itself(subject: Subject) -> bool:
    names = [_name(each, NameOID.COMMON_NAME) for each in subject.chain[:2]]
    return _apple_root(subject) and names == [
        "Software Signing",
        "Apple Code Signing Certification Authority",
    ]


def _anchor_hash(slot: int, digest: bytes) -> Requirement:
    def holds(subject: Subject) -> bool:
        found = subject.certificate(slot)
        return found is not None and found.fingerprint(hashes.SHA1()) == digest  # noqa: S303 - the format's

    return holds


def _certificate_field(slot: int, name: str, match: Match) -> Requirement:
    def holds(subject: Subject) -> bool:
        found = subject.certificate(slot)
        return found is not None and match(_subject_field(found, name))

    return holds


def _extension(slot: int, oid: str, match: Match) -> Requirement:
    """A certificate extension; only whether it is there can be asked of Apple's marker extensions."""

    def holds(subject: Subject) -> bool:
        found = subject.certificate(slot)
        present = found is not None and any(each.oid.dotted_string == oid for each in found.extensions)
        return match(True if present else None)

    return holds


def _subject_field(certificate: x509.Certificate, name: str) -> str | None:
    oid = _NAMES.get(name.removeprefix("subject."))
    if oid is None:
        raise Unsupported(f"the requirement asks for the certificate field {name}")
    return _name(certificate, oid)


def _name(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _exists(value: object) -> bool:
    return value is not None and value is not False


def _match(operation: int, operand: str) -> Match:
    def as_text(test: Callable[[str], bool]) -> Match:
        return lambda value: value is not None and test(str(value))

    table: dict[int, Match] = {
        0: _exists,
        1: as_text(lambda value: value == operand),
        2: as_text(lambda value: operand in value),
        3: as_text(lambda value: value.startswith(operand)),
        4: as_text(lambda value: value.endswith(operand)),
        14: lambda value: not _exists(value),
    }
    if operation not in table:
        raise Unsupported(f"the requirement compares in a way that is not supported ({operation})")
    return table[operation]


class _Compiled:
    """Reads the prefix notation of compiled requirements."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at

    def number(self, layout: struct.Struct = _U32) -> int:
        (value,) = unpack(layout, self.data, self.at, "the requirement")
        self.at += 4
        return int(value)

    def bytes(self) -> bytes:
        size = self.number()
        found = bytes(cut(self.data, self.at, size, "the requirement"))
        self.at += size + -size % 4
        return found

    def word(self) -> str:
        return self.bytes().decode("utf-8", "replace")

    def match(self) -> Match:
        operation = self.number()
        return _match(operation, "" if operation in (0, 14) else self.word())

    def expression(self, depth: int) -> Requirement:
        if depth > MAX_DEPTH:
            raise Malformed("the requirement is nested too deeply")
        operation = self.number() & 0x00FF_FFFF  # the top byte says what older systems may ignore
        if operation in (6, 7):
            left, right = self.expression(depth + 1), self.expression(depth + 1)
            return _both(left, right) if operation == 6 else _either(left, right)
        if operation == 9:
            inner = self.expression(depth + 1)
            return lambda subject: not inner(subject)
        return self._leaf(operation)

    def _leaf(self, operation: int) -> Requirement:
        readers: dict[int, Callable[[], Requirement]] = {
            0: lambda: _always(False),
            1: lambda: _always(True),
            2: lambda: _identifier(self.word()),
            3: lambda: _apple_itself,
            4: lambda: _anchor_hash(self.number(_I32), self.bytes()),
            8: lambda: _cdhash(self.bytes()),
            10: lambda: _info(self.word(), self.match()),
            11: lambda: _certificate_field(self.number(_I32), self.word(), self.match()),
            14: lambda: _extension(self.number(_I32), _oid(self.bytes()), self.match()),
            15: lambda: _apple_root,
            16: lambda: _entitlement(self.word(), self.match()),
        }
        if operation not in readers:
            raise Unsupported(f"the requirement has the operation {operation}, which is not supported")
        return readers[operation]()


def _info(key: str, match: Match) -> Requirement:
    return lambda subject: match(subject.info.get(key))


def _entitlement(key: str, match: Match) -> Requirement:
    return lambda subject: match(subject.entitlements.get(key))


def _oid(data: bytes) -> str:
    """An object identifier from its DER content bytes."""
    numbers, value = [], 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        raise Malformed("the requirement has an empty object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


_TOKEN = re.compile(
    r"""\s*(?:/\*[^*]*\*/\s*)*(?:(?P<hash>[Hh]"[0-9A-Fa-f]*")|(?P<string>"[^"]*")"""
    r"""|(?P<word>[\w.\-*]+)|(?P<sign>[()\[\]!=]))"""
)
_TRAILING = re.compile(r"\s*(?:/\*[^*]*\*/\s*)*;?\s*\Z")


class _Text:
    """A recursive-descent parser of requirement text."""

    def __init__(self, source: str) -> None:
        self.tokens = list(_tokens(source))
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def take(self) -> str:
        found = self.peek()
        self.at += 1
        return found

    def expect(self, token: str) -> None:
        found = self.take()
        if found != token:
            raise Malformed(f"the requirement has {found or 'its end'} where {token or 'its end'} belongs")

    def accept(self, *tokens: str) -> bool:
        if self.peek() in tokens:
            self.at += 1
            return True
        return False

    def disjunction(self, depth: int) -> Requirement:
        if depth > MAX_DEPTH:
            raise Malformed("the requirement is nested too deeply")
        found = self.conjunction(depth)
        while self.accept("or"):
            found = _either(found, self.conjunction(depth))
        return found

    def conjunction(self, depth: int) -> Requirement:
        found = self.primary(depth)
        while self.accept("and"):
            found = _both(found, self.primary(depth))
        return found

    def primary(self, depth: int) -> Requirement:
        if self.accept("!"):
            inner = self.primary(depth + 1) if depth < MAX_DEPTH else _always(False)
            return lambda subject: not inner(subject)
        if self.accept("("):
            found = self.disjunction(depth + 1)
            self.expect(")")
            return found
        return self._leaf(self.take())

    def _leaf(self, word: str) -> Requirement:
        readers: dict[str, Callable[[], Requirement]] = {
            "always": lambda: _always(True),
            "true": lambda: _always(True),
            "never": lambda: _always(False),
            "false": lambda: _always(False),
            "identifier": self._identifier,
            "cdhash": lambda: _cdhash(self._hash()),
            "anchor": self._anchor,
            "certificate": self._certificate,
            "cert": self._certificate,
            "info": lambda: _info(self._key(), self._match()),
            "entitlement": lambda: _entitlement(self._key(), self._match()),
        }
        if word not in readers:
            raise Unsupported(f"the requirement has “{word}”, which is not supported")
        return readers[word]()

    def _identifier(self) -> Requirement:
        self.accept("=")
        return _identifier(_unquoted(self.take()))

    def _hash(self) -> bytes:
        found = self.take()
        if not found.startswith(("H", "h")):
            raise Unsupported("the requirement names a certificate by its file")
        try:
            return bytes.fromhex(found[2:-1])
        except ValueError as error:
            raise Malformed("the requirement has a broken hash") from error

    def _anchor(self) -> Requirement:
        if self.accept("apple"):
            return _apple_root if self.accept("generic") else _apple_itself
        self.accept("=")
        return _anchor_hash(ROOT, self._hash())

    def _certificate(self) -> Requirement:
        word = self.take()
        slot = {"leaf": LEAF, "root": ROOT, "anchor": ROOT}.get(word)
        if slot is None:
            try:
                slot = int(word)
            except ValueError as error:
                raise Malformed(f"the requirement names the certificate {word}") from error
        if self.peek() != "[":
            self.accept("=")
            return _anchor_hash(slot, self._hash())
        key = self._key()
        if key.startswith("field."):
            return _extension(slot, key.removeprefix("field."), self._match())
        return _certificate_field(slot, key, self._match())

    def _key(self) -> str:
        self.expect("[")
        key = _unquoted(self.take())
        self.expect("]")
        return key

    def _match(self) -> Match:
        if self.accept("absent"):
            return _match(14, "")
        if not self.accept("="):
            self.accept("exists")
            return _match(0, "")
        operand = _unquoted(self.take())
        stars = (operand.startswith("*"), operand.endswith("*") and len(operand) > 1)
        return _match({(True, True): 2, (False, True): 3, (True, False): 4}.get(stars, 1), operand.strip("*"))


def _tokens(source: str) -> list[str]:
    found, at = [], 0
    while not _TRAILING.match(source, at):
        token = _TOKEN.match(source, at)
        if token is None:
            raise Malformed("the requirement cannot be understood")
        found.append(token.group(token.lastgroup or 0))
        at = token.end()
    return found


def _unquoted(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token
