"""What GitHub's event asks a finalizer to do: the payload that the webhook led to, or a form by hand.

Nothing in it is trusted: the webhook's address travels far. A workflow passes none of it to a shell; it is
read here from the event's own file, held against the same patterns as the public side does
(worker/notary_webhook.py), and names only what to look for. Whether that is a release of ours is decided by
its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from errors import Exit, Fault
from release.webhook import artifact_name

EVENT: Final = "apple-notary-complete"
MOST: Final = 1 << 20  # bytes of an event's file


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which release to finish, and where its artifact is. Optional parts are empty if left out."""

    version: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+){0,3}$", max_length=40)]
    build: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+){0,3}$", max_length=40)]
    run_id: Annotated[str, Meta(pattern=r"^[0-9]{0,20}$")] = ""
    artifact: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,100})?$")] = ""
    dmg: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,150}\.dmg)?$")] = ""
    ref: Annotated[str, Meta(pattern=r"^((refs/(heads|tags)/)?[A-Za-z0-9][A-Za-z0-9._/-]{0,100})?$")] = ""


def read(environ: Mapping[str, str]) -> Asked:
    """Read the event that started this run of GitHub Actions. Raises Fault USAGE for anything unexpected."""
    path = environ.get("GITHUB_EVENT_PATH", "")
    if not path:
        raise Fault(
            "no event started this run", cure="--event is for GitHub Actions: leave it out", status=Exit.USAGE
        )
    try:
        data = Path(path).read_bytes()
        if len(data) > MOST:
            raise ValueError("it is too long")
        asked = msgspec.convert(_wanted(msgspec.json.decode(data)), Asked)
    except (OSError, ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise Fault(
            f"the event's payload is not usable: {error}",
            where="GITHUB_EVENT_PATH",
            cure="start the workflow by hand, with the version and build of the release that waits",
            status=Exit.USAGE,
        ) from None
    return _consistent(asked)


def _wanted(event: Any) -> dict[str, str]:
    """Take the payload, or the form's fields, without what was left empty."""
    if not isinstance(event, dict):
        raise TypeError("it is no object")
    if "client_payload" in event:
        if event.get("action") != EVENT:
            raise ValueError(f"the event is not {EVENT}")
        found = event["client_payload"]
    else:
        found = event.get("inputs")
    if not isinstance(found, dict):
        raise TypeError("it has no payload and no inputs")
    return {name: value for name, value in found.items() if value not in ("", None)}


def _consistent(asked: Asked) -> Asked:
    """Hold the parts against each other: artifact and tag follow from version and build."""
    same = (
        ("artifact", asked.artifact, artifact_name(asked.version, asked.build)),
        ("ref", asked.ref, f"refs/tags/v{asked.version}"),
    )
    for name, given, due in same:
        if given and given != due:
            raise Fault(
                f"the event's {name} is not that of {asked.version} ({asked.build})",
                details=(f"event:    {given}", f"expected: {due}"),
                cure="start the workflow by hand, with the version and build of the release that waits",
                status=Exit.USAGE,
            )
    return asked


def require_same(asked: Asked | None, version: str, build: str, where: object) -> None:
    """Fault USAGE if a pending release is not the one that was asked for."""
    if asked is not None and (asked.version, asked.build) != (version, build):
        raise Fault(
            "the pending release is another one than the event names",
            where=where,
            details=(f"event:   {asked.version} ({asked.build})", f"pending: {version} ({build})"),
            status=Exit.USAGE,
        )
