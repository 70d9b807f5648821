"""What every part of the project raises when it cannot go on.

One family, so that the command line can print any failure the same way: what happened, where, what to do
next, and an exit status of its own. `signing` and `appcast` are libraries and raise it too; it lives here,
at the top, so that neither of them has to know the other or the pipeline.
"""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit statuses of `./invoke`. Documented in docs/release.md; never renumber one that has shipped."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 10
    VERSION = 11
    SECRET = 12
    GIT = 13
    TOOL = 14
    INPUT_HASH = 20
    INPUT_TEAM = 21
    INPUT_MISSING = 22
    NETWORK = 23
    BUNDLE = 30
    PLIST = 31
    LINK = 32
    AUDIT = 33
    SIGN = 40
    SIGNATURE = 41
    IMAGE = 50
    NOTARY_INVALID = 60
    NOTARY_REJECTED = 61
    NOTARY_UNKNOWN = 62
    NOTARY_TIMEOUT = 63
    NOTARY_AUTH = 64
    TICKET = 65
    DISK = 70
    LOCKED = 71
    PENDING = 75
    APPCAST = 80
    PUBLISH = 81
    CONFLICT = 82
    VERIFY = 83
    SMOKE = 90
    INTERRUPTED = 130


# All that is left is Apple's verdict: nothing has failed, and the release is kept.
PENDING_STATUSES = frozenset((Exit.PENDING, Exit.NOTARY_TIMEOUT))


class Fault(Exception):
    """Something a person can act on. Printed without a traceback.

    `what` is one sentence; `where` a path, key or URL; `cure` what to do next; `details` further lines, such
    as a notary's issues. Library packages subclass it to give their callers something to catch.
    """

    status: Exit = Exit.FAILED

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        cure: str | None = None,
        status: Exit | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.cure = cure
        self.details = details
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        parts = [self.what if self.where is None else f"{self.what} [{self.where}]", *self.details]
        if self.cure:
            parts.append(f"→ {self.cure}")
        return "\n".join(parts)
