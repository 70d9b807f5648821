"""Cline: its "OpenAI Compatible" provider in ~/.cline/data/settings, which its extensions and its CLI share.

https://docs.cline.bot/getting-started/config. Cline before the shared settings kept that provider in
globalState.json and its key in secrets.json; where that file is, it is set too.
"""

from __future__ import annotations

from pathlib import Path

from app.agents.home import Home
from app.agents.model import (
    KEY,
    TITLE,
    Agent,
    ConfigFile,
    Fill,
    Head,
    Own,
    Signs,
    Take,
    Target,
    title,
)
from app.cursor.models import Model

PROVIDER = "openai-compatible"  # one of Cline's own: its CLI (3.0) does not find providers by other names
WRITTEN = "2026-01-01T00:00:00.000Z"  # a time Cline asks for and replaces whenever it saves


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    data = _data(home)
    old = (_secrets(data), _state(data, target)) if (data / "globalState.json").exists() else ()
    return (_models(data, target), _providers(data, target), *old)


def _data(home: Home) -> Path:
    return home.folder("CLINE_DATA_DIR", str(home.folder("CLINE_DIR", ".cline") / "data"))


def _providers(data: Path, target: Target) -> ConfigFile:
    entry = ("providers", PROVIDER)
    settings = (*entry, "settings")
    return ConfigFile(
        data / "settings" / "providers.json",
        "json",
        (
            Head(("version",), 1),
            Take(("lastUsedProvider",), PROVIDER),
            Take((*settings, "provider"), PROVIDER),
            Take((*settings, "model"), target.default.id),
            Take((*settings, "apiKey"), KEY, mark=True),
            Take((*settings, "baseUrl"), target.base_url, mark=True),
            Fill((*entry, "updatedAt"), WRITTEN),
            Fill((*entry, "tokenSource"), "manual"),
        ),
        urls=((*settings, "baseUrl"),),
        private=True,
    )


def _models(data: Path, target: Target) -> ConfigFile:
    entry = ("providers", PROVIDER)
    provider = {"name": TITLE, "baseUrl": target.base_url, "defaultModelId": target.default.id}
    models = (Own((*entry, "models", model.id), _model(model)) for model in target.models)
    return ConfigFile(
        data / "settings" / "models.json",
        "json",
        (Head(("version",), 1), Take((*entry, "provider"), provider), *models),
        urls=((*entry, "provider", "baseUrl"),),
    )


def _model(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": title(model),
        "contextWindow": model.context,
        "maxInputTokens": model.context,
        "maxTokens": model.output,
        "capabilities": ["streaming", "tools", "images"],
        "inputPrice": model.price.input,
        "outputPrice": model.price.output,
    }


def _state(data: Path, target: Target) -> ConfigFile:
    model = target.default
    info = {
        "maxTokens": model.output,
        "contextWindow": model.context,
        "supportsImages": True,
        "supportsPromptCache": False,
        "inputPrice": model.price.input,
        "outputPrice": model.price.output,
        "temperature": 0,
    }
    modes = tuple(
        setting
        for mode in ("act", "plan")
        for setting in (
            Take((f"{mode}ModeApiProvider",), "openai"),
            Take((f"{mode}ModeOpenAiModelId",), model.id),
            Take((f"{mode}ModeOpenAiModelInfo",), info),
        )
    )
    return ConfigFile(
        data / "globalState.json",
        "json",
        (*modes, Take(("openAiBaseUrl",), target.base_url, mark=True)),
        urls=(("openAiBaseUrl",),),
    )


def _secrets(data: Path) -> ConfigFile:
    return ConfigFile(
        data / "secrets.json",
        "json",
        (Take(("openAiApiKey",), KEY, mark=True),),
        secret=True,
        private=True,
    )


def _signs(home: Home) -> Signs:
    return Signs(programs=("cline",), folders=(_data(home),), extensions=("saoudrizwan.claude-dev",))


AGENT = Agent(
    "cline",
    "Cline",
    _files,
    _signs,
    after="Restart Cline (or the editor's window); it starts with API for Cursor.",
    website="https://cline.bot",
)
