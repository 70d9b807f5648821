"""Nothing that a rehearsal has made or marked gets into production, however it got there."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release import config as configuration
from release import genuine, journal
from release.config import Config, ConfigFault
from signing.identity import throwaway
from signing.portable import Portable
from signing.verify import Report, verify_macho
from tests.signing import machos
from tests.standins.authority import Issued, issue

ROOT = Path(__file__).resolve().parents[2]
SITE = "https://api-for-composer.standardagents.ai/appcast.xml"
ID = "ai.standardagents.apiforcursor"


@pytest.fixture(scope="module")
def config() -> Config:
    return configuration.load(ROOT, "production")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return made(tmp_path / "A.app")


def made(app: Path, **info: str) -> Path:
    contents = app / "Contents"
    contents.mkdir(parents=True)
    (contents / "Info.plist").write_bytes(
        plistlib.dumps({"CFBundleIdentifier": ID, "SUFeedURL": SITE, **info})
    )
    return app


def signed(folder: Path, owner: Issued | None) -> Report:
    """Something signed by `owner`, or by a rehearsal."""
    from signing.identity import from_p12
    from tests.standins.authority import PASSWORD

    keys = folder / "keys"
    who = (
        throwaway(keys, name="Rehearsal", team_id="RHRSL00000")
        if owner is None
        else from_p12(owner.p12(), PASSWORD, keys)
    )
    source = machos.write(folder / "tiny", machos.macho())
    Portable(who, timestamp_url=None, signing_time=None).sign_image(source, folder / "out", identifier="tiny")
    return verify_macho(folder / "out")


@pytest.fixture
def ours(tmp_path: Path) -> Report:
    return signed(tmp_path, issue())


def test_what_is_productions_own_passes(config: Config, app: Path, ours: Report) -> None:
    genuine.require(config, app, ours)


def test_a_rehearsals_image_is_refused(config: Config, app: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="rehearsal's work") as caught:
        genuine.require(config, app, signed(tmp_path, None))
    assert caught.value.status == Exit.AUDIT
    assert "throwaway" in caught.value.details[0] and "--profile production" in str(caught.value.cure)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"CFBundleIdentifier": f"{ID}.rehearsal"}, f"its identifier is {ID}.rehearsal"),
        ({"SUFeedURL": "http://127.0.0.1:8788/appcast.xml"}, "updates at http://127.0.0.1:8788"),
        ({"SUFeedURL": "https://elsewhere.example/appcast.xml"}, "updates at https://elsewhere"),
    ],
)
def test_a_rehearsals_app_is_refused(
    info: dict[str, str], said: str, config: Config, ours: Report, tmp_path: Path
) -> None:
    with pytest.raises(Fault) as caught:
        genuine.require(config, made(tmp_path / "B.app", **info), ours)
    assert said in str(caught.value) and caught.value.status == Exit.AUDIT


def test_a_marked_part_inside_is_found(config: Config, app: Path, ours: Report) -> None:
    made(app / "Contents" / "Helpers" / "Inner.app", CFBundleIdentifier="x.y.rehearsal")
    with pytest.raises(Fault, match=r"Inner.app/Contents/Info.plist: its identifier is x\.y\.rehearsal"):
        genuine.require(config, app, ours)


def test_a_rehearsal_may_be_one(app: Path, tmp_path: Path) -> None:
    genuine.require(configuration.load(ROOT), app, signed(tmp_path, None))


def test_a_rehearsals_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    mine = journal.load(path, "rehearsal")
    mine.record("sign", journal.Entry("key", {}, {}, 1.0))
    assert json.loads(path.read_text())["profile"] == "rehearsal"
    assert journal.load(path, "rehearsal").entries
    with pytest.raises(Fault, match="journal of a rehearsal release, not of a production one") as caught:
        journal.load(path, "production")
    assert caught.value.status == Exit.CONFIG


PRODUCTION = "profiles.production."


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("bundle_id_suffix", '".rehearsal"', "production has none"),
        ("notary.stand_in", '"verdict=Accepted"', "production has none"),
        ("signing.team_id", '"RHRSL00000"', "its own"),
        ("publish.site", '"http://127.0.0.1:8788"', "loopback"),
        ("publish.endpoint", '"http://127.0.0.1:9000"', "loopback"),
        ("publish.endpoint", '"http://[::1]:9000"', "loopback"),
        ("publish.purge_api", '"http://localhost:1/client"', "loopback"),
        ("notary.url", '"http://127.0.0.1:1/notary/v2"', "loopback"),
        ("notary.ticket_url", '"http://127.0.0.2:1/lookup"', "loopback"),
        ("signing.timestamp_url", '"http://localhost:1/ts01"', "loopback"),
    ],
)
def test_stand_ins_and_marks_are_refused_in_the_configuration(key: str, value: str, why: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        configuration.load(ROOT, "production", overrides={PRODUCTION + key: value})
    assert f"{PRODUCTION}{key}" in caught.value.what and why in caught.value.what
    assert caught.value.status == Exit.CONFIG


@pytest.mark.parametrize(
    "key", ["notary.url", "notary.ticket_url", "signing.timestamp_url", "publish.endpoint"]
)
def test_an_address_that_is_missing_is_not_a_stand_ins(key: str, tmp_path: Path) -> None:
    text = (ROOT / "release.toml").read_text()
    head, tail = text.split(f"[{PRODUCTION}{key.partition('.')[0]}]", 1)
    lines = tail.splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if line.startswith(f"{key.partition('.')[2]} = "))
    (tmp_path / "release.toml").write_text(
        f"{head}[{PRODUCTION}{key.partition('.')[0]}]{''.join(lines[:at] + lines[at + 1 :])}"
    )
    with pytest.raises(ConfigFault, match="production needs one") as caught:
        configuration.load(tmp_path, "production")
    assert key in caught.value.what


def pins(name: str) -> dict[str, Any]:
    return dict(configuration.load(ROOT).inputs[name])


@pytest.mark.parametrize("name", ["sparkle", "python-3.11"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_file_for_rehearsals_is_no_input_of_production(name: str, marked: bool) -> None:
    """Under its mark, or as a copy of the pin without it: the digest tells."""
    pin = pins(name)
    assert pin["rehearsal_only"] is True
    fields = [
        f"version = {json.dumps(pin['version'])}",
        'source = "pypi"',
        f"package = {json.dumps(pin['package'])}",
    ]
    fields += [f"tag = {json.dumps(pin['tag'])}", f"digest = {json.dumps(pin['digest'])}"]
    fields += ["rehearsal_only = true"] if marked else []
    key = "inputs.production.borrowed"
    with pytest.raises(ConfigFault, match="for rehearsals only") as caught:
        configuration.load(ROOT, "production", overrides={key: "{ " + ", ".join(fields) + " }"})
    assert (key in caught.value.what and name in caught.value.what) or marked


def test_what_both_take_from_the_same_makers_is_fine() -> None:
    shared = configuration.load(ROOT).inputs["bun-darwin-arm64"]["digest"]
    assert configuration.load(ROOT, "production").inputs["bun-darwin-arm64"]["digest"] == shared
