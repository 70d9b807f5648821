"""The command line: `python -m app serve`, `bridge`, `version`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.errors import AppError
from app.preferences import DEFAULT_PORT
from app.settings import DEFAULT_HOST, from_environment
from app.version import NAME, version

EPILOG = """environment:
  CURSOR_API_KEY                    your Cursor API key
  CURSOR_SDK_BRIDGE_RUNTIME         the Bun or Node (22.13 or later) to use
  CURSOR_SDK_BRIDGE_JS              the built bridge to use
  CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS  longest run (180000)
  CURSOR_SDK_BRIDGE_PARK_MS         how long a run waits for a client's tools (600000)
  CURSOR_SDK_BRIDGE_SANDBOX         a second wall around the bridge: auto, on, off
  CURSOR_SDK_BRIDGE_HOST, _PORT, _TOKEN  for `bridge`: 127.0.0.1, 8792, and a token of its own
  API_FOR_CURSOR_DATA_DIR           where the app keeps its data
  API_FOR_CURSOR_RESPONSES_TOOLS    1 lets tools into /v1/responses
  API_FOR_CURSOR_ORIGINS            web origins to let in, separated by spaces
"""


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m app",
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
    commands.add_parser("bridge", help="run only the bridge to Cursor, for another server; see docs/app.md")
    commands.add_parser("version", help="print the version")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = parser().parse_args(argv)
    if arguments.command == "version":
        sys.stdout.write(f"{NAME} {version()}\n")
        return 0
    try:
        _bridge() if arguments.command == "bridge" else _serve(arguments.host, arguments.port)
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(host: str, port: int | None) -> None:
    settings = from_environment()
    from app.server.serve import run  # the server's imports, not needed for the other commands

    run(settings, host=host, port=port)


def _bridge() -> None:
    from app.cursor.alone import run

    run()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")


if __name__ == "__main__":
    sys.exit(main())
