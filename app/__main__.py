"""`python -m app`: the command line."""

from __future__ import annotations

import sys

from app.reading import unsearched


def main() -> int:
    """Run one command; returns the exit status."""
    try:
        with unsearched():
            from app.cli.main import main as command
    except KeyboardInterrupt:
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
