from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from commands import Subprocess
from errors import Exit, Fault
from release.version import Git, check_build, check_version, key, next_build, require_clean, version_of


@pytest.fixture
def git(tmp_path: Path) -> Git:
    def run(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True)

    run("init", "-q")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a").write_text("1")
    run("add", ".")
    run("commit", "-qm", "one")
    (tmp_path / "README.md").write_text("words")
    run("add", ".")
    run("commit", "-qm", "two")
    git = Git(Subprocess(), tmp_path)
    git.run = run  # type: ignore[attr-defined]
    return git


@pytest.mark.parametrize("text", ["1.0-beta", "v1.0", "1", "1.0.0.0", "1.0 ", "", "1.0b1", "١.٢"])
def test_bad_versions(text: str) -> None:
    with pytest.raises(Fault) as caught:
        check_version(text)
    assert caught.value.status == Exit.VERSION
    assert caught.value.cure


@pytest.mark.parametrize("text", ["0", "1a", "1-2", "", "-1", "1.2.3.4.5", "01"])
def test_bad_builds(text: str) -> None:
    with pytest.raises(Fault):
        check_build(text)


def test_builds_rise() -> None:
    assert sorted(["58", "57.10", "57", "57.2"], key=key) == ["57", "57.2", "57.10", "58"]
    assert next_build("57", {}, "s") == "57"
    assert next_build("57", {"57": "s"}, "s") == "57"
    assert next_build("57", {"57": "s"}, "t") == "57.1"
    assert next_build("57", {"57": "s", "57.9": "t"}, "u") == "57.10"
    assert next_build("57", {"57": "s", "57.9": "t"}, "t") == "57.9"
    assert next_build("57", {"57": "s", "57.9": "t"}, "s") == "57.10"


def test_only_what_is_shipped_makes_a_build(git: Git) -> None:
    assert git.commits() == 1


def test_version_from_the_tag(git: Git) -> None:
    assert version_of(git, None, require_tag=False) == "0.1.0"
    with pytest.raises(Fault) as caught:
        version_of(git, None, require_tag=True)
    assert caught.value.status == Exit.GIT
    git.run("tag", "v1.2.3")  # type: ignore[attr-defined]
    assert version_of(git, None, require_tag=True) == "1.2.3"
    with pytest.raises(Fault, match=r"not v1\.3\.0"):
        version_of(git, "1.3.0", require_tag=True)
    assert version_of(git, "1.3.0", require_tag=False) == "1.3.0"


def test_dirty_tree(git: Git, tmp_path: Path) -> None:
    require_clean(git)
    (tmp_path / "new").write_text("x")
    with pytest.raises(Fault) as caught:
        require_clean(git)
    assert caught.value.status == Exit.GIT
    assert "new" in str(caught.value)


def test_without_history(tmp_path: Path) -> None:
    git = Git(Subprocess(), tmp_path)
    assert version_of(git, None, require_tag=False) == "0.1.0"
    assert git.commits() == 0
