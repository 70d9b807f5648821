"""What a run tells GitHub Actions: the outputs that later steps of a workflow use, and the job's summary.

Both are files that GitHub names in the environment (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY); elsewhere nothing is
written. Secrets that were read are masked here as in every line printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from release.version import Version
from release.webhook import artifact_name
from signing.secrets import mask


def pending(environ: Mapping[str, str], folder: Path, version: Version) -> None:
    """Tell the workflow which folder to keep, and under which name, should the release get no further."""
    _output(environ, pending=str(folder), artifact=artifact_name(version.version, version.build))


def finished(environ: Mapping[str, str]) -> None:
    """Tell the workflow that there is nothing to keep."""
    _output(environ, pending="")


def summary(environ: Mapping[str, str], text: str) -> None:
    """Add Markdown to the job's summary."""
    _append(environ.get("GITHUB_STEP_SUMMARY"), mask(text).rstrip("\n") + "\n\n")


def _output(environ: Mapping[str, str], **values: str) -> None:
    lines = (f"{name}={value.replace(chr(10), ' ')}\n" for name, value in values.items())
    _append(environ.get("GITHUB_OUTPUT"), "".join(lines))


def _append(path: str | None, text: str) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
