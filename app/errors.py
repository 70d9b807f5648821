"""What the app raises for people to read: one sentence and what to do about it."""

from __future__ import annotations


class AppError(Exception):
    """A failure of the app itself, printed as one line without a traceback. `cure` says what to do next."""

    def __init__(self, what: str, *, cure: str | None = None, status: int = 1) -> None:
        super().__init__(what if cure is None else f"{what}: {cure}")
        self.what = what
        self.cure = cure
        self.status = status
