"""`python -m app doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from app.settings import from_environment

if TYPE_CHECKING:
    from app.doctor import Finding

MARKS = {"ok": "ok    ", "note": "note  ", "failed": "FAILED", "skipped": "-     "}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("doctor", help="find out what is wrong, and what to do about it")
    parser.add_argument("--offline", action="store_true", help="ask neither Cursor nor the feed of updates")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line a finding, as they come; returns 1 if something failed. Raises AppError."""
    findings = asyncio.run(_examine(offline=arguments.offline, quiet=arguments.json))
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(one) for one in findings], ensure_ascii=False) + "\n")
    return 1 if any(one.level == "failed" for one in findings) else 0


async def _examine(*, offline: bool, quiet: bool) -> list[Finding]:
    from app.doctor import examine

    findings = []
    async for finding in examine(from_environment(), offline=offline):
        findings.append(finding)
        if not quiet:
            sys.stdout.write(line(finding))
            sys.stdout.flush()
    return findings


def line(finding: Finding) -> str:
    """Give a finding as it is printed."""
    cure = f"\n{'':<17}→ {finding.cure}" if finding.cure else ""
    return f"{MARKS[finding.level]}  {finding.name:<9}{finding.said}{cure}\n"
