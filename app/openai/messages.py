"""Messages and their parts, as both dialects have them, brought to one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cursor.conversation import Image, Role, ToolCall, Turn
from app.openai.errors import ApiError, invalid, unsupported
from app.openai.fields import need
from app.openai.images import MAX_IMAGES, Picture, Remote, bad_image, read_url

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# The type of a part: the field its text is in.
TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
IMAGE_PARTS = ("image_url", "input_image")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, its text parts joined; pictures may still have to be fetched."""

    role: Role
    text: str
    images: tuple[Picture, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


def read_role(item: Mapping[str, Any], where: str, extra: Iterable[str] = ()) -> str:
    """Give the role as it was spelled."""
    role = item.get("role")
    known = (*ROLES, *extra)
    if isinstance(role, str) and role in known:
        return role
    raise invalid(f"{where}.role must be one of {', '.join(known)}.", f"{where}.role")


def read_content(value: Any, where: str, *, pictures: bool = True) -> tuple[str, tuple[Picture, ...]]:
    """Read a string or an array of parts: the text and the pictures in it."""
    if isinstance(value, str):
        return value, ()
    if not isinstance(value, list):
        raise invalid(f"{where} must be a string or an array of parts.", where)
    texts: list[str] = []
    images: list[Picture] = []
    for index, part in enumerate(value):
        found = _part(need(part, dict, f"{where}[{index}]"), f"{where}[{index}]", pictures)
        texts.append(found) if isinstance(found, str) else images.append(found)
    return "".join(texts), tuple(images)


def _part(part: Mapping[str, Any], where: str, pictures: bool) -> str | Picture:
    kind = part.get("type")
    if isinstance(kind, str) and kind in TEXT_PARTS:
        name = TEXT_PARTS[kind]
        return need(part.get(name), str, f"{where}.{name}")
    if pictures and kind in IMAGE_PARTS:
        return _picture(part)
    if kind is None:
        raise invalid(f"{where}.type must be a string.", f"{where}.type")
    raise unsupported(f"{where}.type {kind!r:.60} is not supported here.", f"{where}.type")


def _picture(part: Mapping[str, Any]) -> Picture:
    value = part.get("image_url")
    if value is None and part.get("file_id") is not None:
        raise unsupported("Uploaded files are not supported; send the image itself.", "file_id")
    return read_url(value.get("url") if isinstance(value, dict) else value)


def need_few_images(messages: Iterable[Message]) -> None:
    """Refuse more pictures than a request may have."""
    if sum(len(message.images) for message in messages) > MAX_IMAGES:
        raise bad_image(f"More than {MAX_IMAGES} images in one request.")


def remotes(messages: Iterable[Message]) -> tuple[Remote, ...]:
    """Give what has to be fetched, each once."""
    found = (image for message in messages for image in message.images if isinstance(image, Remote))
    return tuple(dict.fromkeys(found))


def turns(messages: Iterable[Message], fetched: Mapping[Remote, Image]) -> tuple[Turn, ...]:
    """Give the conversation with every picture in place."""
    return tuple(_turn(message, fetched) for message in messages)


def _turn(message: Message, fetched: Mapping[Remote, Image]) -> Turn:
    images = tuple(fetched[image] if isinstance(image, Remote) else image for image in message.images)
    return Turn(message.role, message.text, images, message.calls, message.call_id)


def nothing_to_answer(where: str) -> ApiError:
    """Refuse an empty conversation."""
    return invalid(f"{where} must be an array with at least one message.", where)
