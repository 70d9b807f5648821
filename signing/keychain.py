"""A keychain of our own for one release: made, unlocked, searched, and gone again however the release ends.

codesign takes its key from a keychain, and the login keychain is no place for a key that came in the
environment: it would stay there, and ask a person who isn't there for permission. What a killed process left
(kill -9, a power cut) is recognized by its name and its lock, which nobody holds any more, and removed by the
next one.

Each keychain lies in a private folder of its own, never under dist/, which is uploaded.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from commands import Result, Runner
from errors import Exit, Fault
from signing import certificate, secrets, security
from signing.identity import Unlocked, old_style_p12

PREFIX = "api-for-cursor-keychain-"
NAME = "release.keychain-db"
LOCK = "owner.lock"
IDLE = 6 * 3600
"""Seconds without use after which it locks itself; without a setting it would after five minutes."""

PARTITIONS = "apple-tool:,apple:,codesign:"
"""Who may use the key without a person's consent: Apple's own tools, and codesign."""

_IDENTITY = re.compile(r'\d+\) ([0-9A-F]{40}) "([^"]*)"')

READERS = ("/usr/bin/codesign", "/usr/bin/security")


class KeychainFault(Fault):
    """The keychain for a release can't be made."""

    status = Exit.SIGN


@dataclass(frozen=True, slots=True)
class Keychain:
    """A keychain that is there and unlocked. `identity`: its certificate's SHA-1, None if it has none."""

    path: Path
    identity: str | None


@contextmanager
def temporary(unlocked: Unlocked | None, *, runner: Runner, parent: Path | None = None) -> Iterator[Keychain]:
    """Have a keychain of our own while the block runs, with an identity in it or (None) without.

    `parent`: where its folder is made, by default the user's temporary folder. The search list keeps what was
    in it, and gets back to that. Raises KeychainFault, Fault TOOL where there is no `security`.
    """
    home = _home(parent)
    sweep(runner=runner, parent=home)
    with _own_folder(home) as folder:
        path, password = folder / NAME, _secret()
        try:
            _make(path, password, runner)
            if unlocked is None:  # nothing has to be found in it, only kept
                yield Keychain(path, None)
                return
            _fill(path, password, unlocked, runner)
            _search(path, runner)
            yield Keychain(path, _found(path, unlocked, runner))
        finally:
            with _undisturbed():
                _remove([path], runner)


def sweep(*, runner: Runner, parent: Path | None = None) -> tuple[Path, ...]:
    """Remove keychains whose makers are dead; return them. A living maker's lock keeps others off."""
    home = _home(parent)
    stale = [folder for folder in sorted(home.glob(f"{PREFIX}*")) if not _owned(folder)]
    listed = [path for path in _listed(runner) if _ours(path) and not path.parent.exists()]
    paths = (*(folder / NAME for folder in stale), *listed)
    if paths:
        _remove(paths, runner)
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return paths


def find(wanted: str, *, runner: Runner) -> x509.Certificate:
    """Return the certificate of the one identity that fits in this Mac's keychains.

    `wanted`: its name, part of that, or its SHA-1. Raises BadIdentity if there is none, or more than one.
    """
    asked = ["security", "find-identity", "-v", "-p", "codesigning"]
    found = dict(_IDENTITY.findall(runner.run(asked, check=False).text))
    fitting = {sha1: name for sha1, name in found.items() if wanted in name or wanted.upper() == sha1}
    if len(fitting) != 1:
        raise certificate.BadIdentity(
            f"the keychains have {len(fitting) or 'no'} identities for “{wanted}”",
            details=tuple(f"{sha1} {name}" for sha1, name in (fitting or found).items()),
            cure="name one by its SHA-1 in signing.name"
            if fitting
            else "import the certificate with its key, or set the .p12 in the environment",
        )
    ((sha1, name),) = fitting.items()
    shown = runner.run(["security", "find-certificate", "-a", "-p", "-c", name], check=False)
    for each in certificate.from_files(shown.stdout):
        if certificate.fingerprint(each) == sha1:
            return each
    raise certificate.BadIdentity(f"the certificate of “{name}” can't be read", cure="unlock the keychain")


