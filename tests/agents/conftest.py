"""The whole server with the real SDK and the stand-in for Cursor, for agents to use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.settings import Settings
from tests.agents.desk import Desk
from tests.agents.gate import Gate
from tests.app.conftest import KEY, bridge_js, bun, cursor, environment_of, node, node_modules, served
from tests.app.test_serve import ready
from tests.standins.cursor import CursorStandIn
from tests.standins.cursor_scenarios import SeenRun

__all__ = ["bridge_js", "bun", "cursor", "node", "node_modules"]


@dataclass
class Office:
    """A desk, and the backend behind the server."""

    desk: Desk
    cursor: CursorStandIn

    def working(self) -> list[SeenRun]:
        """The runs in which tools were offered; agents ask for titles and the like without."""
        return [run for run in self.cursor.runs if run.offered]


@pytest.fixture
def office(
    tmp_path: Path, cursor: CursorStandIn, bridge_js: Path, bun: Path
) -> Iterator[Callable[..., Office]]:
    """Make it with an agent's own switches against updates and telemetry; nothing else may be asked for."""
    settings = Settings(tmp_path / "data", key=KEY, backend_url=cursor.url, bridge_js=bridge_js, runtime=bun)
    environment = {**environment_of(settings), "API_FOR_CURSOR_RESPONSES_TOOLS": "1"}
    with Gate() as gate, served(environment) as server:
        ready(server)

        def make(**switches: str) -> Office:
            return Office(Desk(tmp_path, server.url, gate, switches), cursor)

        yield make
        assert {run.key for run in cursor.runs} <= {KEY}
        assert server.stop() == 0
        assert not [line for line in server.said if "Traceback" in line]
    shutil.rmtree(tmp_path, ignore_errors=True)  # agents leave much behind
