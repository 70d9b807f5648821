"""The checks by themselves, on what no stand-in shows."""

from __future__ import annotations

import json
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands import Result, Subprocess
from errors import Exit, Fault
from release import doctor
from release.doctor import Wish, bucket, identity, machine, notary, opened, site
from release.doctor.case import Dates
from release.doctor.check import NotChecked, Warn
from signing.entitlements import JIT
from signing.notarytool import KeychainProfile, Notarytool
from tests.release.test_config import ROOT
from tests.standins.clock import FakeClock
from tests.standins.commands import Recorder
from tests.standins.repository import repository
from tests.standins.store import MemoryStore

NOW = datetime(2026, 6, 2, tzinfo=UTC)


# a rehearsal


def test_a_rehearsal_is_content_with_a_fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_FOR_CURSOR_CACHE", str(tmp_path / "cache"))
    checkout = repository(tmp_path / "checkout", tag="")
    with opened(checkout.root, Wish(), Subprocess()) as case:
        found = doctor.doctor(case)
    assert not found.failed and not found.skipped and found.status == Exit.OK
    assert not (tmp_path / "cache").exists() and not (checkout.root / "dist").exists()


def test_a_rehearsal_without_git(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout")
    (checkout.root / ".git").rename(tmp_path / "away")
    with opened(checkout.root, Wish(), Subprocess()) as case:
        found = doctor.doctor(case)
    assert not found.failed and [one.name for one in found.skipped] == ["commit"]


def invoke(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a task of this checkout with no secret set and nobody to reach."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(APPLE|MACOS|SPARKLE|CLOUDFLARE|R2|NOTARY)_", name)
    }
    environment |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    line = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_the_task_ends_with_the_status_of_the_first_failure(tmp_path: Path) -> None:
    done = invoke("doctor", "--json", "--dist", str(tmp_path))
    assert done.returncode == 0 and json.loads(done.stdout)["ok"], done.stdout + done.stderr
    done = invoke("doctor", "--profile", "production", "--json", "--dist", str(tmp_path))
    data = json.loads(done.stdout)
    assert done.returncode == Exit.SECRET == data["status"], done.stderr
    failed = {one["name"] for one in data["checks"] if one["ok"] is False}
    assert failed >= {"APPLE_TEAM_ID", "SPARKLE_PRIVATE_KEY", "R2_ACCESS_KEY_ID", "site"}
    assert all(one["cure"] for one in data["checks"] if one["ok"] is False)


# the bucket


def test_rights_are_tried_and_nothing_is_left() -> None:
    store = MemoryStore()
    assert "conditions are kept" in bucket.rights(store, NOW)
    assert not store.objects
    assert all(key.startswith("doctor/") for _, key in store.requests)


