"""Who may see the app's pages and change something through them.

Everyone who can reach the port can use the API; that is what it is for. The pages show and change more, so
they are for whoever can read this user's files. What is kept out, and how:

- **Other web sites**, in any browser here. `app.server.security` checks Host (DNS rebinding) and Origin;
  `app.web.guard` refuses every Origin but the server's own, even those that the settings let use the API, and
  anything that a browser marks as coming from another site. No page can be framed. A change needs
  `form_token` besides, which stands in the pages and is new at every start.
- **Other users and programs of this machine**, to whom 127.0.0.1 is as near as to us. A page needs a cookie
  that only a ticket buys: signed with a key that lies in the data folder for this user alone, good for one
  minute and one use. The app's window and `python -m app open` make tickets.
- **Whoever reads over a shoulder, a log, a process list.** A ticket stands in no command line (the browser is
  given a private file that leads on), is worthless after use, and no page contains a key.

What stays open: programs run by this same user can read the data folder; and cookies know no ports, so a
server of another user on this machine that this user's browser is led to is sent the cookie. It alone changes
nothing without the form token, which is in pages that such a server has to fetch with it first; keep to
machines whose users you trust, as for everything on loopback.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from app.files import cannot

KEY_FILE = "pages.key"
KEY_BYTES = 32
TICKET_LIFE = 60  # seconds
PASS_LIFE = 30 * 24 * 3600  # seconds that a browser keeps the cookie

Clock = Callable[[], float]


class Access:
    """The server's side: takes tickets once, knows its cookie, and has this start's form token."""

    def __init__(self, key: bytes, port: int, clock: Clock = time.time) -> None:
        self.key = key
        self.port = port
        self.clock = clock
        self.cookie = f"api-for-cursor-{port}"  # cookies know no ports; two servers would share one
        self.proof = _sign(key, f"cookie {port}")
        self.form_token = secrets.token_urlsafe(32)
        self._used: dict[str, float] = {}

    def admits(self, ticket: str) -> bool:
        """Whether `ticket` is ours, fresh and unused; it is used now."""
        now = self.clock()
        self._used = {nonce: end for nonce, end in self._used.items() if end > now}
        expires, _, rest = ticket.partition(".")
        nonce, _, signature = rest.partition(".")
        if not _same(signature, _sign(self.key, f"ticket {self.port} {expires} {nonce}")):
            return False
        end = float(expires)
        if not now < end <= now + TICKET_LIFE or nonce in self._used:
            return False
        self._used[nonce] = end
        return True

    def holds(self, cookie: str | None) -> bool:
        """Whether a browser has the cookie."""
        return cookie is not None and _same(cookie, self.proof)

    def meant(self, token: str | None) -> bool:
        """Whether a change comes from one of this start's own pages."""
        return token is not None and _same(token, self.form_token)


def ticket(key: bytes, port: int, clock: Clock = time.time) -> str:
    """Make a ticket: `<expires, epoch seconds>.<nonce>.<signature>`."""
    expires, nonce = str(int(clock()) + TICKET_LIFE), secrets.token_urlsafe(12)
    return f"{expires}.{nonce}.{_sign(key, f'ticket {port} {expires} {nonce}')}"


def link(data_dir: Path, url: str, place: str = "") -> str:
    """Give the address that opens the pages of the server at `url`, its origin; once, within a minute.

    `place` is a page's name (`app.web.render.LINKS`), such as "settings".
    """
    made = ticket(load_key(data_dir), int(url.rpartition(":")[2]))
    return f"{url}/app/enter?ticket={made}" + (f"&place={quote(place)}" if place else "")


def load_key(data_dir: Path) -> bytes:
    """Read the key of this user's pages; made if there is none, or one that others could have read."""
    path = data_dir / KEY_FILE
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise cannot("keep the pages' key in", path.parent, error) from error


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        private = not os.fstat(file.fileno()).st_mode & 0o077
        key = file.read(KEY_BYTES + 1)
        return key if private and len(key) == KEY_BYTES else None
    return None


def _make(path: Path) -> bytes:
    """Make the key; of two that do so at once, both end with the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    made = secrets.token_bytes(KEY_BYTES)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        path.hardlink_to(fresh)
    except FileExistsError:
        found = _read(path)
        if found is not None:
            return found
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return made


def _sign(key: bytes, text: str) -> str:
    digest = hmac.digest(key, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
