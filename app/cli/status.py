"""`python -m app status`: how the server is that runs for this user."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from app import instance
from app.instance import Running
from app.settings import from_environment
from app.version import command

MEANINGS = {
    "needs_api_key": ("it needs a Cursor API key", "key set"),
    "needs_unlock": ("its key is locked", "key unlock"),
    "sdk_bridge_missing": ("it has nothing to run the bridge in", "doctor"),
    "sdk_bridge_failed": ("the bridge to Cursor does not start", "doctor"),
}
"""What a status of /health means where something is to be done, and the command for it."""
NOT_RUNNING = 1


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("status", help="say if the server runs, where, and how it is")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; returns 0 if the server is ready for requests. Raises AppError."""
    running = instance.find(from_environment().data_dir)
    health = running.health() if running else None
    if arguments.json:
        sys.stdout.write(json.dumps({"running": running is not None, "health": health}) + "\n")
    else:
        sys.stdout.write(describe(running, health, time.time()))
    return 0 if health is not None and health["status"] == "ready" else NOT_RUNNING


def describe(running: Running | None, health: dict[str, Any] | None, now: float) -> str:
    """Give what is printed: lines of a name and what there is to say."""
    if running is None:
        return f"Not running. Start it with: {command('serve')}\n"
    rows = [
        ("address", f"{running.url}/v1"),
        ("process", f"{running.pid}, for {_long(now - running.started)}"),
    ]
    if health is None:
        rows.append(("state", "it does not answer"))
    else:
        bridge = health["bridge"]
        runtime = f"{bridge['runtime']} {bridge['version']}" if bridge["runtime"] else "no runtime"
        rows += [
            ("version", health["version"]),
            ("state", _meaning(health["status"])),
            ("bridge", f"{bridge['state']}, {runtime}, sandbox: {bridge['sandbox'] or 'none'}"),
        ]
        if bridge["problem"]:
            rows.append(("problem", bridge["problem"]))
    return "".join(f"{name:<9}{said}\n" for name, said in rows)


def _meaning(status: str) -> str:
    if status not in MEANINGS:
        return status.replace("_", " ")
    what, cure = MEANINGS[status]
    return f"{what}: {command(cure)}"


def _long(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60  # a clock may have been set back
    if minutes < 1:
        return "less than a minute"
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
