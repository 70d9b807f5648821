from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import Result
from errors import Exit, Fault
from release import config as configuration
from release.credentials import ABOUT, credentials, load_into_github, read_folder
from tests.release.test_config import ROOT
from tests.standins.commands import Recorder

PRODUCTION = configuration.load(ROOT, "production")
NAMES = (
    "MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", "MACOS_DEVELOPER_ID_CERTIFICATE_PASSWORD",
    "MACOS_CODE_SIGN_IDENTITY", "APPLE_ID", "APPLE_TEAM_ID", "APPLE_APP_PASSWORD", "SPARKLE_PUBLIC_ED_KEY",
    "SPARKLE_PRIVATE_KEY", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "NOTARY_WEBHOOK_TOKEN",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("SPARKLE_PRIVATE_KEY", "APPLE_TEAM_ID"):
        keep(tmp_path, name, f"value-of-{name}")
    return tmp_path


def keep(folder: Path, name: str, value: str, mode: int = 0o600) -> None:
    (folder / name).write_text(f"{value}\n")
    (folder / name).chmod(mode)


def known(natively: bool = False, **environ: str):
    return credentials(PRODUCTION, natively=natively, environ=environ)


def test_every_secret_says_what_it_is_for_and_where_to_get_it() -> None:
    found = known()
    assert {one.name for one in found} >= set(NAMES)
    assert all(one.purpose and one.source != "see docs/release.md" for one in found)
    assert set(configuration.secrets_of(PRODUCTION)) <= set(ABOUT)


@pytest.mark.parametrize(
    ("natively", "spared"),
    [
        (False, {"APPLE_ID", "APPLE_APP_PASSWORD"}),
        (True, {"APPLE_NOTARY_ISSUER", "APPLE_NOTARY_KEY_ID", "APPLE_NOTARY_PRIVATE_KEY"}),
    ],
)
def test_one_way_to_notarize_is_enough(natively: bool, spared: set[str]) -> None:
    found = known(natively)
    beside = {"CLOUDFLARE_API_TOKEN", "NOTARY_WEBHOOK_TOKEN"}
    assert {one.name for one in found if not one.needed} == spared | beside
    assert {one.name for one in found if one.missing} == {one.name for one in found if one.needed}
    there = known(natively, **{one.name: "x" for one in found if one.needed})
    assert not [one for one in there if one.missing]


def test_a_rehearsal_needs_none(tmp_path: Path) -> None:
    (key,) = credentials(configuration.load(ROOT), natively=False, dist=tmp_path)
    assert (key.name, key.needed, key.present) == ("file:dist/rehearsal/ed25519.key", False, False)
    (tmp_path / "rehearsal").mkdir()
    (tmp_path / "rehearsal" / "ed25519.key").write_text("x")
    assert credentials(configuration.load(ROOT), natively=False, dist=tmp_path)[0].present


def test_values_go_to_standard_input_and_nowhere_else(folder: Path) -> None:
    runner = Recorder()
    loaded = read_folder(folder, known())
    load_into_github(loaded, ROOT, runner)
    assert runner.calls == [
        ("gh", "secret", "set", "APPLE_TEAM_ID", "--env", "production"),
        ("gh", "secret", "set", "SPARKLE_PRIVATE_KEY", "--env", "production"),
    ]
    assert runner.stdins == [b"value-of-APPLE_TEAM_ID", b"value-of-SPARKLE_PRIVATE_KEY"]
    assert runner.environments == [None, None]
    assert "value-of" not in repr((runner.calls, loaded))
    assert "R2_ACCESS_KEY_ID" in loaded.missing and "APPLE_ID" not in loaded.missing


def test_every_bad_file_is_named_at_once_and_nothing_is_loaded(folder: Path) -> None:
    keep(folder, "R2_ACCESS_KEY_ID", "open", 0o644)
    keep(folder, "APPLE_ID", "")
    keep(folder, "NOTES", "x")
    (folder / "CLOUDFLARE_ACCOUNT_ID").mkdir()
    keep(folder, ".hidden", "x", 0o644)
    with pytest.raises(Fault) as caught:
        read_folder(folder, known())
    assert caught.value.status == Exit.SECRET
    said = "\n".join(caught.value.details)
    for name in (
        "R2_ACCESS_KEY_ID: others may read",
        "APPLE_ID is empty",
        "NOTES is none of",
        "CLOUDFLARE_ACCOUNT_ID is no file",
    ):
        assert name in said
    assert len(caught.value.details) == 4


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="no such folder") as caught:
        read_folder(tmp_path / "absent", known())
    assert caught.value.status == Exit.INPUT_MISSING


def test_what_gh_says_is_shown_without_the_secret(folder: Path) -> None:
    def reply(argv: tuple[str, ...]) -> Result | None:
        if "SPARKLE_PRIVATE_KEY" in argv:
            return Result(argv, 1, stderr=b"HTTP 401: value-of-SPARKLE_PRIVATE_KEY is odd")
        return None

    with pytest.raises(Fault) as caught:
        load_into_github(read_folder(folder, known()), ROOT, Recorder(reply))
    said = str(caught.value)
    assert "HTTP 401" in said and "value-of" not in said and "loaded before it: APPLE_TEAM_ID" in said
    assert re.search("gh auth login", said)


def test_a_keychain_is_asked_and_gives_nothing_away(tmp_path: Path) -> None:
    uri = {"profiles.production.sparkle.private_key": "keychain:ed25519"}
    config = configuration.load(ROOT, "production", overrides=uri)
    for status, there in ((0, True), (44, False)):
        runner = Recorder(lambda argv, status=status: Result(argv, status))  # type: ignore[misc]
        found = credentials(config, natively=False, environ={}, runner=runner)
        (key,) = [one for one in found if one.key == "sparkle.private_key"]
        assert (key.present, key.missing) == (there, not there)
        assert runner.calls == [
            ("security", "find-generic-password", "-s", "https://sparkle-project.org", "-a", "ed25519")
        ]


def test_the_workflows_are_given_what_a_release_needs() -> None:
    wanted = {one.name for one in known()} - {"CLOUDFLARE_API_TOKEN"}
    for name in ("release.yml", "finalize.yml"):
        text = (ROOT / ".github" / "workflows" / name).read_text("utf-8")
        assert set(re.findall(r"secrets\.([A-Z0-9_]+)", text)) - {"GITHUB_TOKEN"} == wanted
