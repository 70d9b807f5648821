"""Where the Cursor key is kept: the environment, the system's keychain, or a private file.

The system's keychain is the Mac's Keychain, elsewhere the Secret Service (GNOME Keyring, KWallet, KeePassXC),
both through `keyring`. It can be locked, which is a state like any other; reading never asks the user, only
`unlock` does. Every call may wait for a disk, a daemon or a dialog: keep them off an event loop.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from app.errors import AppError
from app.files import read_private, write_private

SERVICE = "ai.standardagents.apiforcursor"
ACCOUNT = "cursor-api-key"
VARIABLE = "CURSOR_API_KEY"
FILE = "cursor-api-key"
DEFAULT_COLLECTION = "/org/freedesktop/secrets/aliases/default"
IN_A_FILE = "no keychain was found here, so the key is kept in a file that only this user can read"

# OSStatus codes (Security/SecBase.h) that say: there may be a key, but nobody has been let at it.
USER_CANCELED = -128
AUTHENTICATION_FAILED = -25293
INTERACTION_NOT_ALLOWED = -25308
LOCKED_STATUSES = frozenset((USER_CANCELED, AUTHENTICATION_FAILED, INTERACTION_NOT_ALLOWED))

Mode = Literal["auto", "file"]


@dataclass(frozen=True, slots=True)
class Held:
    """What a vault says of the key. `source` is the vault's name, `warning` a sentence for the user.

    `key` is None unless `state` is "present".
    """

    state: Literal["absent", "locked", "present"]
    key: str | None = None
    source: str = ""
    warning: str | None = None

    def __repr__(self) -> str:
        return f"Held({self.state}, source={self.source!r})"


class Vault(Protocol):
    """A place that keeps one key."""

    @property
    def name(self) -> str:
        """What people call it."""

    def read(self) -> Held:
        """Give the key if it can be had without asking anybody."""

    def write(self, key: str) -> None:
        """Keep `key` in place of any other. Raises AppError."""

    def remove(self) -> None:
        """Forget the key; none is fine. Raises AppError."""

    def unlock(self) -> Held:
        """Give the key, asking the user if that is what it takes."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The key that the process was started with. It cannot be changed from inside."""

    key: str | None
    name: str = f"the environment ({VARIABLE})"

    def __repr__(self) -> str:
        return f"Environment({'set' if self.key else 'not set'})"

    def read(self) -> Held:
        """Give the key."""
        return Held("present", self.key, self.name) if self.key else Held("absent", source=self.name)

    def write(self, key: str) -> None:
        """Refuse."""
        raise self._fixed()

    def remove(self) -> None:
        """Refuse, if there is one."""
        if self.key:
            raise self._fixed()

    def unlock(self) -> Held:
        """Give the key."""
        return self.read()

    def _fixed(self) -> AppError:
        return AppError(f"the key comes from {VARIABLE}", cure="unset that variable and start again")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that only this user can read, for machines without a keychain."""

    path: Path
    name: str = "a private file"

    def read(self) -> Held:
        """Give the file's first line."""
        try:
            text = read_private(self.path)
        except FileNotFoundError:
            return Held("absent", source=self.name)
        except (OSError, UnicodeDecodeError) as error:
            return Held("locked", source=self.name, warning=f"{self.path} cannot be read: {error}")
        key = text.strip()
        return Held("present", key, self.name, IN_A_FILE) if key else Held("absent", source=self.name)

    def write(self, key: str) -> None:
        """Write the file whole, or not at all."""
        write_private(self.path, f"{key}\n".encode())

    def remove(self) -> None:
        """Delete the file."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise AppError(f"{self.path} cannot be deleted: {error.strerror}") from error

    def unlock(self) -> Held:
        """Give the key: a file has no lock of its own."""
        return self.read()


class Backend(Protocol):
    """What is used of a keyring backend."""

    def get_password(self, service: str, username: str) -> str | None:
        """Give the secret; may ask the user."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep the secret."""

    def delete_password(self, service: str, username: str) -> None:
        """Forget the secret."""


Look = Callable[[], Literal["open", "locked", "none"]]
"""How the keychain is, without asking anybody: "none" if it was never made, and so holds no key."""
Silence = Callable[[bool], None]
"""Forbids the system to ask the user, or allows it again, for this whole process."""

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Keyring:
    """The system's keychain. `look` and `silence` keep `read` from asking the user."""

    backend: Backend
    name: str
    look: Look = lambda: "open"
    silence: Silence = lambda silent: None

    def read(self) -> Held:
        """Give the key, or say that it is locked."""
        with _one_at_a_time, self._silent():
            state = self._look()
            if state == "open":
                return self._get()
            return Held("locked" if state == "locked" else "absent", source=self.name)

    def unlock(self) -> Held:
        """Give the key; the system asks the user for it."""
        with _one_at_a_time:
            return self._get()

    def write(self, key: str) -> None:
        """Keep `key`; the system may ask the user."""
        with _one_at_a_time:
            self._change("kept", lambda: self.backend.set_password(SERVICE, ACCOUNT, key))

    def remove(self) -> None:
        """Forget the key."""
        with _one_at_a_time:
            held = self._get()
            if held.state == "locked":
                raise AppError(
                    f"{self.name} is locked, and so is the key in it", cure="unlock it and try again"
                )
            if held.state == "present":
                self._change("removed", lambda: self.backend.delete_password(SERVICE, ACCOUNT))

    def _get(self) -> Held:
        try:
            key = self.backend.get_password(SERVICE, ACCOUNT)
        except Exception as error:  # backends let through what their libraries raise
            warning = None if is_locked(error) else f"{self.name} does not answer ({_reason(error)})"
            return Held("locked", source=self.name, warning=warning)
        return Held("present", key, self.name) if key else Held("absent", source=self.name)

    def _look(self) -> Literal["open", "locked", "none"]:
        try:
            return self.look()
        except Exception:
            return "open"  # then asking for the key will tell more

    def _change(self, done: str, change: Callable[[], None]) -> None:
        try:
            change()
        except Exception as error:
            what = f"the key could not be {done} in {self.name}"
            cure = "unlock it and try again" if is_locked(error) else None
            raise AppError(f"{what} ({_reason(error)})", cure=cure) from None

    @contextmanager
    def _silent(self) -> Iterator[None]:
        self.silence(True)
        try:
            yield
        finally:
            self.silence(False)


