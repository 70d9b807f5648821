"""VS Code's own chat: a "Custom Endpoint" in User/chatLanguageModels.json (since VS Code 1.122).

https://code.visualstudio.com/docs/agent-customization/language-models; the file is a list of groups of
models. Cursor and Windsurf, which have a chat of their own, get it only where none of the others is there.
"""

from __future__ import annotations

from app.agents.editors import CODE, EDITORS, OFFICIAL, Editor, present
from app.agents.home import Home
from app.agents.model import KEY, TITLE, Agent, ConfigFile, Item, Own, Signs, Target, title


def _files(home: Home, target: Target) -> tuple[ConfigFile, ...]:
    return tuple(_file(editor, home, target) for editor in _editors(home))


def _editors(home: Home) -> tuple[Editor, ...]:
    found = present(home)
    return tuple(editor for editor in found if editor in OFFICIAL) or found[:1] or (CODE,)


def _file(editor: Editor, home: Home, target: Target) -> ConfigFile:
    entry = (Item("name", TITLE),)
    return ConfigFile(
        editor.user(home) / "chatLanguageModels.json",
        "json",
        (Own(entry, _group(target)),),
        urls=tuple((*entry, "models", Item("id", model.id), "url") for model in target.models),
        array=True,
    )


def _group(target: Target) -> dict[str, object]:
    return {
        "name": TITLE,
        "vendor": "customendpoint",
        "apiKey": KEY,
        "apiType": "chat-completions",
        "models": [
            {
                "id": model.id,
                "name": title(model),
                "url": f"{target.base_url}/chat/completions",
                "toolCalling": True,
                "vision": True,
                "maxInputTokens": model.context - model.output,
                "maxOutputTokens": model.output,
            }
            for model in target.models
        ],
    }


def _signs(home: Home) -> Signs:
    return Signs(
        programs=tuple(editor.program for editor in EDITORS),
        applications=tuple(editor.application for editor in EDITORS),
        folders=tuple(editor.user(home) for editor in EDITORS),
    )


AGENT = Agent(
    "vscode",
    "VS Code",
    _files,
    _signs,
    after="Restart VS Code and choose a model of API for Cursor in the chat's model picker.",
    website="https://code.visualstudio.com",
)
