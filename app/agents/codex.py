"""Codex: a provider in ~/.codex/config.toml and a profile for each model
(https://developers.openai.com/codex).

A profile `x` is a file `x.config.toml` beside config.toml (since Codex 0.134), used with `codex --profile
x`, so that the user's own model stays the default. The key comes from a command, for Codex takes none from
its file.
"""

from __future__ import annotations

from app.agents.home import Home
from app.agents.model import KEY, PROVIDER, TITLE, Agent, ConfigFile, Own, Signs, Target

REFRESH_MS = 300_000  # how long Codex uses a key before it asks the command again


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    folder = home.folder("CODEX_HOME", ".codex")
    provider = ConfigFile(
        folder / "config.toml",
        "toml",
        (Own(("model_providers", PROVIDER), _provider(target)),),
        urls=(("model_providers", PROVIDER, "base_url"),),
    )
    profiles = (
        ConfigFile(
            folder / f"{PROVIDER}{'-fast' if model.fast else ''}.config.toml",
            "toml",
            (
                Own(("model_provider",), PROVIDER),
                Own(("model",), model.id),
                Own(("model_context_window",), model.context),
            ),
        )
        for model in target.models
    )
    return (provider, *profiles)


def _provider(target: Target) -> dict[str, object]:
    return {
        "name": TITLE,
        "base_url": target.base_url,
        "wire_api": "responses",
        "auth": {"command": "/bin/echo", "args": [KEY], "refresh_interval_ms": REFRESH_MS},
    }


def _signs(home: Home) -> Signs:
    return Signs(
        programs=("codex",),
        applications=("Codex",),
        folders=(home.folder("CODEX_HOME", ".codex"),),
        extensions=("openai.chatgpt",),
    )


AGENT = Agent(
    "codex",
    "Codex",
    _files,
    _signs,
    after=f"Run codex --profile {PROVIDER}, or --profile {PROVIDER}-fast.",
    website="https://developers.openai.com/codex",
    responses_tools=True,
)