def is_locked(error: BaseException | None) -> bool:
    """Whether a keyring's exception means that the user has to unlock something, or has declined to."""
    while error is not None:
        if type(error).__name__ in ("KeyringLocked", "LockedException", "PromptDismissedException"):
            return True
        if error.args and error.args[0] in LOCKED_STATUSES:
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: BaseException) -> str:
    """Name the error without its message, which is others' text; a system's status number says more."""
    cause: BaseException = error.__cause__ or error
    status = cause.args[0] if cause.args and isinstance(cause.args[0], int) else None
    return type(error).__name__ if status is None else f"{type(error).__name__} {status}"


@dataclass(frozen=True, slots=True)
class Vaults:
    """The system's keychain, and a file left from a time without one, which goes when a key is written."""

    system: Vault
    file: Vault

    @property
    def name(self) -> str:
        """The name of the place that keys are written to."""
        return self.system.name

    def read(self) -> Held:
        """Give the keychain's key, or else the file's."""
        return self._or_the_files(self.system.read())

    def unlock(self) -> Held:
        """Give the keychain's key, asking the user if need be, or else the file's."""
        return self._or_the_files(self.system.unlock())

    def write(self, key: str) -> None:
        """Keep `key` in the keychain only."""
        self.system.write(key)
        self.file.remove()

    def remove(self) -> None:
        """Forget the key in both."""
        self.system.remove()
        self.file.remove()

    def _or_the_files(self, held: Held) -> Held:
        other = held if held.state == "present" else self.file.read()
        return other if other.state == "present" else held


@dataclass(slots=True)
class OnDemand:
    """A vault that is found when it is first asked: the system's keychain takes a while to load."""

    make: Callable[[], Vault]
    _made: Vault | None = None

    @property
    def vault(self) -> Vault:
        """The vault itself."""
        if self._made is None:
            self._made = self.make()
        return self._made

    @property
    def name(self) -> str:
        """Its name."""
        return self.vault.name

    def read(self) -> Held:
        """Do as it does."""
        return self.vault.read()

    def write(self, key: str) -> None:
        """Do as it does."""
        self.vault.write(key)

    def remove(self) -> None:
        """Do as it does."""
        self.vault.remove()

    def unlock(self) -> Held:
        """Do as it does."""
        return self.vault.unlock()


def vault(key: str | None, data_dir: Path, *, mode: Mode = "auto", platform: str = sys.platform) -> Vault:
    """Give the place of this machine's key; `key` is the environment's, which wins."""
    if key:
        return Environment(key)  # nothing else matters, and nobody is asked
    return OnDemand(lambda: _stored(KeyFile(data_dir / FILE), mode, platform))


def _stored(file: KeyFile, mode: Mode, platform: str) -> Vault:
    system = None if mode == "file" else find_keyring(platform)
    if system is None:
        return file
    return Vaults(system, file)


def find_keyring(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Keyring | None:
    """Give the system's keychain, or None where there is none.

    The backend is named here rather than found by `keyring`: neither a configuration file nor an installed
    package may lead the key elsewhere, as into a file anybody can read.
    """
    return _keychain() if platform == "darwin" else _secret_service(environ)


def _keychain() -> Keyring:
    from keyring.backends.macOS import Keyring as KeychainBackend

    backend: Backend = KeychainBackend()  # type: ignore[no-untyped-call]
    return Keyring(backend, "the Keychain", silence=_silence_keychain)


def _silence_keychain(silent: bool) -> None:
    """Let a locked Keychain fail instead of asking (SecKeychainSetUserInteractionAllowed)."""
    import ctypes

    security: Any = ctypes.CDLL("/System/Library/Frameworks/Security.framework/Security")
    security.SecKeychainSetUserInteractionAllowed(ctypes.c_ubyte(not silent))


def _secret_service(environ: Mapping[str, str]) -> Keyring | None:
    if not environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return None  # no desktop, so nothing to import
    try:
        from keyring.backends.SecretService import Keyring as ServiceBackend

        ServiceBackend.priority  # noqa: B018 - raises RuntimeError where the service is not to be had
    except (ImportError, RuntimeError, OSError):
        return None
    backend: Backend = ServiceBackend()  # type: ignore[no-untyped-call]
    return Keyring(backend, "the Secret Service", look=_look_at_collection)


def _look_at_collection() -> Literal["open", "locked", "none"]:
    """See how the default collection is; `get_default_collection` would make one, and ask for a password."""
    try:
        import secretstorage
    except ImportError:  # which comes with that backend, so not on a Mac
        return "none"

    with closing(secretstorage.dbus_init()) as bus:
        try:
            return "locked" if secretstorage.Collection(bus, DEFAULT_COLLECTION).is_locked() else "open"
        except secretstorage.ItemNotFoundException:
            return "none"
