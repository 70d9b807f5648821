"""Kilo Code: a provider in kilo.jsonc, as OpenCode's, which it descends from (https://kilo.ai/docs)."""

from __future__ import annotations

from pathlib import Path

from app.agents.home import Home
from app.agents.model import Agent, ConfigFile, Signs, Target
from app.agents.opencode import config_file, first_of

SCHEMA = "https://app.kilo.ai/config.json"


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    given = home.env.get("KILO_CONFIG", "")
    path = Path(given) if given.startswith("/") else _path(home)
    return (config_file(path, target, SCHEMA),)


def _path(home: Home) -> Path:
    folder = home.config / "kilo"
    return first_of(folder, "kilo.jsonc", "kilo.json", default="kilo.jsonc")


def _signs(home: Home) -> Signs:
    return Signs(
        programs=("kilo", "kilocode"),
        folders=(home.config / "kilo",),
        extensions=("kilocode.kilo-code",),
    )


AGENT = Agent(
    "kilo",
    "Kilo Code",
    _files,
    _signs,
    after="Restart Kilo Code and choose a model of API for Cursor.",
    website="https://kilo.ai",
)
