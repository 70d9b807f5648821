"""The messages between the native shell and its server: a line of JSON each, told apart by `type`.

The server (`serve --linked`) writes on its standard output and reads from its standard input. It sends
`listening` when it can be asked, `health` whenever that changed, `page` when it was asked for one, and `ask`
for what only the Mac can do; every `ask` gets one `answer` with its number. The shell also sends `open` to
get an address for its window, and `woke` after sleep, answered by a `health`. The end of the input tells the
server to stop: so it never outlives its shell, however that ended. An unknown `type` is passed over.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

LONGEST_LINE = 64 * 1024

LoginItem = Literal["on", "off", "needs approval", "not available"]
Question = Literal[
    "check_for_updates",
    "set_automatic_updates",
    "login_item",
    "set_login_item",
    "set_menu_bar_only",
    "open_folder",
]


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """The server listens on `url`, its origin without a path."""

    url: str


class Health(msgspec.Struct, frozen=True, tag="health"):
    """The server's own word on how it is, as /health has it; `problem` is what is wrong with its bridge."""

    status: str
    problem: str | None = None


class Page(msgspec.Struct, frozen=True, tag="page"):
    """The address to show in the window; it lets its bearer in and works once."""

    url: str


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question or an order for the Mac. `value` is what it is about: a switch, or a folder's path."""

    id: int
    question: Question
    value: bool | str | None = None


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to the question `id`: a value, or in `error` why there is none."""

    id: int
    value: str | None = None
    error: str | None = None


class Open(msgspec.Struct, frozen=True, tag="open"):
    """The shell is about to show its window: send a `page`. `place` is a page's name, such as "settings"."""

    place: str = ""


class Woke(msgspec.Struct, frozen=True, tag="woke"):
    """The Mac slept and is awake again: connections may be dead without having ended."""


FromServer: TypeAlias = Listening | Health | Page | Ask
FromShell: TypeAlias = Answer | Open | Woke
T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_FROM_SERVER: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)
_FROM_SHELL: msgspec.json.Decoder[FromShell] = msgspec.json.Decoder(FromShell)


class Shell(Protocol):
    """What the pages may ask of the Mac. Every method raises AppError when it could not be done."""

    async def check_for_updates(self) -> None:
        """Have Sparkle look for an update now and show what it finds."""
        ...

    async def set_automatic_updates(self, on: bool) -> None:
        """Have Sparkle look for updates now and then, or only when asked."""
        ...

    async def login_item(self) -> LoginItem:
        """Say if the app starts at login; "needs approval" means in System Settings, by the user."""
        ...

    async def set_login_item(self, on: bool) -> LoginItem:
        """Have the app start at login or not; the answer tells what came of it."""
        ...

    async def set_menu_bar_only(self, on: bool) -> None:
        """Leave the Dock, or come back to it."""
        ...

    async def open_folder(self, path: str) -> None:
        """Show a folder in the Finder."""
        ...


def encode(message: FromServer | FromShell) -> bytes:
    """Give a message as its line, with the end of the line."""
    return _ENCODER.encode(message) + b"\n"


def from_server(line: bytes) -> FromServer | None:
    """Read a line of the server's; None for one that is no message known here."""
    return _read(line, _FROM_SERVER)


def from_shell(line: bytes) -> FromShell | None:
    """Read a line of the shell's; None for one that is no message known here."""
    return _read(line, _FROM_SHELL)


def _read(line: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError:
        return None
