"""The house's rules, kept by a test: who may import whom, and what may not stand in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"app", "appcast", "commands", "errors", "release", "signing", "tasks", "worker"}
MAY = {
    "errors": set(),
    "commands": {"errors"},
    "signing": {"errors", "commands", "signing"},
    "appcast": {"errors", "commands", "appcast", "signing"},
    "release": {"errors", "commands", "release", "signing", "appcast"},
    "app": {"app"},
    "worker": {"app", "worker"},
    "tasks": {"errors", "commands", "release", "appcast", "signing"},
}
BESIDES = {
    # From source, the app asks the project's own reader of feeds; packaged, it has Sparkle for that.
    "app/updates.py": {"appcast", "signing"},
    # A rehearsal is checked through the download site itself.
    "release/rehearsal/site.py": {"worker"},
}


def tracked(pattern: str = "*") -> list[Path]:
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--", pattern], capture_output=True, check=True
    ).stdout.decode()
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found & OURS


def owner(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", tracked("*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    if owner(path) in MAY:
        assert imports(path) <= MAY[owner(path)] | BESIDES.get(path.relative_to(ROOT).as_posix(), set())


def test_the_rule_catches_a_breach(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from release.config import load\n")
    assert not imports(bad) <= MAY["signing"]


def test_locks_carry_hashes_and_no_address() -> None:
    for path in tracked("requirements/*.txt"):
        text = path.read_text()
        pinned = re.findall(r"^[A-Za-z0-9][^\s=]*==\S+", text, re.M)
        assert pinned, path
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text
        names = re.findall(r"^([A-Za-z0-9][^\s=]*)==", text, re.M)
        assert names == sorted(names), f"{path} is not one lock, or not as it was written"
    for path in tracked("*package-lock.json"):
        assert '"resolved"' not in path.read_text()


def test_no_registry_no_big_file_no_binary() -> None:
    hosts = re.compile(
        "registry[.]" + "npmjs|py" + "pi[.]org|python" + "hosted|registry[.]" + "yarnpkg|deb[.]" + "debian"
    )
    native = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
    for path in tracked():
        data = path.read_bytes()
        assert len(data) < 1_000_000, path
        assert not data.startswith(native), path
        assert not hosts.search(data.decode("utf-8", "replace")), path


def test_modules_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {
        name: lines for name, lines in long.items() if lines > (500 if owner(ROOT / name) != "tests" else 700)
    } == {}
