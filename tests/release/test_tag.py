from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands import Subprocess
from errors import Exit, Fault
from release import bump as bumping
from release import config as configuration
from release.tag import Tag, make, plan
from tests.standins.repository import GERMAN, Repository, repository

MESSAGE = "API for Cursor 1.2.0\n\n### Added\n\n- A thing.\n\n### Fixed\n\n- Another."


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    """One whose changelog is dated and committed."""
    made = repository(tmp_path / "checkout")
    wanted = bumping.plan(made.root, runner=Subprocess(), today=date(2026, 5, 6))
    bumping.write(wanted)
    bumping.commit(wanted, made.root, Subprocess())
    return made


def tag(checkout: Repository, version: str = "", **more: Any) -> Tag:
    return plan(configuration.load(checkout.root), version, runner=Subprocess(), **more)


def test_a_signed_tag_with_the_section_as_its_message(checkout: Repository, tmp_path: Path) -> None:
    checkout.sign_with_ssh(tmp_path)
    wanted = tag(checkout)
    assert (wanted.name, wanted.branch, wanted.subject) == ("v1.2.0", "main", "Release 1.2.0")
    assert wanted.push == "git push --atomic origin main v1.2.0"
    make(wanted, checkout.root, Subprocess())
    assert checkout.git("rev-parse", "v1.2.0^{commit}") == wanted.head == checkout.git("rev-parse", "HEAD")
    body = checkout.git("tag", "--list", "--format=%(contents)", "v1.2.0")
    assert body.startswith(MESSAGE) and "BEGIN SSH SIGNATURE" in body
    checkout.git("verify-tag", "v1.2.0")  # ends with another status than 0 if it does not verify


def test_an_unsigned_one_is_asked_for(checkout: Repository) -> None:
    make(tag(checkout, signed=False), checkout.root, Subprocess())
    assert checkout.git("tag", "--list", "--format=%(contents)", "v1.2.0").strip() == MESSAGE
    assert checkout.git("cat-file", "-t", "v1.2.0") == "tag"


def test_no_key_makes_no_tag_and_says_what_to_do(checkout: Repository, tmp_path: Path) -> None:
    checkout.git("config", "gpg.format", "ssh")
    checkout.git("config", "user.signingkey", str(tmp_path / "absent"))
    with pytest.raises(Fault, match="could not sign") as caught:
        make(tag(checkout), checkout.root, Subprocess())
    assert caught.value.status == Exit.GIT
    assert "user.signingkey" in str(caught.value) and "--unsigned" in str(caught.value)
    assert checkout.git("tag") == "v1.1.0"


def test_what_is_not_dated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"there is a tag v1\.1\.0 already"):
        tag(repository(tmp_path / "a"))  # nothing but [Unreleased] above it
    undated = repository(tmp_path / "b", changelog="# C\n\n## [1.2.0]\n\n- x\n")
    with pytest.raises(Fault, match=r"no date for 1\.2\.0") as caught:
        tag(undated)
    assert "YYYY-MM-DD" in (caught.value.cure or "")
    nothing = repository(tmp_path / "c", changelog="# C\n\n## [Unreleased]\n\n- x\n")
    with pytest.raises(Fault, match="no version yet"):
        tag(nothing)


def test_a_tag_is_never_made_twice_nor_below_another(checkout: Repository) -> None:
    make(tag(checkout, signed=False), checkout.root, Subprocess())
    with pytest.raises(Fault, match=r"there is a tag v1\.2\.0 already") as caught:
        tag(checkout)
    assert caught.value.status == Exit.GIT
    checkout.git("tag", "-d", "v1.2.0")
    checkout.git("tag", "v2.0.0", "v1.1.0")
    with pytest.raises(Fault, match=r"does not rise above 2\.0\.0"):
        tag(checkout)


def test_a_dirty_tree_is_refused(checkout: Repository) -> None:
    checkout.write("app/a.py", "3\n")
    with pytest.raises(Fault, match="uncommitted") as caught:
        tag(checkout)
    assert caught.value.status == Exit.GIT


def test_head_is_what_is_meant(checkout: Repository) -> None:
    head = checkout.git("rev-parse", "HEAD")
    assert tag(checkout, commit=head[:10]).head == head
    for other in (checkout.git("rev-parse", "HEAD~1"), "HEAD", "abc"):
        with pytest.raises(Fault, match="HEAD is") as caught:
            tag(checkout, commit=other)
        assert caught.value.status == Exit.GIT


def test_entries_that_came_after_the_bump_are_not_tagged_silently(checkout: Repository) -> None:
    text = checkout.read("CHANGELOG.md").replace(
        "[Unreleased]\n", "[Unreleased]\n\n### Added\n\n- More.\n", 1
    )
    checkout.write("CHANGELOG.md", text)
    checkout.commit("More")
    with pytest.raises(Fault, match=r"HEAD has more than 1\.2\.0"):
        tag(checkout)


def test_a_translation_has_to_have_the_version(checkout: Repository) -> None:
    checkout.write("CHANGELOG.de.md", GERMAN)
    checkout.commit()
    with pytest.raises(Fault, match=r"CHANGELOG\.de\.md has no section for 1\.2\.0"):
        tag(checkout)
    checkout.write("CHANGELOG.de.md", GERMAN.replace("[Unreleased]\n", "[1.2.0] - 2026-05-07\n", 1))
    checkout.commit()
    with pytest.raises(Fault, match=r"dates 1\.2\.0 2026-05-07, CHANGELOG\.md 2026-05-06"):
        tag(checkout)


def test_a_detached_head_is_pushed_without_a_branch(checkout: Repository) -> None:
    checkout.git("switch", "-q", "--detach")
    checkout.git("remote", "add", "upstream", "https://example.test/x.git")
    assert tag(checkout).push == "git push --atomic upstream v1.2.0"
