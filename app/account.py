"""Whose a Cursor key is: Cursor itself is asked, through the bridge."""

from __future__ import annotations

from app.cursor.client import Bridge, RunFailed
from app.discretion import discreet
from app.keychain import Vault
from app.keys import WHERE, Account, Keys, Unchecked, WrongKey


def open_keys(vault: Vault, bridge: Bridge) -> Keys:
    """Give the key in `vault`, to be checked through `bridge`."""

    async def check(key: str) -> Account:
        return await account(bridge, key)

    return Keys(vault, check)


async def account(bridge: Bridge, key: str) -> Account:
    """Ask Cursor whose `key` is. Raises WrongKey, or Unchecked where Cursor could not be asked."""
    try:
        me = await bridge.me(key)
    except RunFailed as failure:
        if failure.kind == "authentication":
            raise WrongKey("Cursor refuses this key", cure=WHERE) from None
        raise Unchecked(f"Cursor could not be asked about the key ({discreet(failure.message)})") from None
    return Account(me.email, me.name, me.key_name)
