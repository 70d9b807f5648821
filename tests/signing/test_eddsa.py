import base64
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from commands import Result
from errors import Exit, Fault
from signing import eddsa
from signing.secrets import mask
from tests.standins.commands import Recorder

# RFC 8032, section 7.1: test 1 (nothing signed) and test 3 (two bytes signed)
RFC_1 = (
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
    "d25bf5f0595bbe24655141438e7a100b",
)
RFC_3 = (
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
    "4a7c15e9716ed28dc027beceea1ec40a",
)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = eddsa.public_key(KEY)
FEED = '<?xml version="1.0" encoding="utf-8"?>\n<rss><channel><title>Ä</title></channel></rss>'.encode()


def b64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@pytest.mark.parametrize("vector", [RFC_1, RFC_3])
def test_signs_as_the_standard_says(vector, tmp_path):
    seed, public, message, signature = vector
    key = eddsa.load("env:KEY", environ={"KEY": b64(seed)})
    file = tmp_path / "message"
    file.write_bytes(bytes.fromhex(message))
    assert eddsa.public_key(key) == b64(public)
    assert eddsa.sign_file(file, key) == b64(signature) == eddsa.sign_bytes(bytes.fromhex(message), key)
    assert eddsa.verify_file(file, b64(signature), b64(public))
    file.write_bytes(bytes.fromhex(message) + b"x")
    assert not eddsa.verify_file(file, b64(signature), b64(public))


def test_a_generated_key_is_private_and_loads(tmp_path):
    path = tmp_path / "key"
    old = os.umask(0)
    try:
        eddsa.generate(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert len(text) == 45 and len(base64.b64decode(text)) == 32
    assert eddsa.public_key(eddsa.load(f"file:{path}", environ={})) == eddsa.public_key(
        eddsa.load("env:K", environ={"K": text})
    )


def test_generating_never_overwrites(tmp_path):
    path = tmp_path / "key"
    path.write_text("precious")
    with pytest.raises(eddsa.KeyFault, match="key already"):
        eddsa.generate(path)
    assert path.read_text() == "precious"
    with pytest.raises(eddsa.KeyFault, match="cannot be written"):
        eddsa.generate(tmp_path / "absent" / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_that_others_can_touch_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    eddsa.generate(path)
    path.chmod(mode)
    with pytest.raises(Fault, match="others may read") as caught:
        eddsa.load(f"file:{path}", environ={})
    assert caught.value.status == Exit.SECRET and "chmod 600" in (caught.value.cure or "")
    path.chmod(0o400)
    eddsa.load(f"file:{path}", environ={})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("c2VjcmV0!", "not base64"),
        ("", "missing"),
        (base64.b64encode(b"s" * 31).decode(), "this one 31"),
        (base64.b64encode(b"s" * 64).decode(), "this one 64"),
        (base64.b64encode(b"s" * 96).decode(), "damaged"),
        ("schlüssel", "not base64"),
    ],
)
def test_a_malformed_key_is_named_but_never_shown(text, says):
    with pytest.raises(Fault, match=says) as caught:
        eddsa.load("env:KEY", environ={"KEY": text})
    assert caught.value.status == Exit.SECRET
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("uri", ["env:", "file:", "keychain:", "c2VjcmV0", ""])
def test_a_key_is_named_by_a_known_scheme(uri):
    with pytest.raises(Fault, match="not a secret's address") as caught:
        eddsa.load(uri, environ={})
    assert caught.value.status == Exit.SECRET
    assert "c2VjcmV0" not in str(caught.value)


def test_a_key_can_live_in_sparkles_own_keychain_item():
    seed = base64.b64encode(bytes(range(32)))
    keychain = Recorder(lambda argv: Result(argv, 0, stdout=seed + b"\n"))
    key = eddsa.load("keychain:https://sparkle-project.org/ed25519", environ={}, runner=keychain)
    assert eddsa.public_key(key) == PUBLIC
    wanted = ("-s", "https://sparkle-project.org", "-a", "ed25519", "-w")
    assert keychain.calls == [("security", "find-generic-password", *wanted)]


def test_a_loaded_key_is_masked_from_then_on():
    seed = base64.b64encode(b"m" * 32).decode()
    eddsa.load("env:KEY", environ={"KEY": seed})
    assert seed not in mask(f"oops: {seed}")


def test_absent_files_are_faults(tmp_path):
    with pytest.raises(Fault, match="missing"):
        eddsa.load(f"file:{tmp_path / 'absent'}", environ={})
    with pytest.raises(Fault, match="cannot be read"):
        eddsa.sign_file(tmp_path / "absent", KEY)


@pytest.mark.parametrize("size", [0, 1, 4096, 3_000_001])
def test_a_mapped_file_signs_like_its_bytes(tmp_path, size):
    data = os.urandom(size)
    file = tmp_path / "archive"
    file.write_bytes(data)
    assert eddsa.sign_file(file, KEY) == base64.b64encode(KEY.sign(data)).decode()


