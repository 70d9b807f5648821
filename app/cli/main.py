"""The command line: `python -m app serve`, `key`, `agents`, `status`, `doctor`, `bridge`, `version`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from app.agents import cli as agents
from app.cli import desktop, doctor, key, pages, status
from app.errors import AppError
from app.preferences import DEFAULT_PORT
from app.reading import unsearched
from app.settings import DEFAULT_HOST, from_environment, whole
from app.version import NAME, command, version

EPILOG = """environment, which goes before the settings:
  CURSOR_API_KEY                    your Cursor API key, in place of the stored one
  API_FOR_CURSOR_PORT, _ORIGINS, _RESPONSES_TOOLS, _LOG_LEVEL
  API_FOR_CURSOR_DATA_DIR, _CONFIG_DIR  where the app keeps its data and its settings
  API_FOR_CURSOR_KEYCHAIN           "file" keeps the key out of the system's keychain
  CURSOR_SDK_BRIDGE_RUNTIME         the Bun or Node (22.13 or later) to use
docs/app.md has them all.
"""


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    top = argparse.ArgumentParser(
        prog=command(),
        description=f"{NAME}: Cursor's models behind an OpenAI-compatible API on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the API until interrupted")
    serve.add_argument("--host", default=DEFAULT_HOST, help="a loopback address (%(default)s)")
    serve.add_argument(
        "--port", type=_port, help=f"{DEFAULT_PORT} unless set; if busy, the next free of 20; 0: any"
    )
    serve.add_argument("--linked", action="store_true", help=argparse.SUPPRESS)  # app/shell/link.py
    serve.set_defaults(run=_serve)
    key.add(commands)
    agents.add(commands)
    status.add(commands)
    pages.add(commands)
    doctor.add(commands)
    desktop.add(commands)
    bridge = commands.add_parser("bridge", help="run only the bridge, for another server; see docs/app.md")
    bridge.set_defaults(run=_bridge)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def _serve(arguments: argparse.Namespace) -> int:
    with unsearched():
        from app.server.serve import run  # the server's imports, not needed for the other commands

    run(from_environment(), host=arguments.host, port=arguments.port, linked=arguments.linked)
    return 0


def _bridge(arguments: argparse.Namespace) -> int:
    from app.cursor.alone import run

    run()


def _version(arguments: argparse.Namespace) -> int:
    sys.stdout.write(f"{NAME} {version()}\n")
    return 0


def _port(text: str) -> int:
    number = whole(text)
    if number is not None and number <= 65_535:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
