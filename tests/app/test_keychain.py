"""Where the key is kept: environment, keychain, file; and what each of them says when it cannot."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from keyring.errors import KeyringError, KeyringLocked

from app.errors import AppError
from app.keychain import (
    ACCOUNT,
    FILE,
    IN_A_FILE,
    INTERACTION_NOT_ALLOWED,
    SERVICE,
    USER_CANCELED,
    Environment,
    Held,
    KeyFile,
    Keyring,
    Vaults,
    find_keyring,
    is_locked,
    vault,
)
from tests.app.conftest import ROOT

KEY = "key_0123456789"


class Chest:
    """A keyring backend in memory. `error` is raised by every call; `asked` counts them."""

    def __init__(self, key: str | None = None) -> None:
        self.kept = {} if key is None else {(SERVICE, ACCOUNT): key}
        self.error: Exception | None = None
        self.asked = 0

    def _called(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error

    def get_password(self, service: str, username: str) -> str | None:
        self._called()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._called()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._called()
        del self.kept[service, username]


def as_keyring_raises(status: int) -> KeyringError:
    """What keyring's macOS backend makes of a status of the Keychain's."""
    error = KeyringError(f"Can't get password from keychain: ({status}, 'Unknown Error')")
    error.__cause__ = RuntimeError(status, "Unknown Error")
    return error


def test_a_held_key_shows_itself_nowhere() -> None:
    for value in (Held("present", KEY, "x"), Environment(KEY)):
        assert KEY not in repr(value)


def test_the_environment_wins_and_cannot_be_changed(tmp_path: Path) -> None:
    place = vault(KEY, tmp_path)
    assert place.read() == place.unlock() == Held("present", KEY, "the environment (CURSOR_API_KEY)")
    with pytest.raises(AppError, match="CURSOR_API_KEY: unset"):
        place.write("another_key")
    with pytest.raises(AppError, match="CURSOR_API_KEY: unset"):
        place.remove()
    assert not list(tmp_path.iterdir())
    assert Environment(None).read().state == "absent"
    Environment(None).remove()


def test_a_file_is_private_and_told_of(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "data" / FILE)
    assert file.read() == Held("absent", source="a private file")
    file.remove()
    file.write(KEY)
    assert file.read() == file.unlock() == Held("present", KEY, "a private file", IN_A_FILE)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    file.write("another_key")
    assert file.read().key == "another_key"
    assert [path.name for path in file.path.parent.iterdir()] == [FILE]  # no temporary one is left
    file.remove()
    assert file.read().state == "absent"


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE)
    file.path.write_text(KEY)
    file.path.chmod(0o644)
    assert file.read().key == KEY
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
def test_a_file_without_a_key(tmp_path: Path, content: bytes) -> None:
    file = KeyFile(tmp_path / FILE)
    file.path.write_bytes(content)
    assert file.read().key is None


def test_the_keychain_keeps_one_key_under_its_own_name() -> None:
    chest = Chest()
    keychain = Keyring(chest, "the Keychain")
    assert keychain.read() == Held("absent", source="the Keychain")
    keychain.write(KEY)
    assert chest.kept == {("ai.standardagents.apiforcursor", "cursor-api-key"): KEY}
    assert keychain.read() == keychain.unlock() == Held("present", KEY, "the Keychain")
    keychain.remove()
    keychain.remove()
    assert keychain.read().state == "absent"


@pytest.mark.parametrize(
    "error",
    [KeyringLocked("no"), as_keyring_raises(INTERACTION_NOT_ALLOWED), as_keyring_raises(USER_CANCELED)],
    ids=["locked", "interaction not allowed", "cancelled"],
)
def test_a_locked_keychain_is_a_state(error: Exception) -> None:
    chest = Chest(KEY)
    keychain = Keyring(chest, "the Keychain")
    chest.error = error
    assert keychain.read() == keychain.unlock() == Held("locked", source="the Keychain")  # and no warning
    with pytest.raises(AppError, match="unlock it"):
        keychain.write("another_key")
    with pytest.raises(AppError, match="unlock it"):
        keychain.remove()
    chest.error = None
    assert keychain.unlock().key == KEY


def test_a_keychain_that_fails_otherwise_is_named_without_its_words() -> None:
    chest = Chest(KEY)
    chest.error = as_keyring_raises(-67030)
    held = Keyring(chest, "the Keychain").read()
    assert held.state == "locked"
    assert held.warning == "the Keychain does not answer (KeyringError -67030)"
    chest.error = ValueError(f"{KEY} is no good")
    with pytest.raises(AppError) as caught:
        Keyring(chest, "the Keychain").write(KEY)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_reading_asks_nobody() -> None:
    chest, calls = Chest(KEY), list[bool]()
    locked = Keyring(chest, "the Keychain", look=lambda: "locked", silence=calls.append)
    assert locked.read().state == "locked"
    assert chest.asked == 0
    assert calls == [True, False]
    assert locked.unlock().key == KEY  # this one may ask
    assert calls == [True, False]
    assert Keyring(chest, "x", look=lambda: "none").read().state == "absent"
    assert chest.asked == 1


def test_silence_ends_even_if_reading_fails() -> None:
    calls: list[bool] = []
    chest = Chest()
    chest.error = RuntimeError("no")
    Keyring(chest, "x", silence=calls.append).read()
    assert calls == [True, False]


def test_what_counts_as_locked() -> None:
    class LockedException(Exception):  # as Secret Service's library names it
        pass

    assert is_locked(LockedException())
    assert not is_locked(None)
    assert not is_locked(RuntimeError())
    assert not is_locked(as_keyring_raises(-25300))


def test_the_keychain_comes_before_the_file_and_replaces_it(tmp_path: Path) -> None:
    chest, file = Chest(), KeyFile(tmp_path / FILE)
    both = Vaults(Keyring(chest, "the Keychain"), file)
    assert both.read() == Held("absent", source="the Keychain")
    file.write("key_of_headless_days")
    assert both.read().source == "a private file"
    both.write(KEY)
    assert both.read() == Held("present", KEY, "the Keychain")
    assert not file.path.exists()
    file.write("key_again")
    both.remove()
    assert both.read().state == "absent"
    assert not file.path.exists()


def test_a_locked_keychain_is_told_of_unless_another_key_is_there(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE)
    both = Vaults(Keyring(Chest(KEY), "the Keychain", look=lambda: "locked"), file)
    assert both.read().state == "locked"
    file.write("key_in_a_file")
    assert both.read().key == "key_in_a_file"


def test_without_a_desktop_there_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_keyring("linux", {}) is None
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    assert find_keyring("linux") is None  # a bus that is not there
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    place = vault(None, tmp_path)
    place.write(KEY)
    assert place.read() == Held("present", KEY, "a private file", IN_A_FILE)
    assert vault(None, tmp_path, mode="file").read().key == KEY


def test_no_setting_of_keyrings_own_leads_the_key_elsewhere(tmp_path: Path) -> None:
    """`keyring` can be configured to keep secrets in plain files, or to load a backend from anywhere."""
    script = (
        "import sys; from pathlib import Path; from app.keychain import vault; "
        f"place = vault(None, Path({str(tmp_path)!r})); place.write('{KEY}'); "
        "print(place.name, 'keyring' in sys.modules)"
    )
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "a private file False\n"


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("gnome-keyring-daemon") and shutil.which("dbus-run-session")),
    reason="needs gnome-keyring and dbus-run-session",
)
def test_a_real_secret_service(tmp_path: Path) -> None:
    """GNOME Keyring on a bus of its own, where nobody sits to answer its dialogs."""
    script = """
from app.errors import AppError
from app.keychain import find_keyring
import secretstorage

keychain = find_keyring("linux")
says = lambda: keychain.read().state
print(keychain.name, says())
keychain.write("key_one_two")
keychain.write("key_three_four")
print(says(), keychain.read().key)
bus = secretstorage.dbus_init()
collection = secretstorage.get_default_collection(bus)
print(len(list(collection.get_all_items())))
keychain.remove()
print(says())
keychain.write("key_five_six")
collection.lock()
print(says(), keychain.unlock().state)
try:
    keychain.remove()
except AppError as error:
    print(error)
"""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    unlocked = 'printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$@"'
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", unlocked, "sh", sys.executable, "-c", script],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(run), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "the Secret Service absent",
        "present key_three_four",
        "1",
        "absent",
        "locked locked",
        "the Secret Service is locked, and so is the key in it: unlock it and try again",
    ], done.stderr


def test_the_mac_keychain_is_named_explicitly(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring's macOS backend can be imported anywhere, and used on a Mac only."""
    made = find_keyring("darwin")
    assert made is not None
    assert type(made.backend).__module__ == "keyring.backends.macOS"
    assert made.name == "the Keychain"
