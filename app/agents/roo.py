"""Roo Code: a settings file of ours that it imports when the editor starts
(roo-cline.autoImportSettingsPath).

https://docs.roocode.com/features/settings-management. Roo keeps what it imported: after a removal the profile
stays in its own storage, where only Roo can delete it.
"""

from __future__ import annotations

from pathlib import Path

from app.agents.editors import CODE, Editor, present
from app.agents.home import Home
from app.agents.model import KEY, PROVIDER, TITLE, Agent, ConfigFile, Own, Signs, Take, Target

EXTENSION = "rooveterinaryinc.roo-cline"
MODES = ("architect", "code", "ask", "debug", "orchestrator")


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    profiles = home.config / "api-for-cursor" / "roo-code-settings.json"
    imports = (
        ConfigFile(
            editor.user(home) / "settings.json",
            "json",
            (Take(("roo-cline.autoImportSettingsPath",), str(profiles), mark=True),),
        )
        for editor in _editors(home)
    )
    return (_profiles(profiles, target), *imports)


def _editors(home: Home) -> tuple[Editor, ...]:
    """Give the editors with Roo Code; else the first that is used, else VS Code."""
    found = present(home)
    return tuple(editor for editor in found if editor.versions(home, EXTENSION)) or found[:1] or (CODE,)


def _profiles(path: Path, target: Target) -> ConfigFile:
    place = ("providerProfiles",)
    names = {model.id: f"{TITLE}: {model.id}" for model in target.models}
    chosen = f"{PROVIDER}-{target.default.id}"
    configs = {
        name: {
            "id": f"{PROVIDER}-{model.id}",
            "apiProvider": "openai",
            "openAiBaseUrl": target.base_url,
            "openAiApiKey": KEY,
            "openAiModelId": model.id,
            "openAiStreamingEnabled": True,
            "includeMaxTokens": True,
            "modelMaxTokens": model.output,
            "consecutiveMistakeLimit": 3,
            "todoListEnabled": True,
            "openAiCustomModelInfo": {
                "maxTokens": model.output,
                "contextWindow": model.context,
                "supportsImages": True,
                "supportsPromptCache": False,
                "inputPrice": model.price.input,
                "outputPrice": model.price.output,
            },
        }
        for model, name in zip(target.models, names.values(), strict=True)
    }
    value = {
        "currentApiConfigName": names[target.default.id],
        "apiConfigs": configs,
        "modeApiConfigs": dict.fromkeys(MODES, chosen),
    }
    urls = tuple((*place, "apiConfigs", name, "openAiBaseUrl") for name in configs)
    return ConfigFile(path, "json", (Own(place, value),), urls=urls)


def _signs(home: Home) -> Signs:
    return Signs(extensions=(EXTENSION,))


AGENT = Agent(
    "roo",
    "Roo Code",
    _files,
    _signs,
    after="Restart the editor: Roo Code imports the profiles then, and each time it starts.",
    website="https://docs.roocode.com",
)
