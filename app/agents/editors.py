"""VS Code and the editors made from it: where each keeps its user's settings and extensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.agents.home import Home


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor: `name` is that of its folder of settings, `extensions` of its folder in the home."""

    name: str
    extensions: str
    program: str
    application: str

    def user(self, home: Home) -> Path:
        """Give the folder of the user's settings."""
        return home.applications / self.name / "User"

    def versions(self, home: Home, extension: str) -> list[Path]:
        """Give the folders of an extension, given as publisher.name: one a version that is installed."""
        return sorted((home.path / self.extensions / "extensions").glob(f"{extension}-*"))


CODE = Editor("Code", ".vscode", "code", "Visual Studio Code")
OFFICIAL = (
    CODE,
    Editor("Code - Insiders", ".vscode-insiders", "code-insiders", "Visual Studio Code - Insiders"),
    Editor("VSCodium", ".vscode-oss", "codium", "VSCodium"),
)
EDITORS = (
    *OFFICIAL,
    Editor("Cursor", ".cursor", "cursor", "Cursor"),
    Editor("Windsurf", ".windsurf", "windsurf", "Windsurf"),
)


def present(home: Home) -> tuple[Editor, ...]:
    """Give the editors that have been used on this machine."""
    return tuple(editor for editor in EDITORS if editor.user(home).is_dir())
