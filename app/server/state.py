"""What the endpoints share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from app.activity import Activity
from app.cursor.client import Bridge
from app.errors import AppError
from app.keys import Keys
from app.preferences import AFTER_RESTART, File, Loaded, Preferences
from app.server.listening import Address
from app.server.logs import log_from
from app.server.store import Responses
from app.server.visits import Watchers
from app.settings import Settings
from app.shell.link import Shell
from app.version import command


@dataclass(slots=True)
class State:
    """The server's parts.

    `file` keeps the user's preferences, where there are any to keep; `watchers` are told of every request;
    `token` lets programs of this user's in that could read the runtime file (app/instance.py); `shell` is the
    Mac app around the server, if there is one; `problems` are what was wrong with the
    settings at the start, and `activity` is what was asked, both for the pages.
    """

    settings: Settings
    address: Address
    bridge: Bridge
    keys: Keys
    file: File | None = None
    watchers: Watchers = field(default_factory=Watchers)
    responses: Responses = field(default_factory=Responses)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    shell: Shell | None = None
    problems: tuple[str, ...] = ()
    activity: Activity = field(init=False)
    started_with: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.activity = Activity(self.settings.data_dir)
        self.started_with = self.settings

    def preferences(self) -> Loaded:
        """Read what the user chose; problems with the file are told in it."""
        return Loaded() if self.file is None else self.file.load()

    def change(self, **changes: Any) -> frozenset[str]:
        """Keep changed preferences and follow them at once; gives those that wait for the next start.

        None takes a choice back. Those that the environment decides are kept for when it does not any more.
        Raises AppError for what cannot be, or cannot be written.
        """
        if self.file is None:
            raise AppError("this server keeps no settings", cure=f"start it with `{command('serve')}`")
        self.follow(self.file.change(changes))
        return AFTER_RESTART & changes.keys()

    def follow(self, preferences: Preferences) -> None:
        """Take up what the user chose."""
        self.settings = self.settings.following(preferences)
        log_from(self.settings.log_level)


def state_of(request: Request) -> State:
    """Give the server's state to an endpoint."""
    state: State = request.app.state.server
    return state
