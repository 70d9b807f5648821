"""What the machine works with: the state of the Mac app, what can happen to it, what it can have done."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from app.shell import link

Phase = Literal["stopped", "starting", "running", "stopping", "waiting", "failed"]
Timer = Literal["listening", "awake", "kill", "restart"]
Action = Literal["open", "settings", "copy", "start", "stop", "restart", "check_for_updates"]
Topic = Literal["key", "bridge", "server", "update"]


@dataclass(frozen=True, slots=True)
class State:
    """The app at one moment.

    `phase` is that of the server's process ("waiting" is for the next attempt) and `run` its number, so that
    what belongs to an earlier process is recognised. `wanted` is false once the user stopped it. `short`
    counts processes in a row that ended soon after they began. `place` is the page the window waits for, None
    if it waits for none. `told` says when the user was last notified about a topic. Times are seconds of a
    clock that only goes forward.
    """

    phase: Phase = "stopped"
    run: int = 0
    began: float = 0.0
    short: int = 0
    wanted: bool = True
    quitting: bool = False
    url: str | None = None
    health: link.Health | None = None
    failure: str = ""
    unanswered: bool = False
    place: str | None = None
    shown: bool = False
    menu_bar_only: bool = False
    update: str | None = None
    told: MappingProxyType[Topic, float] = field(default_factory=lambda: MappingProxyType({}))


# -- what happens ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launched:
    """The app has started: by the user, or at login."""

    at_login: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """The server's process number `run` sent a message."""

    run: int
    message: link.FromServer


@dataclass(frozen=True, slots=True)
class Ended:
    """The server's process number `run` is gone. `status` as subprocess has it; `last` is its last line."""

    run: int
    status: int
    last: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A time that was asked for has come."""

    timer: Timer
    run: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The user chose an item of a menu."""

    action: Action


@dataclass(frozen=True, slots=True)
class Summoned:
    """The user wants to see the app: clicked on it in the Dock, on a notification, or opened it again."""


@dataclass(frozen=True, slots=True)
class WindowClosed:
    """The window is gone."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The Mac slept and is awake again."""


@dataclass(frozen=True, slots=True)
class UpdateFound:
    """Sparkle found `version` without having been asked just now."""

    version: str


@dataclass(frozen=True, slots=True)
class UpdateSeen:
    """The user has attended to the update, or it is gone."""


@dataclass(frozen=True, slots=True)
class QuitAsked:
    """The app is asked to end: by the user, by Sparkle before it relaunches, or by a Mac that shuts down."""


Event: TypeAlias = (
    Launched | Said | Ended | Due | Chosen | Summoned | WindowClosed | Woken | UpdateFound | UpdateSeen
    | QuitAsked
)  # fmt: skip


# -- what is to be done ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start the server's process and call it `run`."""

    run: int


@dataclass(frozen=True, slots=True)
class StopServer:
    """Ask the server's process to end."""


@dataclass(frozen=True, slots=True)
class KillServer:
    """End the server's process without asking."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send the server a message."""

    message: link.FromShell


@dataclass(frozen=True, slots=True)
class After:
    """Let `due` happen in so many seconds."""

    seconds: float
    due: Due


@dataclass(frozen=True, slots=True)
class ShowPage:
    """Bring the window to the front with this address in it."""

    url: str


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """Bring the window to the front with a message in it, because there is no server to ask for a page."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class RaiseWindow:
    """Bring the window to the front as it is."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Show a notification."""

    topic: Topic
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Perform:
    """Carry out what a page asks for, and send its answer."""

    ask: link.Ask


@dataclass(frozen=True, slots=True)
class SetDock:
    """Be in the Dock, or in the menu bar only."""

    visible: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """Put a text on the pasteboard."""

    text: str


@dataclass(frozen=True, slots=True)
class CheckForUpdates:
    """Have Sparkle look for an update and show what it finds."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the app: the server is gone."""


Effect: TypeAlias = (
    StartServer | StopServer | KillServer | Send | After | ShowPage | ShowMessage | RaiseWindow | Notify
    | Perform | SetDock | Copy | CheckForUpdates | Quit
)  # fmt: skip
