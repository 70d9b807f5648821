"""Where the server listens: on loopback only, and on the next free port if its own is busy."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass
from functools import lru_cache

from app.errors import AppError

FURTHER_PORTS = 20
BACKLOG = 256


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


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Bind `port` on `host`, or the next free of 20; port 0 takes any. Raises AppError."""
    if not is_loopback(host):
        raise AppError(f"{host} is not a loopback address", cure="use 127.0.0.1, ::1 or localhost")
    last = port if port == 0 else min(port + FURTHER_PORTS, 65_535)
    for candidate in range(port, last + 1):
        bound = _bind(host, candidate)
        if bound is not None:
            return bound
    raise AppError(f"ports {port} to {last} on {host} are all busy", cure="give another with --port")


def _bind(host: str, port: int) -> socket.socket | None:
    """Bind, or None if the port is taken."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        cure = (
            "ports below 1024 need more rights; choose a higher one" if error.errno == errno.EACCES else None
        )
        raise AppError(f"cannot listen on {host}:{port}: {error.strerror}", cure=cure) from error
    return listener
