"""The keychain of a release: every command, nothing secret in any, and gone again whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from commands import Result, missing
from errors import Exit, Fault
from signing import keychain, security
from signing.certificate import fingerprint
from signing.identity import Unlocked, unlock
from signing.secrets import mask
from tests.standins.authority import PASSWORD, issue
from tests.standins.commands import Recorder
from tests.standins.security import LOGIN, Security, modern, split_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unlocked() -> Unlocked:
    archive = issue().p12()
    assert modern(archive), "the kind that `security import` does not read"
    return unlock(archive, PASSWORD)


@pytest.fixture
def mac(tmp_path: Path) -> Security:
    (tmp_path / "state").mkdir()
    return Security(tmp_path / "state")


def test_exact_commands(mac: Security, unlocked: Unlocked, tmp_path: Path) -> None:
    with keychain.temporary(unlocked, runner=mac, parent=tmp_path) as made:
        assert made.identity == fingerprint(unlocked.leaf)
        assert mac.state["search"] == [str(made.path), LOGIN]
        kept = mac.state["keychains"][str(made.path)]
        assert kept["timeout"] == 21600
        assert kept["partitions"] == "apple-tool:,apple:,codesign:"
        assert made.path.parent.stat().st_mode & 0o777 == 0o700
        assert not (made.path.parent / "identity.p12").exists()
    path = str(made.path)
    listed = ("security", "list-keychains", "-d", "user")
    told = ("security", "-i")
    assert mac.calls == [
        listed,  # what a crash has left
        told,
        ("security", "set-keychain-settings", "-u", "-t", "21600", path),
        told,
        told,
        told,
        listed,
        (*listed, "-s", path, LOGIN),
        ("security", "find-identity", "-v", "-p", "codesigning", path),
        listed,
        (*listed, "-s", LOGIN),
        ("security", "delete-keychain", path),
    ]
    create, unlocks, imports, partitions = [stdin.decode().rstrip("\n") for stdin in mac.stdins if stdin]
    password = split_line(create)[2]
    assert split_line(create) == ["create-keychain", "-p", password, path]
    assert split_line(unlocks) == ["unlock-keychain", "-p", password, path]
    once = split_line(imports)[7]
    archive = str(made.path.with_name("identity.p12"))
    readers = ["-T", "/usr/bin/codesign", "-T", "/usr/bin/security"]
    assert split_line(imports) == ["import", archive, "-k", path, "-f", "pkcs12", "-P", once, *readers]
    assert split_line(partitions) == [
        "set-key-partition-list", "-S", "apple-tool:,apple:,codesign:", "-s", "-k", password, path
    ]  # fmt: skip
    for secret in (password, once):
        assert len(secret) == 64 and secret not in mask(f"oops: {secret}")
        assert not any(secret in word for call in mac.calls for word in call)
    assert password != once and PASSWORD not in imports


def test_nothing_is_left_and_others_keychains_stay(mac: Security, unlocked: Unlocked, tmp_path: Path) -> None:
    with keychain.temporary(unlocked, runner=mac, parent=tmp_path):
        state = mac.state
        state["search"] = [*state["search"], "/Users/tester/added.keychain-db"]  # by somebody else, meanwhile
        mac.keep(state)
    assert mac.state["search"] == [LOGIN, "/Users/tester/added.keychain-db"]
    assert list(mac.state["keychains"]) == [LOGIN]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), SystemExit(3)])
def test_it_is_removed_after_any_error(
    error: BaseException, mac: Security, unlocked: Unlocked, tmp_path: Path
) -> None:
    with pytest.raises(type(error)), keychain.temporary(unlocked, runner=mac, parent=tmp_path):
        raise error
    assert mac.state["search"] == [LOGIN] and list(mac.state["keychains"]) == [LOGIN]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize(
    "command",
    ["create-keychain", "set-keychain-settings", "unlock-keychain", "import", "set-key-partition-list",
     "find-identity"],
)  # fmt: skip
def test_a_command_that_fails_leaves_nothing(
    command: str, mac: Security, unlocked: Unlocked, tmp_path: Path
) -> None:
    mac.broken = {command: Result((), 1, stderr=b"security: SecKeychain: it does not want to\n")}
    with (
        pytest.raises(keychain.KeychainFault) as caught,
        keychain.temporary(unlocked, runner=mac, parent=tmp_path),
    ):
        pytest.fail("it is not there")
    assert caught.value.status == Exit.SIGN and caught.value.cure
    assert "it does not want to" in str(caught.value)
    assert mac.state["search"] == [LOGIN] and list(mac.state["keychains"]) == [LOGIN]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_certificate_without_its_issuer_is_explained(mac: Security, tmp_path: Path) -> None:
    lonely = unlock(issue().p12(chain=False), PASSWORD)
    with (
        pytest.raises(keychain.KeychainFault, match="does not accept") as caught,
        keychain.temporary(lonely, runner=mac, parent=tmp_path),
    ):
        pytest.fail("codesign would fail on it")
    assert "signing.chain" in str(caught.value) and "0 valid identities found" in str(caught.value)


def test_known_certificates_complete_the_chain(mac: Security, tmp_path: Path) -> None:
    issued = issue()
    whole = unlock(issued.p12(chain=False), PASSWORD, known=[issued.root, issued.intermediate])
    assert whole.chain == (issued.intermediate, issued.root)
    with keychain.temporary(whole, runner=mac, parent=tmp_path) as made:
        assert made.identity in mac.state["keychains"][str(made.path)]["identities"]


def test_the_search_list_is_read_with_spaces_and_quotes() -> None:
    text = '    "/Users/a b/login.keychain-db"\n    "/x/say \\"hi\\".keychain"\n\n'
    assert keychain.search_list(text) == (Path("/Users/a b/login.keychain-db"), Path('/x/say "hi".keychain'))


def test_without_security_it_is_said(unlocked: Unlocked, tmp_path: Path) -> None:
    def nowhere(argv: tuple[str, ...]) -> Result:
        raise missing(argv[0])

    with (
        pytest.raises(Fault) as caught,
        keychain.temporary(unlocked, runner=Recorder(nowhere), parent=tmp_path),
    ):
        pytest.fail("there is no keychain here")
    assert caught.value.status == Exit.TOOL
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
    import os, sys, time
    from pathlib import Path
    from commands import Subprocess
    from release.stop import stoppable
    from signing import keychain
    from signing.identity import unlock

    with stoppable(), keychain.temporary(
        unlock(Path(sys.argv[1]).read_bytes(), os.environ["P"]), runner=Subprocess(), parent=Path(sys.argv[2])
    ):
        print("there", flush=True)
        time.sleep(60)
"""


