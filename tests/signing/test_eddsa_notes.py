import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from signing import eddsa
from signing.eddsa import FeedSignatureFault, notes_content, read_feed, sign_feed, sign_notes, verify_notes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = eddsa.public_key(KEY)
NOTES = {
    "html": b"<!doctype html>\n<h1>1.2</h1>\n",
    "md": "# 1.2\n\n- Größer\n".encode(),
    "txt": b"1.2\n",
    "empty": b"",
}


@pytest.mark.parametrize("content", NOTES.values(), ids=NOTES)
@pytest.mark.parametrize("warning", [True, False])
def test_notes_are_signed_with_their_warning_and_shown_without(content, warning):
    signed = sign_notes(content, KEY, warning=warning)
    assert signed.data.startswith(b"<!-- sparkle-sign-warning:\n") is warning
    assert signed.data.endswith(content) and signed.length == len(signed.data)
    assert eddsa.verify_bytes(signed.data, signed.signature, PUBLIC)
    assert verify_notes(signed.data, signed.signature, signed.length, PUBLIC) == content
    assert sign_notes(signed.data, KEY, warning=warning) == signed


@given(st.sampled_from(sorted(NOTES)), st.data())
def test_any_changed_byte_of_notes_is_caught(name, draw):
    signed = sign_notes(NOTES[name], KEY)
    at = draw.draw(st.integers(0, signed.length - 1))
    data = bytearray(signed.data)
    data[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(FeedSignatureFault, match="does not fit"):
        verify_notes(bytes(data), signed.signature, signed.length, PUBLIC)


def test_notes_of_another_length_are_caught_and_the_length_may_be_absent():
    signed = sign_notes(b"x", KEY)
    with pytest.raises(FeedSignatureFault, match="they have"):
        verify_notes(signed.data, signed.signature, signed.length + 1, PUBLIC)
    assert verify_notes(signed.data, signed.signature, None, PUBLIC) == b"x"
    with pytest.raises(FeedSignatureFault):
        verify_notes(signed.data, "", None, PUBLIC)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"<!-- sparkle-sign-warning:a-->\nx", b"x"),
        (b"<!-- sparkle-sign-warning:a-->\n\nx", b"\nx"),
        (b"<!-- sparkle-sign-warning:a-->x", b"x"),
        (b"<!-- sparkle-sign-warning: never ends", b"<!-- sparkle-sign-warning: never ends"),
        (b"\n<!-- sparkle-sign-warning:a-->x", b"\n<!-- sparkle-sign-warning:a-->x"),
        (b"<!-- sparkle-sign-warning:a--><!-- sparkle-sign-warning:b-->", b"<!-- sparkle-sign-warning:b-->"),
    ],
)
def test_only_a_warning_at_the_head_is_stripped(data, shown):
    assert notes_content(data) == shown


BLOCK = b"<!-- sparkle-signatures:\n"


@pytest.mark.parametrize(
    ("data", "content", "signature", "length"),
    [
        (b"<rss/>", b"<rss/>", None, None),
        (b"x" + BLOCK + b"edSignature: A \nlength: 7 bytes\n-->", b"x", "A", 7),
        (b"x" + BLOCK + b"edSignature:\tA\r\nlength:+7\r\n--> tail", b"x", "A", 7),
        (b"x" + BLOCK + b"edSignature: A\nedSignature: B\n-->", b"x", "B", None),
        (b"x" + BLOCK + b" edSignature: A\nLength: 7\n-->", b"x", None, None),
        (b"x" + BLOCK + b"edSignature: A\n", b"x" + BLOCK + b"edSignature: A\n", None, None),
        (
            b"x" + BLOCK + b"edSignature: \xff\n-->",
            b"x" + BLOCK + b"edSignature: \xff\n-->",
            None,
            None,
        ),
        (b"x" + BLOCK + b"-->" + BLOCK + b"edSignature: A\n-->", b"x" + BLOCK + b"-->", "A", None),
        (b"x<!-- sparkle-signatures: edSignature: A\n-->", None, None, None),
        (b"-->x" + BLOCK + b"edSignature: A\xe2\x80\xa8length: 3\n-->", b"-->x", "A", 3),
    ],
)
def test_a_feed_is_taken_apart_as_sparkle_does(data, content, signature, length):
    feed = read_feed(data)
    assert (feed.content, feed.signature, feed.length) == (
        data if content is None else content,
        signature,
        length,
    )


def test_what_is_written_is_what_is_read():
    feed = read_feed(sign_feed(b"<rss/>", KEY, warning=False))
    assert (feed.content, feed.length) == (b"<rss/>", 6)
    assert eddsa.verify_bytes(feed.content, feed.signature or "", PUBLIC)