def test_malformed_signatures_are_wrong_and_malformed_public_keys_are_faults():
    good = eddsa.sign_bytes(b"x", KEY)
    assert eddsa.verify_bytes(b"x", good, PUBLIC)
    for bad in ["", "!", good[:-4], good + "AAAA", good.replace("==", ""), " " + good, good + "\n"]:
        assert not eddsa.verify_bytes(b"x", bad, PUBLIC)
    with pytest.raises(eddsa.KeyFault, match="this one 3"):
        eddsa.verify_bytes(b"x", good, "AAAA")
    with pytest.raises(eddsa.KeyFault, match="not base64"):
        eddsa.verify_bytes(b"x", good, "#")


def test_a_second_spelling_of_a_signature_does_not_pass():
    good = eddsa.sign_bytes(b"x", KEY)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = good[:85] + alphabet[alphabet.index(good[85]) ^ 1] + "=="
    assert base64.b64decode(twin) == base64.b64decode(good) and twin != good
    assert not eddsa.verify_bytes(b"x", twin, PUBLIC)


def test_a_signed_feed_is_byte_exact():
    signed = eddsa.sign_feed(FEED, KEY, warning=False)
    signature = base64.b64encode(KEY.sign(FEED)).decode()
    comment = f"<!-- sparkle-signatures:\nedSignature: {signature}\nlength: {len(FEED)}\n-->\n"
    assert signed == FEED + comment.encode()
    assert eddsa.verify_feed(signed, PUBLIC) == FEED


def test_the_warning_stands_before_the_root_and_is_signed():
    signed = eddsa.sign_feed(FEED, KEY)
    content = eddsa.verify_feed(signed, PUBLIC)
    declaration, rest = content.split(b"\n", 1)
    assert declaration.startswith(b"<?xml") and rest.startswith(b"<!-- sparkle-sign-warning:\n")
    assert content.endswith(FEED.split(b"\n", 1)[1])


@pytest.mark.parametrize("feed", [FEED, FEED.split(b"\n", 1)[1], b"\xef\xbb\xbf" + FEED])
def test_signing_again_changes_nothing(feed):
    once = eddsa.sign_feed(feed, KEY)
    assert eddsa.sign_feed(once, KEY) == once
    assert once.count(b"sparkle-sign-warning") == once.count(b"sparkle-signatures") == 1


def test_signing_with_another_key_replaces_the_signature():
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    again = eddsa.sign_feed(eddsa.sign_feed(FEED, other), KEY)
    assert again == eddsa.sign_feed(FEED, KEY)
    with pytest.raises(eddsa.FeedSignatureFault, match="does not fit"):
        eddsa.verify_feed(again, eddsa.public_key(other))


def test_the_last_signature_comment_counts():
    forged = eddsa.sign_feed(FEED, KEY).replace(b"</rss>", b"</rss><!-- sparkle-signatures:\nx -->", 1)
    with pytest.raises(eddsa.FeedSignatureFault, match="does not fit"):
        eddsa.verify_feed(forged, PUBLIC)
    inner = eddsa.sign_feed(FEED, KEY, warning=False) + b"<evil/>"
    signed_outside = inner + b"<!-- sparkle-signatures:\nedSignature: AA==\nlength: 1\n-->\n"
    with pytest.raises(eddsa.FeedSignatureFault):
        eddsa.verify_feed(signed_outside, PUBLIC)


@pytest.mark.parametrize(
    "data", [b"", FEED, b"<!-- sparkle-signatures:\n", FEED + b"<!-- sparkle-signatures: -->"]
)
def test_unsigned_feeds_are_refused(data):
    with pytest.raises(eddsa.FeedSignatureFault, match="not signed"):
        eddsa.verify_feed(data, PUBLIC)


def test_a_feed_must_be_utf8():
    with pytest.raises(eddsa.FeedSignatureFault, match="UTF-8"):
        eddsa.sign_feed(FEED.decode().encode("utf-16"), KEY)


SIGNED = eddsa.sign_feed(FEED, KEY)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_signed_feed_is_caught(at, change):
    data = bytearray(SIGNED)
    data[at] ^= change
    with pytest.raises(Fault):
        eddsa.verify_feed(bytes(data), PUBLIC)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_changed_byte_of_an_archive_is_caught(data, draw):
    signature = eddsa.sign_bytes(data, KEY)
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= draw.draw(st.integers(1, 255))
    assert eddsa.verify_bytes(data, signature, PUBLIC)
    assert not eddsa.verify_bytes(bytes(changed), signature, PUBLIC)


def test_truncating_or_extending_a_signed_feed_is_caught():
    for data in [SIGNED[:-1], SIGNED + b"\n", SIGNED + b"<rss/>", b"\n" + SIGNED]:
        with pytest.raises(eddsa.FeedSignatureFault):
            eddsa.verify_feed(data, PUBLIC)


def test_faults_of_files_name_them(tmp_path: Path):
    with pytest.raises(Fault) as caught:
        eddsa.verify_file(tmp_path / "none", eddsa.sign_bytes(b"", KEY), PUBLIC)
    assert "none" in str(caught.value)