def release_until(stop: signal.Signals, mac: Security, tmp_path: Path) -> int:
    """Start a process that has its keychain, stop it, return its status."""
    programs, archive = tmp_path / "bin", tmp_path / "state" / "developer.p12"
    programs.mkdir(exist_ok=True)
    tool = programs / "security"
    line = f'exec "{sys.executable}" -m tests.standins.security "{mac.folder}" "$@"'
    tool.write_text(f'#!/bin/sh\ncd "{ROOT}" && {line}\n')
    tool.chmod(0o755)
    archive.write_bytes(issue().p12())
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(archive), str(tmp_path)]
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    said = tmp_path / "state" / "said"
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, "PATH": path, "P": PASSWORD},
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n", said.read_text()
        assert len(mac.state["search"]) == 2
        process.send_signal(stop)
        return process.wait(30)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_release_removes_its_keychain(stop: signal.Signals, mac: Security, tmp_path: Path) -> None:
    assert release_until(stop, mac, tmp_path) != 0
    assert mac.state["search"] == [LOGIN] and list(mac.state["keychains"]) == [LOGIN]
    assert not list(tmp_path.glob(f"{keychain.PREFIX}*"))


def test_what_a_killed_release_left_is_removed_by_the_next(
    mac: Security, unlocked: Unlocked, tmp_path: Path
) -> None:
    assert release_until(signal.SIGKILL, mac, tmp_path) == -signal.SIGKILL
    (left,) = tmp_path.glob(f"{keychain.PREFIX}*")
    assert mac.state["search"] == [str(left / keychain.NAME), LOGIN]
    with keychain.temporary(unlocked, runner=mac, parent=tmp_path) as made:
        assert mac.state["search"] == [str(made.path), LOGIN]
        assert not left.exists()
    assert mac.state["search"] == [LOGIN] and list(mac.state["keychains"]) == [LOGIN]


def test_an_entry_whose_file_is_gone_is_swept(mac: Security, tmp_path: Path) -> None:
    gone = tmp_path / f"{keychain.PREFIX}gone" / keychain.NAME
    mac.keep({**mac.state, "search": [str(gone), LOGIN]})
    assert keychain.sweep(runner=mac, parent=tmp_path) == (gone,)
    assert mac.state["search"] == [LOGIN]


def test_a_keychain_in_use_is_left_alone(mac: Security, unlocked: Unlocked, tmp_path: Path) -> None:
    with keychain.temporary(unlocked, runner=mac, parent=tmp_path) as first:
        with keychain.temporary(unlocked, runner=mac, parent=tmp_path) as second:
            assert mac.state["search"] == [str(second.path), str(first.path), LOGIN]
        assert mac.state["search"] == [str(first.path), LOGIN]
        assert first.path.exists()


def test_a_folder_without_a_lock_is_swept_once_it_is_old(mac: Security, tmp_path: Path) -> None:
    folder = tmp_path / f"{keychain.PREFIX}half"
    folder.mkdir()
    assert keychain.sweep(runner=mac, parent=tmp_path) == ()
    os.utime(folder, (time.time() - 120,) * 2)
    assert keychain.sweep(runner=mac, parent=tmp_path) == (folder / keychain.NAME,)
    assert not folder.exists()


@pytest.mark.parametrize(
    "word", ["plain", "two words", 'a "quote"', "it's", r"back\slash", "tab\there", "ü", ""]
)
def test_a_word_comes_back_as_apples_tool_splits_it(word: str) -> None:
    line = " ".join(map(security.quoted, ("say", word, "end")))
    assert split_line(line) == ["say", word, "end"]


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b", "x" * 5000])
def test_what_cannot_be_told_is_refused(word: str) -> None:
    with pytest.raises(Fault):
        security.tell(Recorder(), "create-keychain", "-p", word)
