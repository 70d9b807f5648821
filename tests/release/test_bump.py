from __future__ import annotations

import base64
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from commands import Subprocess
from errors import Exit, Fault
from release import bump as bumping
from release import config as configuration
from release.bump import commit, plan, published_versions, write
from release.changelog import sections
from release.publish import Publication, publish
from release.rehearsal.bucket import Bucket
from tests.release.test_config import ROOT
from tests.standins.public import KEY, SITE, merging, publication, side
from tests.standins.repository import CHANGELOG, GERMAN, Repository, repository

TODAY = date(2026, 5, 6)


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    return repository(tmp_path / "checkout")


def bump(checkout: Repository, wish: str = "", **more: Any) -> bumping.Bump:
    return plan(checkout.root, wish, runner=Subprocess(), today=TODAY, **more)


def test_the_changelog_decides_and_is_dated(checkout: Repository) -> None:
    wanted = bump(checkout)
    assert (wanted.before, wanted.version, wanted.level, wanted.build) == ("1.1.0", "1.2.0", "minor", "2")
    assert checkout.read("CHANGELOG.md") == CHANGELOG  # a plan writes nothing
    write(wanted)
    assert [(one.name, one.date) for one in sections(checkout.read("CHANGELOG.md"))] == [
        ("Unreleased", ""),
        ("1.2.0", "2026-05-06"),
        ("1.1.0", "2026-02-03"),
    ]
    assert checkout.git("status", "--porcelain") == "M CHANGELOG.md"
    assert checkout.git("tag") == "v1.1.0"


@pytest.mark.parametrize(
    ("wish", "version"),
    [("major", "2.0.0"), ("minor", "1.2.0"), ("patch", "1.1.1"), ("1.5.0", "1.5.0"), ("3.0", "3.0")],
)
def test_a_wish_decides(checkout: Repository, wish: str, version: str) -> None:
    assert bump(checkout, wish).version == version


def test_translations_are_dated_too_and_committed_alone(checkout: Repository) -> None:
    checkout.write("CHANGELOG.de.md", GERMAN)
    checkout.commit()
    wanted = bump(checkout)
    write(wanted)
    commit(wanted, checkout.root, Subprocess())
    assert checkout.git("log", "-1", "--format=%s") == "Release 1.2.0"
    assert checkout.git("show", "--format=", "--name-only").split() == ["CHANGELOG.de.md", "CHANGELOG.md"]
    assert "## [1.2.0] - 2026-05-06\n\n### Added\n\n- Ein Ding." in checkout.read("CHANGELOG.de.md")
    assert checkout.git("status", "--porcelain") == ""


def test_an_empty_translation_stops_it_and_nothing_is_written(checkout: Repository) -> None:
    checkout.write("CHANGELOG.de.md", "# Änderungen\n\n## [Unreleased]\n")
    checkout.commit()
    with pytest.raises(Fault, match=r"CHANGELOG\.de\.md says nothing"):
        bump(checkout)
    assert checkout.read("CHANGELOG.md") == CHANGELOG


