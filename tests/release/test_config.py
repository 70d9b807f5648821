from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errors import Exit
from release import config
from release.config import ConfigFault

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("profile", ["rehearsal", "production"])
def test_the_real_file_is_valid(profile: str) -> None:
    loaded = config.load(ROOT, profile)
    assert loaded.app.name == "API for Cursor"
    assert loaded.image.name.format(version="1.2.3", build="4") == "API-for-Cursor-1.2.3-4.dmg"
    assert loaded.rehearsal == (profile == "rehearsal")


def test_production_is_what_users_have() -> None:
    loaded = config.load(ROOT, "production")
    assert loaded.site == "https://api-for-composer.standardagents.ai"
    assert loaded.profile.publish.bucket == "api-for-composer-releases"
    assert loaded.bundle_id == "ai.standardagents.apiforcursor"
    assert loaded.feed_url.endswith("/appcast.xml")


def test_a_rehearsal_is_marked_and_stays_at_home() -> None:
    loaded = config.load(ROOT)
    assert loaded.bundle_id == "ai.standardagents.apiforcursor.rehearsal"
    assert loaded.site.startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    ("key", "value", "named", "allowed"),
    [
        ("app.arhc", '"arm64"', "app.arhc", "arch"),
        ("app.arch", '"riscv"', "app.arch", '"arm64" or "x86_64" or "universal2"'),
        ("app.minimum_system", "13", "app.minimum_system", "text"),
        ("app.bundle_id", '"no dots"', "app.bundle_id", "matching"),
        ("image.format", '"UDXX"', "image.format", '"ULFO"'),
        ("image.icon_size", "0", "image.icon_size", "above 0"),
        ("image.name", '"x.dmg"', "image.name", "matching"),
        ("profiles.rehearsal.publish.bucket", '"UPPER"', "profiles.rehearsal.publish.bucket", "matching"),
        ("profiles.rehearsal.signing.team_id", '"short"', "profiles.rehearsal.signing.team_id", "matching"),
        (
            "profiles.production.notary.surprise",
            "1",
            "profiles.production.notary.surprise",
            "timeout_minutes",
        ),
        (
            "profiles.production.sparkle.private_key",
            '"secret!"',
            "profiles.production.sparkle.private_key",
            "env",
        ),
        ("surprise", "1", "surprise", "profiles"),
    ],
)
def test_a_bad_value_names_key_and_what_is_allowed(key: str, value: str, named: str, allowed: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        config.load(ROOT, overrides={key: value})
    assert named in caught.value.what
    assert allowed in (caught.value.cure or "")
    assert caught.value.status == Exit.CONFIG


@pytest.mark.parametrize(
    ("profile", "key", "value"),
    [
        ("rehearsal", "profiles.rehearsal.publish.site", "https://example.com"),
        ("rehearsal", "profiles.rehearsal.publish.site", "http://127.0.0.1.example.com"),
        ("rehearsal", "profiles.rehearsal.bundle_id_suffix", '""'),
        ("rehearsal", "profiles.rehearsal.publish.endpoint", "https://example.com"),
        ("production", "profiles.production.publish.site", "http://localhost:1"),
        ("production", "profiles.production.bundle_id_suffix", ".x"),
    ],
)
def test_profiles_do_not_mix(profile: str, key: str, value: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        config.load(ROOT, profile, overrides={key: value})
    assert key in caught.value.what


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    text = (ROOT / "release.toml").read_text().replace('category = "', 'x_category = "')
    (tmp_path / "release.toml").write_text(text)
    with pytest.raises(ConfigFault, match="app"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"), [(None, "no release.toml"), ("[", "not TOML"), ("\udcff", "not TOML")]
)
def test_unreadable_files(tmp_path: Path, text: Any, match: str) -> None:
    if text is not None:
        (tmp_path / "release.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigFault, match=match):
        config.load(tmp_path)


def test_unknown_profile() -> None:
    with pytest.raises(ConfigFault, match="no profile 'staging'"):
        config.load(ROOT, "staging")
