"""Bad homes: links, read-only and foreign files, files that are none, full disks, and changes in between."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from app.agents import disk
from app.agents.disk import Change
from app.agents.service import Service
from app.errors import AppError
from tests.app.agents.conftest import Write, files_of
from tests.app.conftest import ROOT

CONFIG = ".config/opencode/opencode.json"


def test_a_linked_file_is_written_through_its_link(home: Path, setup: Service, write: Write) -> None:
    target = write("dotfiles/opencode.json", '{"mine": 1}\n')
    link = home / CONFIG
    link.parent.mkdir(parents=True)
    link.symlink_to("../../dotfiles/opencode.json")
    setup.install("opencode")
    assert link.is_symlink()
    assert b"cursorapi" in target.read_bytes()
    setup.remove("opencode")
    assert link.is_symlink()
    assert target.read_text() == '{"mine": 1}\n'


def test_a_link_to_nowhere_is_refused(home: Path, setup: Service) -> None:
    link = home / CONFIG
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "gone" / "opencode.json")
    with pytest.raises(AppError, match=r"is a link to .*whose folder is not there: mend the link"):
        setup.install("opencode")
    assert setup.view("opencode").state == "unreadable"


def test_a_file_keeps_its_mode(setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    path.chmod(0o640)
    setup.install("opencode")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_read_only_file_is_refused_and_no_backup_is_noted(setup: Service, write: Write) -> None:
    path = write(CONFIG, "{}")
    path.chmod(0o444)
    with pytest.raises(AppError, match=r"is read-only: run chmod u\+w on "):
        setup.install("opencode")
    assert path.read_text() == "{}"
    assert "undo" not in setup.view("opencode").actions


def test_a_file_of_another_user_is_refused(
    setup: Service, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(CONFIG, "{}")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(AppError, match="belongs to another user"):
        disk.check(Change(path, b"{}", b"{ }"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b'{"a": "' + b"x" * disk.LARGEST + b'"}', "is larger than 5 MB"),
        (b'{"a": "\x00"}', "is not text"),
        (b'{\n"a": "\xff"}', r"is not UTF-8 \(line 2\)"),
        (b'{"a": 1}\n\n{', "line 3, column 1: something follows the end"),
        (b'{"provider": 7}', "provider is 7 where a table is expected"),
        (b'["provider"]', "a table of names is expected"),
    ],
)
def test_a_file_that_is_none_is_left_alone(
    home: Path, setup: Service, write: Write, data: bytes, complaint: str
) -> None:
    write(CONFIG, "").write_bytes(data)
    with pytest.raises(AppError, match=complaint):
        setup.install("opencode")
    assert files_of(home) == {CONFIG: data}


@pytest.mark.parametrize(
    ("name", "place", "begin"), [("codex", ".codex/config.toml", "a = "), ("aider", ".aider.conf.yml", "a: ")]
)
def test_what_is_nested_beyond_reason_is_told(
    setup: Service, write: Write, name: str, place: str, begin: str
) -> None:
    path = write(place, begin + "[" * 2000 + "]" * 2000 + "\n")
    view = setup.view(name)
    assert (view.state, str(path) in view.sentence) == ("unreadable", True)
    assert "nested too deeply" in view.sentence
    with pytest.raises(AppError, match="nested too deeply"):
        setup.install(name)


def test_a_folder_in_the_place_of_a_file_is_told(home: Path, setup: Service) -> None:
    (home / CONFIG).mkdir(parents=True)
    with pytest.raises(AppError, match="is a folder"):
        setup.install("opencode")


def test_a_pipe_in_the_place_of_a_file_does_not_hang(home: Path, setup: Service) -> None:
    (home / CONFIG).parent.mkdir(parents=True)
    os.mkfifo(home / CONFIG)
    with pytest.raises(AppError, match="is no file"):
        setup.install("opencode")


def test_all_of_an_agents_files_are_written_or_none(home: Path) -> None:
    first, second, third = home / "new" / "a", home / "b", home / "c"
    second.write_bytes(b"old b")
    third.write_bytes(b"changed by someone")
    changes = [
        Change(first, None, b"new a"),
        Change(second, b"old b", b"new b"),
        Change(third, b"old c", b"new c"),
    ]
    with pytest.raises(AppError, match="c has just been changed by another program: try again"):
        disk.write(changes)
    assert files_of(home) == {"b": b"old b", "c": b"changed by someone"}
    assert not first.parent.exists()


@pytest.mark.parametrize("left", [600, 3_000])
def test_a_full_disk_loses_nothing(home: Path, tmp_path: Path, write: Write, left: int) -> None:
    """The files of the child cannot grow beyond `left` bytes: too few for the backup, or for the new file."""
    config = '{\n  // mine\n  "a": "' + "x" * 2_500 + '"\n}\n'
    path = write(CONFIG, config)
    done = subprocess.run(
        [sys.executable, "-m", "app", "agents", "install", "opencode", "--base-url", "http://127.0.0.1:1"],
        env={
            "HOME": str(home),
            "API_FOR_CURSOR_DATA_DIR": str(tmp_path / "data"),
            "PATH": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (left, left)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cannot write ")
    assert "Traceback" not in done.stderr
    assert files_of(home) == {CONFIG: config.encode()}
    assert path.read_text() == config