def test_the_second_file_failing_leaves_both_as_they_were(
    checkout: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.write("CHANGELOG.de.md", GERMAN)
    checkout.commit()
    wanted, made = bump(checkout), bumping._beside

    def full(path: Path, text: str) -> Path:
        if path.name == "CHANGELOG.de.md":
            raise OSError(28, os.strerror(28), str(path))
        return made(path, text)

    monkeypatch.setattr(bumping, "_beside", full)
    with pytest.raises(Fault, match="cannot be written") as caught:
        write(wanted)
    assert caught.value.status == Exit.DISK
    assert checkout.git("status", "--porcelain") == ""


def test_a_dirty_tree_is_refused(checkout: Repository) -> None:
    checkout.write("new", "x")
    with pytest.raises(Fault, match="uncommitted") as caught:
        bump(checkout)
    assert caught.value.status == Exit.GIT


def test_an_empty_section_is_refused(tmp_path: Path) -> None:
    empty = repository(tmp_path, changelog="# Changelog\n\n## [Unreleased]\n\n### Added\n")
    with pytest.raises(Fault, match="says nothing") as caught:
        bump(empty)
    assert caught.value.status == Exit.VERSION


@pytest.mark.parametrize(
    ("wish", "published", "said"),
    [
        ("1.1.0", (), r"1\.1\.0 does not rise above 1\.1\.0"),
        ("0.9", (), r"0\.9 does not rise above 1\.1\.0"),
        ("1.2.0", ("1.2.0", "1.0.0"), r"1\.2\.0 does not rise above 1\.2\.0"),
        ("1.3.0", ("1.10.0",), r"1\.3\.0 does not rise above 1\.10\.0"),
    ],
)
def test_a_version_that_does_not_rise_is_refused(
    checkout: Repository, wish: str, published: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Fault, match=said) as caught:
        bump(checkout, wish, published=published)
    assert caught.value.status == Exit.VERSION and caught.value.cure


def test_what_is_published_counts_when_the_changelog_decides(checkout: Repository) -> None:
    assert bump(checkout, published=("1.4.2",)).version == "1.5.0"


def test_a_version_that_the_changelog_has_is_refused(checkout: Repository) -> None:
    write(bump(checkout))
    checkout.write(
        "CHANGELOG.md", checkout.read("CHANGELOG.md").replace("[Unreleased]\n", "[Unreleased]\n\n- x\n", 1)
    )
    checkout.commit()  # and never tagged
    with pytest.raises(Fault, match=r"has a section for 1\.2\.0 already"):
        bump(checkout)


@pytest.mark.parametrize("wish", ["Major", "1", "v1.2.3", "1.2.3-beta", "--"])
def test_a_wish_that_means_nothing(checkout: Repository, wish: str) -> None:
    with pytest.raises(Fault) as caught:
        bump(checkout, wish)
    assert caught.value.status == Exit.USAGE and "changelog decides" in (caught.value.cure or "")


def test_the_first_release_and_no_repository(tmp_path: Path) -> None:
    assert bump(repository(tmp_path / "a", tag="")).version == "0.1.0"
    (tmp_path / "b").mkdir()
    with pytest.raises(Fault, match="no commit") as caught:
        plan(tmp_path / "b", runner=Subprocess(), today=TODAY)
    assert caught.value.status == Exit.GIT


def test_nothing_published_in_a_fresh_checkout(tmp_path: Path) -> None:
    config = configuration.load(ROOT)
    assert published_versions(config, Subprocess(), tmp_path / "dist") == ((), "")
    assert not (tmp_path / "dist").exists()


def test_what_a_rehearsal_has_published_is_known(tmp_path: Path) -> None:
    config = configuration.load(ROOT)
    dist = tmp_path / "dist"
    (dist / "rehearsal").mkdir(parents=True)
    key = dist / "rehearsal" / "ed25519.key"
    key.write_text(base64.b64encode(KEY.private_bytes_raw()).decode())
    key.chmod(0o600)
    with Bucket(dist / "rehearsal" / "bucket", config.profile.publish.bucket) as bucket:
        publish(side(bucket.store(), site=config.site), replaced(publication(tmp_path, "7"), config.site))
    assert published_versions(config, Subprocess(), dist) == (("1.7",), "")


def replaced(release: Publication, site: str) -> Publication:
    """Offer it at another site."""
    enclosure = release.item.enclosure
    assert enclosure is not None
    item = replace(release.item, enclosure=replace(enclosure, url=enclosure.url.replace(SITE, site)))
    return replace(release, item=item, merge=merging(item))


def test_a_site_that_is_out_of_reach_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    versions, why = published_versions(configuration.load(ROOT, "production"), Subprocess(), tmp_path)
    assert versions == () and "cannot be reached" in why
