"""Figures of the HTTP and dialect layer before a stand-in for the bridge, beside LiteLLM's proxy and nothing.

All three answer the same texts; the load comes from a process of its own and checks every answer.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from errors import Fault
from release.bench import Figure
from release.bench.load import Load, Result
from release.bench.parties import Party, cpu, drive, litellm, memory, module, ours, quick_bridge
from release.bench.upstream import TEXT

ROUNDS = 3
CLIENTS = (1, 16)
# Requests a round: about a second of each.
COUNTS = {"direct": 4000, "ours": 1500, "litellm": 80}
QUESTION = "Say twenty words."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of load; `name` stands in the figures."""

    stream: bool
    clients: int

    @property
    def name(self) -> str:
        """Give its name."""
        return f"{'SSE' if self.stream else 'JSON'}, {self.clients} client{'s' if self.clients > 1 else ''}"


KINDS = tuple(Kind(stream, clients) for stream in (False, True) for clients in CLIENTS)


@dataclass(frozen=True, slots=True)
class Round(Result):
    """What one load brought, with the microseconds of the server's CPU that a request took."""

    cpu: float = 0.0


Results = Mapping[str, Mapping[Kind, list[Round]]]


def bench() -> list[Figure]:
    """Measure in turns: every round puts every kind of load on each party."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(module("release.bench.upstream"))
        server = stack.enter_context(ours(stack.enter_context(quick_bridge())))
        parties = {"direct": upstream, "ours": server}
        missing = ""
        try:
            parties["litellm"] = stack.enter_context(litellm(upstream.url))
        except Fault as fault:
            missing = fault.what
        results = measure(parties)
        sizes = {name: memory(party.pid) for name, party in parties.items()}
    figures = [*_added(results), *_rates(results), Figure("server: memory", sizes["ours"], "MB", "", None)]
    return [*figures, *(_beside(results, sizes) if not missing else [_absent(missing)])]


def measure(parties: Mapping[str, Party]) -> Results:
    """Load all parties; the first, shorter round only warms them."""
    results: dict[str, dict[Kind, list[Round]]] = {name: {kind: [] for kind in KINDS} for name in parties}
    for turn in range(ROUNDS + 1):
        for kind in KINDS:
            for name, party in parties.items():
                one = _round(party, kind, COUNTS[name] if turn else COUNTS[name] // 4)
                if turn:
                    results[name][kind].append(one)
    return results


def _round(party: Party, kind: Kind, requests: int) -> Round:
    before = cpu(party.pid)
    result = drive(_load(party, kind, requests))
    return Round(**asdict(result), cpu=(cpu(party.pid) - before) / requests * 1e6)


def _load(party: Party, kind: Kind, requests: int) -> Load:
    body = {"model": "composer-2.5", "messages": [{"role": "user", "content": QUESTION}]}
    text = json.dumps({**body, "stream": True} if kind.stream else body)
    return Load(f"{party.url}/v1/chat/completions", text, kind.clients, requests, TEXT)


def _median(results: list[Round], what: Callable[[Round], float]) -> float:
    return statistics.median(what(result) for result in results)


def _added(results: Results) -> Iterator[Figure]:
    """How much later the first byte comes than from the upstream itself, for one client."""
    for kind in KINDS:
        if kind.clients == 1:
            firsts = {n: _median(results[n][kind], lambda one: one.first) for n in ("direct", "ours")}
            added = firsts["ours"] - firsts["direct"]
            yield Figure(
                f"server: added to the first byte, {kind.name}", added, "ms", "≤ 1.0 ms", added <= 1.0
            )


def _rates(results: Results) -> Iterator[Figure]:
    for name, of in results.items():
        for kind, rounds in of.items():
            rate = _median(rounds, lambda one: one.rate)
            yield Figure(f"server: {name}, {kind.name}", rate, "requests/s", "", None)
            spent = _median(rounds, lambda one: one.cpu)
            yield Figure(f"server: {name}, {kind.name}, CPU a request", spent, "µs", "", None)


def _beside(results: Results, sizes: Mapping[str, float]) -> Iterator[Figure]:
    """Compare with LiteLLM round by round."""
    for kind in KINDS:
        pairs = zip(results["ours"][kind], results["litellm"][kind], strict=True)
        ratio = statistics.median(one.rate / other.rate for one, other in pairs)
        yield Figure(f"server: LiteLLM's requests/s, {kind.name}", ratio, "×", "≥ 15", ratio >= 15)
        spent = _median(results["litellm"][kind], lambda one: one.cpu)
        ratio = spent / _median(results["ours"][kind], lambda one: one.cpu)
        yield Figure(f"server: less CPU a request than LiteLLM, {kind.name}", ratio, "×", "", None)
    part = sizes["ours"] / sizes["litellm"]
    yield Figure(f"server: of LiteLLM's {sizes['litellm']:.0f} MB", part, "×", "≤ 0.2", part <= 0.2)


def _absent(reason: str) -> Figure:
    return Figure(f"server: beside LiteLLM, not measured: {reason}", float("nan"), "", "≥ 15", None)
