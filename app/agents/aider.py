"""Aider: its model and address in ~/.aider.conf.yml, and what it should know of the models beside it.

https://aider.chat/docs/config/aider_conf.html and .../adv-model-settings.html. Aider reads the two files
about models from the home folder under these names by itself.
"""

from __future__ import annotations

from app.agents.home import Home
from app.agents.model import KEY, Agent, ConfigFile, Item, Own, Signs, Take, Target
from app.cursor.models import Model


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    conf = ConfigFile(
        home.path / ".aider.conf.yml",
        "yaml",
        (
            Take(("model",), _id(target.default)),
            Take(("weak-model",), _id(target.fast)),
            Take(("editor-model",), _id(target.fast)),
            Take(("openai-api-base",), target.base_url, mark=True),
            Take(("openai-api-key",), KEY, mark=True),
        ),
        urls=(("openai-api-base",),),
    )
    metadata = ConfigFile(
        home.path / ".aider.model.metadata.json",
        "json",
        tuple(Own((_id(model),), _metadata(model)) for model in target.models),
    )
    settings = ConfigFile(
        home.path / ".aider.model.settings.yml",
        "yaml",
        tuple(Own((Item("name", _id(model)),), _settings(model, target)) for model in target.models),
        array=True,
    )
    return conf, metadata, settings


def _id(model: Model) -> str:
    return f"openai/{model.id}"


def _metadata(model: Model) -> dict[str, object]:
    return {
        "max_tokens": model.output,
        "max_input_tokens": model.context,
        "max_output_tokens": model.output,
        "input_cost_per_token": _each(model.price.input),
        "output_cost_per_token": _each(model.price.output),
        "litellm_provider": "openai",
        "mode": "chat",
    }


def _each(usd_per_million: float) -> float:
    return round(usd_per_million / 1_000_000, 12)


def _settings(model: Model, target: Target) -> dict[str, object]:
    return {
        "name": _id(model),
        "edit_format": "diff",
        "weak_model_name": _id(target.fast),
        "editor_model_name": _id(target.fast),
        "editor_edit_format": "editor-diff",
        "use_repo_map": True,
        "use_temperature": False,
    }


def _signs(home: Home) -> Signs:
    return Signs(programs=("aider",), folders=(home.path / ".aider.conf.yml", home.path / ".aider"))


AGENT = Agent(
    "aider",
    "Aider",
    _files,
    _signs,
    after="Run aider in a repository.",
    website="https://aider.chat",
)
