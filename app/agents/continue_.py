"""Continue: an item for each model in ~/.continue/config.yaml (https://docs.continue.dev/reference)."""

from __future__ import annotations

from app.agents.home import Home
from app.agents.model import KEY, Agent, ConfigFile, Head, Item, Own, Signs, Target, title
from app.cursor.models import Model
from app.errors import AppError


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    folder = home.folder("CONTINUE_GLOBAL_DIR", ".continue")
    path = folder / "config.yaml"
    if (folder / "config.json").exists() and not path.exists():
        raise AppError(
            f"Continue still uses {folder / 'config.json'}, and would not read it beside a config.yaml",
            cure="let Continue convert it first (docs.continue.dev/reference/yaml-migration)",
        )
    heads = (Head(("name",), "Main Config"), Head(("version",), "1.0.0"), Head(("schema",), "v1"))
    models = tuple(Own(_place(model), _model(model, target)) for model in target.models)
    return (
        ConfigFile(
            path,
            "yaml",
            (*heads, *models),
            urls=tuple((*_place(model), "apiBase") for model in target.models),
        ),
    )


def _name(model: Model) -> str:
    return f"{title(model)} (API for Cursor)"


def _place(model: Model) -> tuple[str, Item]:
    return "models", Item("name", _name(model))


def _model(model: Model, target: Target) -> dict[str, object]:
    return {
        "name": _name(model),
        "provider": "openai",
        "model": model.id,
        "apiBase": target.base_url,
        "apiKey": KEY,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", "image_input"],
        "defaultCompletionOptions": {"contextLength": model.context, "maxTokens": model.output},
    }


def _signs(home: Home) -> Signs:
    return Signs(
        programs=("cn",),
        folders=(home.folder("CONTINUE_GLOBAL_DIR", ".continue"),),
        extensions=("continue.continue",),
    )


AGENT = Agent(
    "continue",
    "Continue",
    _files,
    _signs,
    after="Choose a model of API for Cursor in Continue; it reads its configuration again by itself.",
    website="https://continue.dev",
)
