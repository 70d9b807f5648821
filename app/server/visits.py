"""Requests as they come and go: noted for the log, and told to whoever watches."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.types import Scope

from app.cursor.prices import Price, cost
from app.openai.usage import Usage
from app.server.logs import log_request

log = logging.getLogger("app.server")
KEY = "app.visit"
QUIET = ("/health", "/control/", "/app", "/favicon.ico")
"""Paths of the app's own, asked for again and again: not watched, and logged only if they fail."""
AGENT = re.compile(r"[A-Za-z][\w.+-]{0,30}(?:/v?\d[\w.+-]{0,20})?")

News = Literal["started", "noted", "answering", "ended"]


@dataclass(slots=True)
class Visit:
    """One request. `agent` is the first word of its User-Agent; `at` epoch seconds; 0 is no `status` yet.

    `notes` has what is found out about it: model, stream, tokens_in, tokens_out, cost (USD), estimated,
    error (its code). Nothing a user or a model wrote comes here.
    """

    method: str
    path: str
    agent: str
    watchers: Watchers
    id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    at: float = field(default_factory=time.time)
    status: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)
    _first: float = 0.0

    def fields(self) -> dict[str, Any]:
        """Give what is known by now, with the milliseconds since it began and until its first byte."""
        known = {
            "request": self.id,
            "method": self.method,
            "path": self.path,
            "agent": self.agent,
            "status": self.status,
            "ms": self._since(time.perf_counter()),
        }
        if self._first:
            known["first_ms"] = self._since(self._first)
        known.update(self.notes)
        return known

    def answering(self) -> None:
        """Note the answer's first byte. Only of a stream it is told: other answers end with it."""
        if not self._first:
            self._first = time.perf_counter()
            if self.notes.get("stream"):
                self.watchers.tell("answering", self)

    def _since(self, moment: float) -> float:
        return round((moment - self._began) * 1000, 1)


Watcher = Callable[[News, dict[str, Any]], None]


@dataclass(slots=True)
class Watchers:
    """Those who are told of every request to the API, at its every step.

    A watcher gets the step and all that is known so far: the fields of the log's line, and `time` in epoch
    seconds. Usage comes with the end. It is called on the event loop between two pieces of somebody's answer,
    so it must be quick.
    """

    all: list[Watcher] = field(default_factory=list)

    @contextmanager
    def watching(self, watcher: Watcher) -> Iterator[None]:
        """Tell `watcher` while the block runs."""
        self.all.append(watcher)
        try:
            yield
        finally:
            self.all.remove(watcher)

    def tell(self, news: News, visit: Visit) -> None:
        """Tell everybody; one who fails is no reason to fail a request."""
        if not self.all or is_quiet(visit.path):
            return
        known = visit.fields()
        known["time"] = visit.at
        for watcher in tuple(self.all):
            try:
                watcher(news, known)
            except Exception:
                log.exception("a watcher of requests failed")


def is_quiet(path: str) -> bool:
    """Whether `path` is one of the app's own."""
    return path == "/" or path.startswith(QUIET)


@contextmanager
def visiting(scope: Scope, user_agent: str, watchers: Watchers) -> Iterator[Visit]:
    """Follow one request from its first byte to its answer's last; then it is logged."""
    visit = Visit(scope["method"], scope["path"][:100], agent_of(user_agent), watchers)
    scope[KEY] = visit
    watchers.tell("started", visit)
    try:
        yield visit
    finally:
        watchers.tell("ended", visit)
        if visit.status not in (200, 302, 303, 304) or not is_quiet(visit.path):
            log_request(visit.fields())


def note(
    request: Request, *, usage: Usage | None = None, price: Price | None = None, **values: str | bool | None
) -> None:
    """Note something about `request`. Nothing a user or a model wrote may come here."""
    visit: Visit | None = request.scope.get(KEY)
    if visit is None:
        return
    visit.notes.update(values)
    if usage is None:
        visit.watchers.tell("noted", visit)
        return
    visit.notes.update(tokens_in=usage.prompt, tokens_out=usage.completion, estimated=usage.estimated)
    if price is not None:
        spent = cost(price, input_tokens=usage.prompt, output_tokens=usage.completion)
        visit.notes.update(cost=spent.total)


def agent_of(user_agent: str) -> str:
    """Take the program's name and version out of a User-Agent: `opencode/1.2`; "" if there is none."""
    found = AGENT.match(user_agent)
    return found[0] if found else ""
