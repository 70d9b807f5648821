"""Secrets by URI, read as late as possible and masked in everything printed afterwards.

`env:NAME` reads an environment variable, `file:PATH` a file that only its owner may read,
`keychain:SERVICE/ACCOUNT` a generic password of the login keychain (macOS).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from commands import Runner, Subprocess
from errors import Exit, Fault

_SHORTEST: Final = 6  # masking shorter values would blank out ordinary words
_seen: set[str] = set()


class SecretFault(Fault):
    """A secret is missing or kept carelessly."""

    status = Exit.SECRET


def read(
    uri: str,
    *,
    environ: Mapping[str, str] | None = None,
    runner: Runner | None = None,
    public: bool = False,
) -> str:
    """The secret that `uri` names, without a trailing newline. Raises SecretFault.

    `public`: it is none (a team's id, a public key) and may be shown.
    """
    scheme, _, name = uri.partition(":")
    environment = os.environ if environ is None else environ
    if scheme == "env" and name:
        value = _from_environment(name, environment)
    elif scheme == "file" and name:
        value = _from_file(Path(name).expanduser())
    elif scheme == "keychain" and name.count("/") >= 1:
        value = _from_keychain(name, runner or Subprocess())
    else:
        raise SecretFault(
            "not a secret's address",
            where=scheme + ":…" if scheme != uri else "…",
            cure="use env:NAME, file:PATH or keychain:SERVICE/ACCOUNT",
        )
    return value if public else remember(value)


def present(
    uri: str, *, environ: Mapping[str, str] | None = None, runner: Runner | None = None
) -> bool | None:
    """Whether the secret is there, without reading it. None: can't be told.

    A keychain is asked only with a `runner`, and on a Mac; it gives no password away and asks nobody for one.
    """
    scheme, _, name = uri.partition(":")
    environment = os.environ if environ is None else environ
    if scheme == "env":
        return bool(environment.get(name))
    if scheme == "file":
        return Path(name).expanduser().is_file()
    if scheme == "keychain" and runner is not None:
        return _in_keychain(name, runner)
    return None


def remember(value: str) -> str:
    """Have `mask` hide `value` from now on."""
    for line in {value, *value.splitlines()}:
        if len(line.strip()) >= _SHORTEST:
            _seen.add(line.strip())
    return value


def mask(text: str) -> str:
    """`text` with every secret that was read replaced by dots; longest first, so that none shines through."""
    for value in sorted(_seen, key=len, reverse=True):
        text = text.replace(value, "••••••")
    return text


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise SecretFault("a secret is missing", where=f"env:{name}", cure=f"set {name} in the environment")
    return value.rstrip("\n")


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        value = path.read_text("utf-8")
    except FileNotFoundError:
        raise SecretFault("a secret's file is missing", where=path, cure="create it with mode 0600") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFault(f"a secret's file can't be read: {error}", where=path) from None
    if stat.S_IMODE(mode) & 0o077:
        raise SecretFault(
            f"others may read this secret (mode {stat.S_IMODE(mode):04o})",
            where=path,
            cure=f"chmod 600 {path}",
        )
    return value.rstrip("\n")


def _in_keychain(name: str, runner: Runner) -> bool | None:
    service, _, account = name.rpartition("/")
    try:
        argv = ["security", "find-generic-password", "-s", service, "-a", account]
        return runner.run(argv, check=False).status == 0
    except Fault:  # there is no `security` here
        return None


def _from_keychain(name: str, runner: Runner) -> str:
    service, _, account = name.rpartition("/")
    argv = ["security", "find-generic-password", "-s", service, "-a", account, "-w"]
    result = runner.run(argv, check=False)
    if result.status:
        raise SecretFault(
            "the keychain has no such password",
            where=f"keychain:{name}",
            cure=f"security add-generic-password -s {service} -a {account} -w",
        )
    return result.stdout.decode("utf-8", "replace").rstrip("\n")
