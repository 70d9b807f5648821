"""The Worker: releases go out as native responses, whose bodies never pass through Python; the rest by ASGI.

A disk image of 30 MB through the ASGI bridge took twelve seconds and lost its length; natively it takes one.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from typing import Any, Final

import asgi
from js import URL, Headers
from js import Response as JsResponse
from pyodide.ffi import JsException
from workers import DurableObject, WorkerEntrypoint, import_from_javascript

from worker.core import OLD_HOST, make
from worker.hosts.cloudflare.cipher import WebCrypto
from worker.hosts.cloudflare.convert import data, js
from worker.hosts.cloudflare.d1 import D1
from worker.hosts.cloudflare.outbound import CONTAINER, Fetch
from worker.hosts.cloudflare.r2 import R2
from worker.hosts.settings import NAMES, patience
from worker.ports import Ports, Unavailable, Vanished
from worker.releases import LATEST, answer, is_mine
from worker.replies import Reply, unavailable

TRIES: Final = 3
BRIDGE_PORT: Final = 8792
STARTING: Final = 100  # tries to reach the bridge, of 0.2 seconds each


class SystemClock:
    """The time. A Worker's clock stands still between two awaits, which is fine for windows and stamps."""

    def now(self) -> float:
        """See Clock."""
        return time.time()


class Default(WorkerEntrypoint):  # type: ignore[misc]  # no types where Cloudflare is not
    """Answers every request."""

    async def fetch(self, request: Any) -> Any:
        """Answer one."""
        url = URL.new(request.url)
        path = url.pathname.encode()
        old = (request.headers.get("host") or "").lower().encode().startswith(OLD_HOST)
        if is_mine(path) and not old:
            return await _release(ports(), request.js_object, path, url.search.removeprefix("?").encode())
        return await asgi.fetch(application(), request.js_object, self.env)


class BridgeContainer(DurableObject):  # type: ignore[misc]
    """The container with Bun and the bridge; the first request starts it, Cloudflare stops it when idle."""

    async def fetch(self, request: Any) -> Any:
        """Hand a request on to the bridge."""
        container, asked = self.ctx.container, request.js_object
        if not container.running:
            variables = {
                "CURSOR_SDK_BRIDGE_HOST": "0.0.0.0",  # noqa: S104 - inside of its own container
                "CURSOR_SDK_BRIDGE_PORT": str(BRIDGE_PORT),
                "CURSOR_SDK_BRIDGE_TOKEN": _bridge_token(self.env),
            }
            container.start(js({"env": variables, "enableInternet": True}))
        for _ in range(STARTING):
            try:
                return await container.getTcpPort(BRIDGE_PORT).fetch(asked.clone())
            except JsException:  # it is starting: nothing listens yet
                await asyncio.sleep(0.2)
        return JsResponse.new(None, js({"status": 503}))


async def _release(ports: Ports, request: Any, path: bytes, query: bytes) -> Any:
    store = ports.releases
    if not isinstance(store, R2):
        return _native(unavailable("bucket"), request.method, None)
    headers = {str(name): str(value) for name, value in request.headers}
    for _ in range(TRIES):  # an object may be replaced between asking for it and reading it
        try:
            latest = ports.settings.get("LATEST_IMAGE", LATEST)
            reply = await answer(store, request.method, path, query, headers, latest)
            body = None
            if reply.found is not None and reply.part is not None and request.method != "HEAD":
                body = await store.body(reply.found, reply.part)
            return _native(reply, request.method, body)
        except Vanished:
            continue
        except Unavailable:
            break
    return _native(unavailable("bucket"), request.method, None)


def _native(reply: Reply, method: str, body: Any) -> Any:
    headers = Headers.new()
    for name, value in reply.headers.items():
        headers.set(name, value)
    if reply.status not in (204, 304):
        headers.set("content-length", str(reply.length))
    if body is None and reply.body and method != "HEAD":
        body = data(reply.body)
    return JsResponse.new(body, js({"status": reply.status, "headers": headers}))


@functools.cache
def application() -> Any:
    """Give the core for this isolate's ports."""
    return make(ports())


@functools.cache
def ports() -> Ports:
    """Give what is bound to the Worker: the same in every request that an isolate answers.

    The bindings are taken as JavaScript has them. `self.env` is another object in each request, and the SDK
    converts what it gives in a way of its own.
    """
    env = import_from_javascript("cloudflare:workers").env
    settings = {name: value for name in NAMES if isinstance(value := getattr(env, name, None), str) and value}
    containers = getattr(env, "CURSOR_SDK_BRIDGE_CONTAINER", None)
    if containers is not None and "CURSOR_SDK_BRIDGE_URL" not in settings:
        settings |= {"CURSOR_SDK_BRIDGE_URL": CONTAINER, "CURSOR_SDK_BRIDGE_TOKEN": _bridge_token(env)}
    releases, database = getattr(env, "RELEASES", None), getattr(env, "DB", None)
    return Ports(
        R2(releases) if releases is not None else None,
        D1(database) if database is not None else None,
        Fetch(patience(settings), containers),
        WebCrypto(),
        SystemClock(),
        {"TRUST_CF_CONNECTING_IP": "1", **settings},
    )


def _bridge_token(env: Any) -> str:
    """Make the token that only this Worker and its container know, from the secret that both have."""
    secret = getattr(env, "ENCRYPTION_KEY", None) or ""
    return hashlib.sha256(f"bridge:{secret}".encode()).hexdigest()
