"""What an agent is to Agent Setup: its files, and the settings in them that point it at this app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from app.agents.home import Home
from app.cursor.models import MODELS, Model

PROVIDER = "cursorapi"  # our name among an agent's providers
TITLE = "API for Cursor"  # the same, for people
KEY = "cursor-local"  # what agents send as a key: the server asks for none, they insist on one

Action = Literal["install", "remove"]
Format = Literal["json", "toml", "yaml"]
State = Literal["not found", "install", "needs update", "hosted", "installed", "unreadable"]


@dataclass(frozen=True, slots=True)
class Target:
    """What agents are pointed at. `base_url` ends in /v1."""

    base_url: str
    models: tuple[Model, ...] = MODELS

    @property
    def default(self) -> Model:
        """The model for work that should be done well."""
        return self.models[0]

    @property
    def fast(self) -> Model:
        """The model for work that should be done soon."""
        return next((model for model in self.models if model.fast), self.models[0])


def title(model: Model) -> str:
    """Give a model's name for people: "Composer 2.5 Fast"."""
    return " ".join(word.capitalize() for word in model.id.split("-"))


def is_local(url: str) -> bool:
    """Say whether a URL is of this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host in ("localhost", "::1") or host.startswith("127.")


@dataclass(frozen=True, slots=True)
class Item:
    """A step of a path: the item of a list whose `key` is `value`."""

    key: str
    value: str


Step = str | Item
At = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """An entry of ours among others. What a user added to it stays on update; removal takes it whole."""

    at: At
    value: Any


@dataclass(frozen=True, slots=True)
class Take:
    """A setting that an agent has once, and that must be ours. Removal gives the former one back.

    `mark` says that finding this value shows that it was us who set the agent up.
    """

    at: At
    value: Any
    mark: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """A value in an entry of ours that must be there; which one is the agent's to change."""

    at: At
    value: Any


@dataclass(frozen=True, slots=True)
class Default:
    """A choice that is ours only where the user made none, or an outdated one (by its beginning).

    `ours` is what all values of ours begin with: removal takes those away.
    """

    at: At
    value: str
    ours: str
    outdated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """An entry that an older version of this app left, in place of which ours comes."""

    at: At


@dataclass(frozen=True, slots=True)
class Head:
    """A line that a file of its kind begins with, put only where we make the file."""

    at: At
    value: Any


Setting = Own | Take | Fill | Default | Drop | Head


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of an agent's and what belongs in it. `urls` are the places of the addresses it talks to."""

    path: Path
    format: Format
    settings: tuple[Setting, ...]
    urls: tuple[At, ...] = ()
    array: bool = False  # whether the file is a list rather than a table of names
    secret: bool = False  # whether all it holds is secret
    private: bool = False  # whether to make it readable by its user only


@dataclass(frozen=True, slots=True)
class Signs:
    """What shows that an agent is on this machine, any of them."""

    programs: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    extensions: tuple[str, ...] = ()  # of VS Code and its kin, as publisher.name


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: `name` is for the command line, `title` for people.

    `files` gives its files in the order in which they are written; `signs` what shows that it is here.
    `after` says what the user does next, once it is installed; `responses_tools` that it works only if this
    app's server lets tools into Responses.
    """

    name: str
    title: str
    files: Callable[[Home, Target], tuple[ConfigFile, ...]]
    signs: Callable[[Home], Signs]
    after: str
    website: str
    responses_tools: bool = False
