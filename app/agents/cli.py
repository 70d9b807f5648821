"""`python -m app agents`: Agent Setup from the shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.errors import AppError

if TYPE_CHECKING:
    from app.agents.service import AgentView, Preview, Result, Service


def add(commands: Any) -> None:
    """Add `agents` to the command line's subparsers."""
    agents = commands.add_parser("agents", help="set up coding agents to use this app")
    agents.set_defaults(json=False, run=run)
    verbs = agents.add_subparsers(dest="agents", metavar="VERB")
    listing = verbs.add_parser("list", help="each agent and its status")
    listing.add_argument("--json", action="store_true", help="for programs")
    show = verbs.add_parser("show", help="an agent's status, files, and what installing would change")
    show.add_argument("names", metavar="NAME", nargs=1)
    install = verbs.add_parser("install", help="set agents up, or update them")
    install.add_argument("names", metavar="NAME", nargs="+")
    remove = verbs.add_parser("remove", help="take an agent's setup out again")
    remove.add_argument("names", metavar="NAME", nargs="+")
    for verb in (install, remove):
        verb.add_argument("--dry-run", action="store_true", help="only show what would change")
    undo = verbs.add_parser("undo", help="put back what the newest change of an agent's files replaced")
    undo.add_argument("names", metavar="NAME", nargs=1)
    undo.add_argument("--force", action="store_true", help="even if a file was changed since")
    for verb in (agents, listing, show, install, remove):
        default = None if verb is agents else argparse.SUPPRESS
        verb.add_argument(
            "--base-url", metavar="URL", default=default, help="the server's, if it is not found"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run one verb; returns the exit status. Raises AppError."""
    from app.agents.here import service

    setup = service(arguments.base_url)
    if arguments.agents in (None, "list"):
        return _list(setup, as_json=arguments.json)
    if arguments.agents == "show":
        return _show(setup, arguments.names[0])
    if arguments.agents == "undo":
        return _each(arguments.names, lambda name: _done(setup.undo(name, force=arguments.force)))
    return _each(arguments.names, lambda name: _change(setup, name, arguments))


def _list(setup: Service, *, as_json: bool) -> int:
    views = setup.overview()
    if as_json:
        _say(json.dumps([_plain(view) for view in views], indent=2, ensure_ascii=False))
        return 0
    name = max(len(view.name) for view in views)
    state = max(len(view.state) for view in views)
    for view in views:
        _say(f"{view.name:<{name}}  {view.state:<{state}}  {view.sentence}")
    return 0


def _show(setup: Service, name: str) -> int:
    view = setup.view(name)
    _say(f"{view.title} ({view.website}): {view.state}\n{view.sentence}")
    for path in view.files:
        _say(f"  {path}{'' if path.exists() else ' (not there)'}")
    if view.state == "unreadable":
        return 1
    preview = setup.preview(name, "install")
    if not preview.empty:
        _say("\nInstalling would change:")
        _diffs(preview)
    return 0


def _change(setup: Service, name: str, arguments: argparse.Namespace) -> None:
    preview = setup.preview(name, "remove" if arguments.agents == "remove" else "install")
    if arguments.dry_run:
        _diffs(preview)
        if preview.empty:
            _say(f"{preview.name}: nothing would change")
        return
    _done(setup.apply(name, preview.action, preview.token))


def _diffs(preview: Preview) -> None:
    for file in preview.files:
        if file.diff:
            _say(file.diff)


def _done(result: Result) -> None:
    if not result.files:
        _say(f"{result.title}: nothing to change")
        return
    words = {"install": "set up", "remove": "removed", "undo": "put back"}
    _say(f"{result.title}: {words[result.action]}")
    for path in result.files:
        _say(f"  {path}")
    if result.backup:
        _say(f"  the former contents are in {result.backup}")
    if result.after:
        _say(result.after)


def _each(names: list[str], work: Callable[[str], None]) -> int:
    """Do `work` for every agent, going on after a failure; gives the exit status of the last failure."""
    status = 0
    for name in names:
        try:
            work(name)
        except AppError as error:
            sys.stderr.write(f"{error}\n")
            status = error.status
    return status


def _plain(view: AgentView) -> dict[str, Any]:
    return {
        "name": view.name,
        "title": view.title,
        "status": view.state,
        "sentence": view.sentence,
        "files": [str(path) for path in view.files],
        "actions": list(view.actions),
    }


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
