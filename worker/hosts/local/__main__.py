"""`python -m worker.hosts.local`: a Ctrl-C ends it quietly, also while its modules are loaded."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def run() -> int:
    """Serve; returns the exit status."""
    try:
        from worker.hosts.local.serve import main  # a second passes here

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