def search_list(text: str) -> tuple[Path, ...]:
    """Read what `security list-keychains` prints: a quoted path on each line."""
    found = (re.fullmatch(r'\s*"(.*)"\s*', line) for line in text.splitlines())
    return tuple(Path(one[1].replace(r"\"", '"')) for one in found if one)


def _home(parent: Path | None) -> Path:
    """Return where keychains lie, without links: the search list has none either."""
    return (parent or Path(tempfile.gettempdir())).resolve()


def _secret() -> str:
    return secrets.remember(os.urandom(32).hex())


@contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """Make a private folder and hold its lock: as long as this process lives, nobody sweeps it away."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owned(folder: Path) -> bool:
    """Tell whether whoever made the folder still lives."""
    try:
        with (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return _young(folder)  # made a moment ago, its lock about to be
    return False


def _young(folder: Path) -> bool:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime < 60
    return False


def _ours(path: Path) -> bool:
    return path.name == NAME and path.parent.name.startswith(PREFIX)


def _make(path: Path, password: str, runner: Runner) -> None:
    _require("make a keychain", security.tell(runner, "create-keychain", "-p", password, str(path)))
    settings: list[str | Path] = ["security", "set-keychain-settings", "-u", "-t", str(IDLE), path]
    _require("set a keychain's timeout", runner.run(settings, check=False))
    _require("unlock a keychain", security.tell(runner, "unlock-keychain", "-p", password, str(path)))


def _fill(path: Path, password: str, unlocked: Unlocked, runner: Runner) -> None:
    """Import the identity, and let codesign use it without asking anybody."""
    once, archive = _secret(), path.with_name("identity.p12")
    archive.touch(mode=0o600)
    archive.write_bytes(old_style_p12(unlocked, once))
    try:
        readers = [word for program in READERS for word in ("-T", program)]
        words = ["import", str(archive), "-k", str(path), "-f", "pkcs12", "-P", once, *readers]
        _require("import the certificate", security.tell(runner, *words))
    finally:
        archive.unlink()
    words = ["set-key-partition-list", "-S", PARTITIONS, "-s", "-k", password, str(path)]
    _require("let codesign use the key", security.tell(runner, *words))


def _search(path: Path, runner: Runner) -> None:
    """Put it before what is searched already: codesign takes certificates from there, --keychain or not."""
    _set_search_list([path, *_listed(runner)], runner)


def _found(path: Path, unlocked: Unlocked, runner: Runner) -> str:
    wanted = certificate.fingerprint(unlocked.leaf)
    result = runner.run(["security", "find-identity", "-v", "-p", "codesigning", path], check=False)
    if wanted not in result.text.upper():
        raise KeychainFault(
            f"macOS does not accept “{certificate.name_of(unlocked.leaf)}” for signing code",
            details=_last_lines(result),
            cure="is the certificate that issued it there? Get it from "
            f"{certificate.APPLE_AUTHORITIES} and name the file in signing.chain",
        )
    return wanted


def _listed(runner: Runner) -> tuple[Path, ...]:
    result = runner.run(["security", "list-keychains", "-d", "user"], check=False)
    _require("read the keychains' search list", result)
    return search_list(result.stdout.decode("utf-8", "replace"))


def _set_search_list(paths: Sequence[Path], runner: Runner) -> None:
    result = runner.run(["security", "list-keychains", "-d", "user", "-s", *paths], check=False)
    _require("set the keychains' search list", result)


def _remove(paths: Sequence[Path], runner: Runner) -> None:
    """Take keychains out of the search list as it is now, which others may have changed, and delete them."""
    with suppress(KeychainFault):  # deleting takes them out of the list as well
        now = _listed(runner)
        kept = [path for path in now if path not in paths]
        if kept and len(kept) < len(now):
            _set_search_list(kept, runner)
    for path in paths:
        runner.run(["security", "delete-keychain", path], check=False)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody stop this process in the middle of tidying up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, signal.SIG_IGN) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _require(what: str, result: Result) -> None:
    if result.status:
        raise KeychainFault(
            f"could not {what}: `security` ended with status {result.status}",
            details=_last_lines(result),
            cure="run it where a keychain can be made: in a login session, not as another user",
        )


def _last_lines(result: Result) -> tuple[str, ...]:
    return tuple(map(secrets.mask, result.tail(6)))