class Careless(MemoryStore):
    """Forgets the conditions that it is told to."""

    def __init__(self, forgets: str) -> None:
        super().__init__()
        self.forgets = forgets

    def put(self, key: str, body: Path | bytes, **how: object) -> str:
        return super().put(key, body, **{**how, self.forgets: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("forgets", ["if_match", "if_none_match"])
def test_a_bucket_that_ignores_conditions_is_refused(forgets: str) -> None:
    store = Careless(forgets)
    with pytest.raises(Fault, match="ignores a condition") as caught:
        bucket.rights(store, NOW)
    assert caught.value.status == Exit.PUBLISH and "two releases at once" in (caught.value.cure or "")
    assert not store.objects


def test_what_a_look_that_was_cut_off_left_is_swept() -> None:
    store = MemoryStore()
    for name in ("doctor/old", "feeds/kept"):
        store.put(name, b"x", content_type="text/plain", cache_control="no-store")
    bucket.rights(store, NOW + timedelta(days=1))
    assert list(store.objects) == ["feeds/kept"]
    store.put("doctor/young", b"x", content_type="text/plain", cache_control="no-store")
    modified = store.objects["doctor/young"][0].modified
    assert modified is not None
    bucket.rights(store, modified + timedelta(minutes=5))
    assert "doctor/young" in store.objects


def test_a_bucket_that_can_be_written_and_not_read() -> None:
    store = MemoryStore()

    def refuse(method: str, key: str) -> None:
        if method == "get":
            raise Fault("the bucket answered 403 AccessDenied", status=Exit.SECRET)

    store.before = refuse
    with pytest.raises(Fault, match="403") as caught:
        bucket.rights(store, NOW)
    assert caught.value.status == Exit.SECRET and not store.objects


# this machine


def test_room_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    with pytest.raises(Fault, match=r"1\.0 GB free") as caught:
        machine.disk(folder, free=10**9)
    assert caught.value.status == Exit.DISK and "make room" in (caught.value.cure or "")
    assert isinstance(machine.disk(folder, free=machine.NEEDED), Warn)
    assert machine.disk(folder, free=machine.COMFORT) == f"{machine.COMFORT / 1e9:.1f} GB free at {tmp_path}"


def test_the_python_that_compiles_the_bundle() -> None:
    assert machine.python()
    with pytest.raises(Fault, match=r"Python 3\.10") as caught:
        machine.python((3, 10))
    assert caught.value.status == Exit.TOOL


def test_programs_that_are_missing_are_named_with_their_cure() -> None:
    assert machine.git(Subprocess())[0].isdigit()
    with pytest.raises(Fault, match="is needed and not installed"):
        machine.program("no-such-program")
    runner = Recorder(lambda argv: Result(argv, 72, stderr=b"xcrun: error: unable to find utility"))
    with pytest.raises(Fault, match="notarytool is needed") as caught:
        machine.xcode(runner, "notarytool")
    assert caught.value.cure == "xcode-select --install"
    assert runner.calls == [("xcrun", "--find", "notarytool")]


def test_bun_is_signed_as_it_is_shipped_and_run(tmp_path: Path) -> None:
    seen: list[Mapping[str, object]] = []

    def reply(argv: tuple[str, ...]) -> Result | None:
        if argv[0] == "codesign":
            seen.append(plistlib.loads(Path(argv[-2]).read_bytes()))
            return None
        return Result(argv, 0, b"1.4.5\n")

    (tmp_path / "bun").write_bytes(b"bun")
    runner = Recorder(reply)
    assert machine.hardened(tmp_path / "bun", runner) == "Bun 1.4.5 runs, signed with its entitlements"
    sign, run, loop = runner.calls
    assert sign[:-2] == ("codesign", "--force", "--sign", "-", "--options", "runtime", "--entitlements")
    assert sign[-1] == run[0] == loop[0] != str(tmp_path / "bun")
    assert (run[1:], loop[1]) == (("--version",), "-e")
    assert seen == [dict(JIT)]
    assert (tmp_path / "bun").read_bytes() == b"bun" and not Path(run[0]).exists()


def test_a_bun_that_the_runtime_ends(tmp_path: Path) -> None:
    (tmp_path / "bun").write_bytes(b"bun")
    runner = Recorder(lambda argv: Result(argv, -5) if argv[0] != "codesign" else None)
    with pytest.raises(Fault, match="ended by SIGTRAP") as caught:
        machine.hardened(tmp_path / "bun", runner)
    assert caught.value.status == Exit.SIGN


# the keychain


def test_identities_are_read_as_security_lists_them() -> None:
    name = "Developer ID Application: Example (ABCDE12345)"
    said = f'  1) {"A" * 40} "{name}"\n     1 valid identities found\n'
    runner = Recorder(lambda argv: Result(argv, 0, said.encode()))
    assert identity.listed(runner) == [name]
    assert runner.calls == [("security", "find-identity", "-v", "-p", "codesigning")]
    assert identity.listed(Recorder()) == []


# the notary, on a Mac


def test_notarytool_is_asked_for_its_history() -> None:
    rows = [{"id": str(one), "name": "a.dmg", "status": "Accepted", "createdDate": ""} for one in range(3)]
    rows.append({"id": "3", "name": "b.dmg", "status": "In Progress", "createdDate": ""})
    runner = Recorder(lambda argv: Result(argv, 0, json.dumps({"history": rows}).encode()))
    tool = Notarytool(runner, credentials=KeychainProfile("release"), clock=FakeClock())
    assert notary.known(tool) == "known there: 3 Accepted, 1 In Progress"
    assert runner.calls == [
        ("xcrun", "notarytool", "history", "--keychain-profile", "release", "--output-format", "json")
    ]
    refused = Recorder(
        lambda argv: Result(argv, 1, stderr=b"Error: HTTP status code: 401. Invalid credentials.")
    )
    with pytest.raises(Fault) as caught:
        notary.known(Notarytool(refused, credentials=KeychainProfile("release"), clock=FakeClock()))
    assert caught.value.status == Exit.NOTARY_AUTH and caught.value.cure


# the clock


def test_the_clock_by_others() -> None:
    dates = Dates(FakeClock(start=NOW.timestamp()))
    with pytest.raises(NotChecked):
        site.clock(dates)
    dates.note("a.test", "not a date")
    assert not dates.ahead
    dates.note("a.test", "Tue, 02 Jun 2026 00:00:04 GMT")
    assert site.clock(dates) == "4 s behind a.test"
    dates.note("b.test", "Mon, 01 Jun 2026 23:59:40 GMT")
    dates.note("c.test", "Mon, 01 Jun 2026 23:59:40 GMT")
    said = site.clock(dates)
    assert isinstance(said, Warn) and "20 s ahead of" in said.detail
    for host in ("a.test", "b.test", "c.test"):
        dates.note(host, "Tue, 02 Jun 2026 00:02:00 GMT")
    with pytest.raises(Fault, match="120 s behind") as caught:
        site.clock(dates)
    assert "set it" in (caught.value.cure or "")
