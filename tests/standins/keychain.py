"""`python -m tests.standins.keychain serve …`: the app with a Keychain as on a Mac, which is kept in memory.

KEYCHAIN_KEY is the Cursor key that is in it.
"""

from __future__ import annotations

import os
import sys

from app import keychain
from app.__main__ import main
from app.keychain import ACCOUNT, SERVICE, Keyring


class Memory:
    """A keyring backend that forgets everything with its process."""

    def __init__(self, key: str) -> None:
        self._kept = {(SERVICE, ACCOUNT): key}

    def get_password(self, service: str, username: str) -> str | None:
        return self._kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self._kept[service, username]


if __name__ == "__main__":
    macs = Keyring(Memory(os.environ["KEYCHAIN_KEY"]), "the Keychain")
    keychain.find_keyring = lambda *_: macs
    sys.exit(main())
