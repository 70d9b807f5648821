"""Pictures in requests: data URLs read, others left to be fetched; PNG and JPEG, one megabyte each."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from app.cursor.conversation import Image
from app.openai.errors import ApiError, invalid

MAX_IMAGE = 1_048_576  # bytes, decoded
MAX_URL = 8192  # characters of a URL that has to be fetched
MAX_IMAGES = 64
# Both start with what no text or markup starts with, so nothing else passes for a picture.
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Remote:
    """A picture that is still somewhere else, at an http or https URL."""

    url: str


Picture = Image | Remote


def bad_image(message: str) -> ApiError:
    """Refuse a picture for what it is."""
    return invalid(message, "image")


def bad_url(message: str) -> ApiError:
    """Refuse a picture for where it is."""
    return invalid(message, "image_url")


def read_url(url: Any) -> Picture:
    """Read a data URL, or check an http(s) URL that is to be fetched. Raises ApiError."""
    if not isinstance(url, str) or not url.strip():
        raise bad_url("image_url must be a data URL or an http(s) URL.")
    url = url.strip()
    return _data_url(url) if url[:5].lower() == "data:" else Remote(_web_url(url))


def _data_url(url: str) -> Image:
    head, comma, payload = url[5:].partition(",")
    if not comma:
        raise bad_url("image_url is not a complete data URL.")
    if len(payload) > 4 * MAX_IMAGE:  # not even percent-escaped can this be a picture within the bound
        raise _too_big()
    raw = unquote_to_bytes(payload) if "%" in payload else payload.encode("utf-8", "replace")
    if "base64" not in [word.strip().lower() for word in head.split(";")[1:]]:
        raise bad_image("The image's data URL must be base64.")
    return check(_decode(raw))


def _decode(raw: bytes) -> bytes:
    text = raw.translate(None, b" \t\r\n")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise bad_image("The image is not valid base64.") from None


def _web_url(url: str) -> str:
    if len(url) > MAX_URL:
        raise bad_url(f"image_url is longer than {MAX_URL} characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port  # a port out of range raises
    except ValueError:
        raise bad_url("image_url is not a valid URL.") from None
    if parts.scheme not in ("http", "https"):
        raise bad_url("image_url must be a data URL or an http(s) URL.")
    if not host or port == 0 or any(character <= " " or character == "\x7f" for character in url):
        raise bad_url("image_url is not a valid URL.")
    if parts.username is not None:
        raise bad_url("image_url must not carry a user name.")
    return url


def check(data: bytes) -> Image:
    """Take `data` for a picture, by its first bytes. Raises ApiError."""
    if not data:
        raise bad_image("The image is empty.")
    if len(data) > MAX_IMAGE:
        raise _too_big()
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            return Image(data, kind)
    raise bad_image("The image is neither PNG nor JPEG.")


def _too_big() -> ApiError:
    return bad_image(f"The image is larger than {MAX_IMAGE} bytes after decoding.")
