"""Whose a Cursor key is: Cursor itself is asked, through the bridge."""

from __future__ import annotations

from app.cursor.client import Bridge, RunFailed
from app.discretion import discreet
from app.keychain import vault
from app.keys import WHERE, Account, Check, Keys, Unchecked, WrongKey
from app.settings import Settings


def open_keys(settings: Settings, bridge: Bridge) -> Keys:
    """Give this machine's key, to be checked through `bridge`."""
    return Keys(vault(settings.key, settings.data_dir, mode=settings.keychain), asking(bridge))


def asking(bridge: Bridge) -> Check:
    """Give the way to ask Cursor about a key through `bridge`."""

    async def check(key: str) -> Account:
        return await account(bridge, key)

    return check


async def account(bridge: Bridge, key: str) -> Account:
    """Ask Cursor whose `key` is. Raises WrongKey, or Unchecked where Cursor could not be asked."""
    try:
        me = await bridge.me(key)
    except RunFailed as failure:
        if failure.kind == "authentication":
            raise WrongKey("Cursor refuses this key", cure=WHERE) from None
        raise Unchecked(f"Cursor could not be asked about the key ({discreet(failure.message)})") from None
    return Account(me.email, me.name, me.key_name)
