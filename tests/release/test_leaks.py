"""The search for leaked secrets finds them: else a clean result would say nothing."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.parse
import zipfile
from pathlib import Path

import pytest

from tests.release.image import trees
from tests.standins.leaks import CommandLines, files, leaks

SECRET = 's3cr+t/välue=with "every" kind&of %character'
LONG = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nsecondline0123456789\n-----END KEY-----"


@pytest.mark.parametrize(
    "planted",
    [
        SECRET.encode(),
        b"token=" + SECRET.encode() + b"\n",
        base64.b64encode(SECRET.encode()),
        base64.b64encode(b"u:" + SECRET.encode()),
        base64.b64encode(b"user:" + SECRET.encode() + b":x"),
        base64.urlsafe_b64encode(b"x" + SECRET.encode()),
        SECRET.encode().hex().encode(),
        SECRET.encode().hex().upper().encode(),
        urllib.parse.quote(SECRET, safe="").encode(),
        json.dumps({"password": SECRET}).encode(),
        SECRET.encode("utf-16-le"),
    ],
)
def test_a_planted_secret_is_found_in_every_form(tmp_path: Path, planted: bytes) -> None:
    (tmp_path / "a.log").write_bytes(b"before\0" + planted + b"after")
    (tmp_path / "b.log").write_bytes(b"nothing of note")
    found = leaks({"PASSWORD": SECRET}, files(tmp_path))
    assert found and all("PASSWORD" in one and "a.log" in one for one in found)


def test_a_line_of_a_key_is_enough(tmp_path: Path) -> None:
    assert leaks({"KEY": LONG}, [("a", b"x secondline0123456789 y")])
    assert not leaks({"KEY": LONG}, [("a", b"-----BEGIN KEY-----")])


def test_inside_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/inside.txt", "x" * 999 + SECRET)
    assert leaks({"S": SECRET}, files(tmp_path))[0].endswith("deep/inside.txt")


def test_inside_a_disk_image(tmp_path: Path) -> None:
    trees.make(tmp_path / "tree", {"deep": {"note.txt": b"x" * 99_999 + SECRET.encode()}, "other": b"1"})
    trees.image(tmp_path / "tree", tmp_path / "a.dmg")
    found = leaks({"S": SECRET}, files(tmp_path, without=[tmp_path / "tree"]))
    assert found and found[0].endswith("a.dmg: deep/note.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_on_a_command_line() -> None:
    with CommandLines() as lines:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)", SECRET], check=True)
    assert leaks({"S": SECRET}, lines.places())
    assert not leaks({"S": "never on any command line"}, lines.places())


def test_nothing_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 99)
    assert leaks({"S": SECRET, "KEY": LONG}, files(tmp_path)) == []
