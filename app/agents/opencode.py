"""OpenCode: a provider in its global opencode.json (https://opencode.ai/docs/config, /docs/providers)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.agents.home import Home
from app.agents.model import (
    KEY,
    PROVIDER,
    TITLE,
    Agent,
    ConfigFile,
    Default,
    Drop,
    Head,
    Own,
    Signs,
    Target,
    title,
)

SCHEMA = "https://opencode.ai/config.json"
NPM = "@ai-sdk/openai-compatible"
OUTDATED = ("cursor", "cursorsdk")  # providers that older versions of this app wrote


def provider(target: Target) -> dict[str, Any]:
    """Give the entry under `provider`; also Kilo Code's, which descends from OpenCode."""
    return {
        "npm": NPM,
        "name": TITLE,
        "options": {"baseURL": target.base_url, "apiKey": KEY},
        "models": {
            model.id: {
                "name": title(model),
                "tool_call": True,
                "attachment": True,
                "modalities": {"input": ["text", "image"], "output": ["text"]},  # or it drops pictures
                "cost": {"input": model.price.input, "output": model.price.output},
                "limit": {"context": model.context, "output": model.output},
            }
            for model in target.models
        },
    }


def config_path(home: Home) -> Path:
    """Give the file that OpenCode reads last of its global ones, of those that are there."""
    if home.env.get("OPENCODE_CONFIG", "").startswith("/"):
        return Path(home.env["OPENCODE_CONFIG"])
    return first_of(home.config / "opencode", "opencode.jsonc", "opencode.json", default="opencode.json")


def first_of(folder: Path, *names: str, default: str) -> Path:
    """Give the first of the files that exists, else the default one."""
    return next((folder / name for name in names if (folder / name).exists()), folder / default)


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    return (config_file(config_path(home), target, SCHEMA),)


def config_file(path: Path, target: Target, schema: str) -> ConfigFile:
    """Give the file with the provider; the user's choice of a model stays, unless it was an outdated one."""
    return ConfigFile(
        path,
        "json",
        (
            Head(("$schema",), schema),
            *(Drop(("provider", name)) for name in OUTDATED),
            Own(("provider", PROVIDER), provider(target)),
            Default(
                ("model",),
                f"{PROVIDER}/{target.fast.id}",
                ours=f"{PROVIDER}/",
                outdated=tuple(f"{name}/" for name in OUTDATED),
            ),
        ),
        urls=(("provider", PROVIDER, "options", "baseURL"),),
    )


def _signs(home: Home) -> Signs:
    return Signs(programs=("opencode",), applications=("OpenCode",), folders=(home.config / "opencode",))


AGENT = Agent(
    "opencode",
    "OpenCode",
    _files,
    _signs,
    after="Start opencode and choose a model of API for Cursor with /models.",
    website="https://opencode.ai",
)
