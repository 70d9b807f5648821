from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signing import requirements
from signing.binary import Malformed
from signing.identity import Identity
from signing.requirements import Subject, Unsupported

HASH = bytes(range(20))


@pytest.fixture(scope="module")
def subject(identity: Identity) -> Subject:
    return Subject(
        identifier="com.example.tiny",
        cdhashes=frozenset((HASH,)),
        chain=(identity.certificate,),
        info={"CFBundleVersion": "12"},
        entitlements={"com.apple.security.cs.allow-jit": True, "com.example.off": False},
    )


@pytest.mark.parametrize(
    "text",
    [
        'identifier "com.example.tiny"',
        "identifier com.example.tiny",
        "always",
        "! never",
        f'cdhash H"{HASH.hex()}"',
        f'cdhash H"{bytes(20).hex()}" or cdhash H"{HASH.hex()}"',
        '(identifier "com.example.tiny") and (certificate leaf[subject.OU] = "TINYTEAM12")',
        "certificate leaf[subject.OU] = TINYTEAM12",
        "certificate 0[field.1.2.840.113635.100.6.1.13] /* exists */",
        "certificate leaf[field.1.2.840.113635.100.6.1.13] exists",
        "certificate leaf[field.1.2.3] absent",
        'certificate leaf[subject.CN] = "Developer ID*"',
        'certificate leaf[subject.CN] = "*(TINYTEAM12)"',
        'certificate leaf[subject.CN] = "*Tiny*"',
        'info[CFBundleVersion] = "12"',
        'entitlement["com.apple.security.cs.allow-jit"]',
        'entitlement["com.example.off"] absent',
        "never or always and always",
        "always or never and never;",
    ],
)
def test_holds(text: str, subject: Subject) -> None:
    assert requirements.text(text)(subject)


@pytest.mark.parametrize(
    "text",
    [
        'identifier "com.example.other"',
        "anchor apple",
        "anchor apple generic",
        f'certificate root = H"{bytes(20).hex()}"',
        'certificate 1[subject.OU] = "TINYTEAM12"',
        'certificate leaf[subject.OU] = "OTHER"',
        'info[CFBundleName] = "Tiny"',
        "info[CFBundleName]",
        '! identifier "com.example.tiny"',
        "always and (never or never)",
    ],
)
def test_does_not_hold(text: str, subject: Subject) -> None:
    assert not requirements.text(text)(subject)


def test_the_root_by_its_hash(subject: Subject, identity: Identity) -> None:
    from cryptography.hazmat.primitives import hashes

    digest = identity.certificate.fingerprint(hashes.SHA1()).hex()
    assert requirements.text(f'certificate root = H"{digest}"')(subject)
    assert requirements.text(f'anchor = H"{digest}"')(subject)


@pytest.mark.parametrize("text", ["notarized", "platform = 1", "certificate leaf trusted", "anchor trusted"])
def test_says_what_it_cannot_answer(text: str) -> None:
    with pytest.raises(Unsupported):
        requirements.text(text)


@pytest.mark.parametrize(
    "text",
    ["", "identifier", "always always", "(always", "always)", 'cdhash H"zz"', "§", "(" * 5000, "!" * 5000],
)
def test_refuses_what_is_no_requirement(text: str, subject: Subject) -> None:
    with pytest.raises(Malformed):
        requirements.text(text)(subject) or requirements.text("")


def expression(*parts: int | bytes) -> memoryview:
    body = b""
    for part in parts:
        body += struct.pack(">I", part) if isinstance(part, int) else data(part)
    return memoryview(struct.pack(">III", 0xFADE0C00, 12 + len(body), 1) + body)


def data(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value + bytes(-len(value) % 4)


MARKER = bytes.fromhex("2a864886f7636406010d")  # 1.2.840.113635.100.6.1.13


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((1,), True),
        ((0,), False),
        ((9, 0), True),
        ((6, 1, 0), False),
        ((7, 1, 0), True),
        ((2, b"com.example.tiny"), True),
        ((2, b"com.example.tin"), False),
        ((8, HASH), True),
        ((3,), False),
        ((15,), False),
        ((14, 0, MARKER, 0), True),
        ((14, 0xFFFFFFFF, MARKER, 0), True),
        ((14, 1, MARKER, 0), False),
        ((11, 0, b"subject.OU", 1, b"TINYTEAM12"), True),
        ((11, 0, b"subject.OU", 1, b"TINYTEAM13"), False),
        ((10, b"CFBundleVersion", 1, b"12"), True),
        ((16, b"com.apple.security.cs.allow-jit", 0), True),
        ((0x40000001,), True),
    ],
)
def test_compiled(parts: tuple[int | bytes, ...], expected: bool, subject: Subject) -> None:
    assert requirements.compiled(expression(*parts))(subject) is expected


@pytest.mark.parametrize("parts", [(), (6, 1), (2,), (99,), (1, 1), (13,), (*(9,) * 5000, 1)])
def test_refuses_broken_code(parts: tuple[int, ...]) -> None:
    with pytest.raises(Malformed):
        requirements.compiled(expression(*parts))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 23) | st.binary(max_size=9), max_size=12))
def test_any_code_is_read_or_refused(parts: list[int | bytes]) -> None:
    with suppress(Malformed):
        requirements.compiled(expression(*parts))(Subject("x", frozenset()))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["(", ")", "!", "and", "or", "always", "certificate", "leaf", "[", "]", "=", "x", '"y"', 'H"00"']
        )
    )
)
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    with suppress(Malformed):
        requirements.text(" ".join(words))(Subject("x", frozenset()))
