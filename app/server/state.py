"""What the endpoints share."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from app.cursor.client import Bridge
from app.server.store import Responses
from app.settings import Settings
from app.shell.link import Shell


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The server's own origin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class State:
    """The server's parts. `shell` is the Mac app around it, if there is one."""

    settings: Settings
    address: Address
    bridge: Bridge
    responses: Responses = field(default_factory=Responses)
    shell: Shell | None = None


def state_of(request: Request) -> State:
    """Give the server's state to an endpoint."""
    state: State = request.app.state.server
    return state
