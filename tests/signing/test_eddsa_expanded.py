import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from signing import eddsa
from signing.eddsa_expanded import ExpandedKey, expand

SEEDS = st.binary(min_size=32, max_size=32)

# RFC 8032, section 7.1: seed, public key, message, signature; tests 1, 2, 3 and the one of SHA(abc)
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("vector", VECTORS)
def test_it_signs_as_the_standard_says(vector):
    seed, public, message, signature = map(bytes.fromhex, vector)
    key = ExpandedKey(expand(seed))
    assert key.public_key().public_bytes_raw() == public
    assert key.sign(message) == signature


@given(SEEDS, st.binary(max_size=300))
def test_it_signs_as_the_key_made_from_the_seed(seed, message):
    ours, theirs = ExpandedKey(expand(seed)), Ed25519PrivateKey.from_private_bytes(seed)
    assert ours.sign(message) == ours.sign(memoryview(message)) == theirs.sign(message)


def test_the_expanded_form_is_the_hash_of_the_seed_with_its_ends_set():
    seed = bytes(range(32))
    raw, digest = expand(seed), hashlib.sha512(seed).digest()
    assert len(raw) == 96 and raw[1:31] == digest[1:31] and raw[32:64] == digest[32:]
    assert raw[0] & 7 == 0 and raw[31] >> 6 == 1


@pytest.mark.parametrize("size", [0, 32, 64, 95, 97])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"this one {size}"):
        ExpandedKey(bytes(size))


@given(st.integers(0, 95), st.integers(1, 255))
def test_any_change_is_noticed_but_in_the_prefix_of_nonces(at, change):
    raw = bytearray(expand(b"k" * 32))
    raw[at] ^= change
    if 32 <= at < 64:  # any prefix makes valid signatures, only other ones
        ExpandedKey(bytes(raw))
        return
    with pytest.raises(ValueError, match="half"):
        ExpandedKey(bytes(raw))


def test_an_old_key_loads_signs_and_is_verified_like_any_other(tmp_path):
    seed = b"o" * 32
    text = base64.b64encode(expand(seed)).decode()
    assert len(text) == 128
    key = eddsa.load("env:OLD", environ={"OLD": text})
    archive = tmp_path / "archive"
    archive.write_bytes(b"x" * 10_000)
    signature = eddsa.sign_file(archive, key)
    assert signature == eddsa.sign_file(archive, Ed25519PrivateKey.from_private_bytes(seed))
    assert eddsa.verify_file(archive, signature, eddsa.public_key(key))
    assert eddsa.verify_feed(eddsa.sign_feed(b"<rss/>", key), eddsa.public_key(key))
