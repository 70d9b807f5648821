"""What stands around the code: hooks, templates, licence, changelog, editor settings."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.docs.pages import ROOT

FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def lint_parts() -> list[str]:
    """What `./invoke lint` runs, as `ruff check .`."""
    tree = ast.parse((ROOT / "tasks.py").read_text("utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "lint")
    calls = [
        node for node in ast.walk(body) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    found = [[word.value for word in call.args if isinstance(word, ast.Constant)] for call in calls]
    return [" ".join(map(str, words)) for words in found if words]


def test_the_hooks_are_the_parts_of_lint_and_fetch_nothing() -> None:
    config = yaml(ROOT / ".pre-commit-config.yaml")
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system", "fail"}
    entries = [hook["entry"] for hook in hooks if hook["language"] == "system"]
    assert all(entry.startswith(".venv/bin/python -m ") for entry in entries)
    parts = [part.removesuffix(" .") for part in lint_parts()]
    assert "ruff check" in parts
    for part in parts:
        assert any(entry.removeprefix(".venv/bin/python -m ").startswith(part) for entry in entries), part


def test_keys_are_kept_out() -> None:
    config = yaml(ROOT / ".pre-commit-config.yaml")
    pattern = next(hook["files"] for hook in config["repos"][0]["hooks"] if hook["language"] == "fail")
    for name in ("AuthKey_X.p8", "a/developer-id.p12", "ed25519.key", "x.pem"):
        assert re.search(pattern, name)
    assert not re.search(pattern, "release/keys.py")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_is_one(path: Path) -> None:
    """As GitHub wants it: name, description, a body of known kinds, each field with an id and a label."""
    form = yaml(path)
    assert form["name"] and form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    ids = [part["id"] for part in fields]
    assert len(ids) == len(set(ids)) > 0 and all(part["attributes"]["label"] for part in fields)
    assert all(part["attributes"]["options"] for part in fields if part["type"] == "dropdown")


def test_editors_and_ruff_agree() -> None:
    text = (ROOT / ".editorconfig").read_text("utf-8")
    read = configparser.ConfigParser()
    read.read_string("[top]\n" + text)
    length = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    assert (read["top"]["root"], read["*.py"]["max_line_length"]) == ("true", str(length))


def test_the_licence_is_mit() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) ")
    assert "WITHOUT WARRANTY OF ANY KIND" in text
    holder = re.search(r"Copyright \(c\) \d+ (.*)", text)
    assert holder and holder[1] in (ROOT / "release.toml").read_text("utf-8")


def test_the_changelog_is_one_that_is_kept() -> None:
    """Keep a Changelog: [Unreleased] first, versions fall, the known kinds, no empty part."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.M)
    assert sections[0] == ("Unreleased", "")
    assert len(sections) == len(re.findall(r"^## ", text, re.M))
    versions = [tuple(map(int, name.split("."))) for name, date in sections[1:] if date]
    assert len(versions) == len(sections) - 1 and versions == sorted(versions, reverse=True)
    kinds = set(re.findall(r"^### (.*)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert not re.search(r"^##+ .*\n+(?=##|\Z)(?!### )", text, re.M)
