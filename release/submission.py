"""What is remembered of a submission to the notary: `work/submission.json`, written the moment Apple answers.

It says which bytes are with Apple, since when, and which run sent them: what a machine that finishes the
release has to know, and what the provenance names as the run that built the image, whoever finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from errors import Exit, Fault
from release.files import write_json

# Which run of GitHub Actions it is. None of these is secret: they stand in every log.
RUN: Final = (
    "GITHUB_ACTIONS",
    "GITHUB_REPOSITORY",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_SERVER_URL",
    "GITHUB_WORKFLOW_REF",
)
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,64}$")]


class Note(Struct, frozen=True, forbid_unknown_fields=True):
    """One submission. `submitted` in seconds since 1970, 0 if unknown; `run` is empty outside GitHub Actions.

    An id without its upload is of no use: the permission to upload went with the process that had it.
    """

    id: Id
    sha256: Hex
    submitted: int = 0
    uploaded: bool = False
    run: dict[str, str] = {}


def this_run(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what names this run of GitHub Actions; nothing anywhere else."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return {}
    return {name: environ[name] for name in RUN if name in environ}


def write(path: Path, note: Note) -> None:
    """Keep `note`, atomically."""
    write_json(path, msgspec.to_builtins(note))


def read(path: Path) -> Note | None:
    """Read a note; None if there is none. Raises Fault if it can't be understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Fault(
            f"the note of a submission can't be read: {error}",
            where=path,
            cure="./invoke notarize.status lists what Apple has; delete the note to submit anew",
            status=Exit.NOTARY_UNKNOWN,
        ) from None
