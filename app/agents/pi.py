"""pi: a provider in ~/.pi/agent/models.json (its docs/models.md)."""

from __future__ import annotations

from app.agents.home import Home
from app.agents.model import KEY, PROVIDER, Agent, ConfigFile, Own, Signs, Target, title
from app.cursor.models import Model

API = "openai-completions"


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    return (
        ConfigFile(
            home.folder("PI_CODING_AGENT_DIR", ".pi/agent") / "models.json",
            "json",
            (Own(("providers", PROVIDER), _provider(target)),),
            urls=(("providers", PROVIDER, "baseUrl"),),
        ),
    )


def _provider(target: Target) -> dict[str, object]:
    return {
        "baseUrl": target.base_url,
        "apiKey": KEY,
        "authHeader": True,
        "api": API,
        "models": [_model(model) for model in target.models],
    }


def _model(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": title(model),
        "api": API,
        "reasoning": False,
        "input": ["text", "image"],
        "contextWindow": model.context,
        "maxTokens": model.output,
        "cost": {"input": model.price.input, "output": model.price.output, "cacheRead": 0, "cacheWrite": 0},
        "compat": {
            "supportsUsageInStreaming": True,
            "maxTokensField": "max_tokens",
            "requiresAssistantAfterToolResult": False,
        },
    }


def _signs(home: Home) -> Signs:
    return Signs(programs=("pi",), folders=(home.folder("PI_CODING_AGENT_DIR", ".pi/agent"),))


AGENT = Agent(
    "pi",
    "pi",
    _files,
    _signs,
    after="Start pi and choose a model of cursorapi with /model.",
    website="https://pi.dev",
)
