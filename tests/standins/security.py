"""A stand-in for macOS's `security`, as far as a release needs it, over a folder that holds all keychains.

It splits the lines of its interactive mode as Apple's SecurityTool does, reads only .p12 of the old kind,
keeps a search list, and asks for a keychain's password. `python -m tests.standins.security FOLDER ARGS…` is a
program.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from asn1crypto import pkcs12 as asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from commands import Result
from tests.standins.commands import Recorder

LOGIN = "/Users/tester/Library/Keychains/login.keychain-db"
NO_SUCH = 50  # errSecNoSuchKeychain, as an exit status
LOCKED = 36
DENIED = 51


class Security(Recorder):
    """Keychains by path, and the search list, kept in `folder`/state.json.

    `broken` are commands that end otherwise than they should; `stdout` is what other programs say, by name:
    all of them end well.
    """

    def __init__(self, folder: Path, *, stdout: Mapping[str, bytes] = MappingProxyType({})) -> None:
        super().__init__()
        self.folder = folder
        self.stdout = stdout
        self.broken: Mapping[str, Result] = {}

    @property
    def state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        if path.exists():
            return dict(json.loads(path.read_text()))
        return {"search": [LOGIN], "keychains": {LOGIN: {"unlocked": True, "identities": {}, "pem": {}}}}

    def keep(self, state: Mapping[str, Any]) -> None:
        fresh = self.folder / f"state.{os.getpid()}"
        fresh.write_text(json.dumps(state))
        fresh.replace(self.folder / "state.json")

    def respond(self, line: tuple[str, ...], stdin: bytes | None) -> Result:
        if line[0] != "security":
            return Result(line, 0, self.stdout.get(line[0], b""))
        words = line[1:] if line[1:] != ("-i",) else tuple(split_line((stdin or b"").decode().rstrip("\n")))
        return replace(self.broken.get(words[0]) or self.answer(words), argv=line)

    def answer(self, words: tuple[str, ...]) -> Result:
        handler = getattr(self, words[0].replace("-", "_"), None)
        if handler is None:
            return Result(words, 1, stderr=f'security: unknown command "{words[0]}"\n'.encode())
        state = self.state
        result: Result = handler(words, state)
        self.keep(state)
        return result

    def create_keychain(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        path = words[-1]
        if path in state["keychains"]:
            return said(words, 48, "A keychain with the same name already exists.")
        Path(path).write_bytes(b"kych")
        state["keychains"][path] = {
            "password": option(words, "-p"), "unlocked": False, "timeout": 300, "identities": {}, "pem": {}
        }  # fmt: skip
        return Result(words, 0)

    def set_keychain_settings(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        keychain = state["keychains"].get(words[-1])
        if keychain is None:
            return said(words, NO_SUCH, "The specified keychain could not be found.")
        keychain["timeout"] = int(option(words, "-t"))
        return Result(words, 0)

    def unlock_keychain(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        keychain = state["keychains"].get(words[-1])
        if keychain is None or keychain["password"] != option(words, "-p"):
            return said(words, DENIED, "The user name or passphrase you entered is not correct.")
        keychain["unlocked"] = True
        return Result(words, 0)

    def import_(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        keychain = state["keychains"].get(option(words, "-k"))
        if keychain is None or not keychain["unlocked"]:
            return said(words, LOCKED, "User interaction is not allowed.")
        data = Path(words[1]).read_bytes()
        if modern(data):
            return said(words, 1, "MAC verification failed during PKCS12 import (wrong password?)")
        try:
            _, leaf, chain = pkcs12.load_key_and_certificates(data, option(words, "-P").encode())
        except ValueError:
            return said(words, 1, "MAC verification failed during PKCS12 import (wrong password?)")
        assert leaf is not None
        digest = leaf.fingerprint(hashes.SHA1()).hex().upper()
        name = leaf.subject.rfc4514_string()
        keychain["identities"][digest] = {"name": name, "chained": bool(chain)}
        for each in (leaf, *chain):
            sha1 = each.fingerprint(hashes.SHA1()).hex().upper()
            keychain["pem"][sha1] = each.public_bytes(Encoding.PEM).decode()
        return Result(words, 0, b"1 identity imported.\n")

    def set_key_partition_list(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        keychain = state["keychains"].get(words[-1])
        if keychain is None or keychain["password"] != option(words, "-k"):
            return said(words, DENIED, "The user name or passphrase you entered is not correct.")
        keychain["partitions"] = option(words, "-S")
        return Result(words, 0, b'keychain: "..."\nversion: 512\n')

    def list_keychains(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        if "-s" in words:
            state["search"] = list(words[words.index("-s") + 1 :])
            return Result(words, 0)
        return Result(words, 0, "".join(f'    "{path}"\n' for path in state["search"]).encode())

    def find_identity(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        paths = [words[-1]] if words[-1].startswith("/") else state["search"]
        found = [
            (digest, one["name"])
            for path in paths
            for digest, one in state["keychains"].get(path, {"identities": {}})["identities"].items()
            if one["chained"] or path == LOGIN
        ]
        lines = [f'  {number}) {digest} "{name}"' for number, (digest, name) in enumerate(found, 1)]
        return Result(words, 0, "\n".join([*lines, f"     {len(found)} valid identities found", ""]).encode())

    def find_certificate(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        pems = [
            pem
            for path in state["search"]
            for pem in state["keychains"].get(path, {}).get("pem", {}).values()
        ]
        return Result(words, 0, "".join(pems).encode())

    def delete_keychain(self, words: tuple[str, ...], state: dict[str, Any]) -> Result:
        path = words[-1]
        state["search"] = [one for one in state["search"] if one != path]
        if state["keychains"].pop(path, None) is None:
            return said(words, NO_SUCH, "The specified keychain could not be found.")
        Path(path).unlink(missing_ok=True)
        return Result(words, 0)


setattr(Security, "import", Security.import_)


def said(words: tuple[str, ...], status: int, text: str) -> Result:
    return Result(words, status, stderr=f"security: {text}\n".encode())


def option(words: Sequence[str], name: str) -> str:
    return words[words.index(name) + 1] if name in words else ""


def modern(archive: bytes) -> bool:
    """Whether a .p12 is one that macOS's own reader does not know: an HMAC other than SHA-1's."""
    algorithm = asn1.Pfx.load(archive)["mac_data"]["mac"]["digest_algorithm"]["algorithm"].native
    return bool(algorithm != "sha1")


def split_line(line: str) -> list[str]:
    """Split as Apple's tool does: inside quotes a backslash escapes; a closing quote ends the word."""
    words: list[str] = []
    word, quote, escaped, inside = "", "", False, False
    for char in line:
        if escaped:
            word, escaped = word + char, False
        elif inside and char == "\\":
            escaped = True
        elif not inside:
            if not char.isspace():
                inside, quote = True, char if char in "\"'" else ""
                word = "" if quote else char
        elif char == quote or (not quote and char.isspace()):
            words.append(word)
            inside = False
        else:
            word += char
    return [*words, word] if inside else words


def main(folder: str, *words: str) -> int:
    stand_in = Security(Path(folder))
    stdin = sys.stdin.buffer.read() if words == ("-i",) else None
    result = stand_in.run(["security", *words], stdin=stdin, check=False)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return result.status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
