"""What a verification is made of: its rows, its outcome, and the verifiers that it puts to use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from errors import Exit, Fault

FORMAT = 1
MACS = "who is offered what"  # the group with a row for each kind of Mac


@dataclass(frozen=True, slots=True)
class Check:
    """One row. `ok` is None for what was not checked; `detail` then says why.

    `where` is an address. `expected`, `found` and `cure` are filled in for what is wrong, where they help.
    """

    name: str
    ok: bool | None
    detail: str
    group: str = ""
    where: str = ""
    expected: str = ""
    found: str = ""
    cure: str = ""

    @property
    def line(self) -> str:
        """All of it in one line, without the cure."""
        compared = f" (expected {self.expected}, found {self.found})" if self.expected or self.found else ""
        place = f" [{self.where}]" if self.where else ""
        return f"{self.name}: {self.detail}{compared}{place}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked at `site`, in order; `version` and `build`: of the release in question; `at`: UTC."""

    site: str
    version: str
    build: str
    rows: tuple[Check, ...]
    at: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether nothing that was checked is wrong."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The rows that are wrong."""
        return tuple(row for row in self.rows if row.ok is False)

    def require(self) -> Verification:
        """Return itself if ok; raise Fault, status VERIFY, with the failed rows otherwise."""
        if self.ok:
            return self
        cures = list(dict.fromkeys(row.cure for row in self.failed if row.cure))
        raise Fault(
            "what is public is not what it should be",
            where=self.site,
            details=tuple(row.line for row in self.failed),
            cure="; ".join(cures[:3])
            or "run the release again: it adds what is missing; what is public and wrong needs a new build",
            status=Exit.VERIFY,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the verification as plain values for JSON; docs/verify.md describes them."""
        return {"format": FORMAT, **asdict(self), "ok": self.ok}


class Report(Protocol):
    """What a signature verification returns; see signing.verify."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, leaf first."""
        ...

    @property
    def checked(self) -> int:
        """Pages and files compared, nested code aside."""
        ...

    @property
    def team_id(self) -> str | None:
        """The Developer ID team that signed."""
        ...

    @property
    def cdhash(self) -> str:
        """The code directory's hash, hex: the name that notarization knows it by."""
        ...

    def walk(self) -> Iterator[Report]:
        """Itself and the reports on nested code."""
        ...

    def require(self) -> Report:
        """Return itself or raise Fault with the problems as details."""
        ...


class Image(Protocol):
    """An open disk image; see release.image.reader."""

    def checksums(self) -> list[str]:
        """Problems, none if all hold."""
        ...

    def extract(self, dst: Path) -> None:
        """Write the volume's content into a folder."""
        ...


class Tools(Protocol):
    """The verifiers that this module puts to use."""

    def open_image(self, path: Path) -> AbstractContextManager[Image]:
        """Open a disk image."""
        ...

    def verify_image(self, path: Path, trust: bytes | None) -> Report:
        """Verify a disk image's code signature."""
        ...

    def verify_app(self, path: Path, trust: bytes | None) -> Report:
        """Verify an app's code signature, all nested code included."""
        ...

    def read_ticket(self, path: Path) -> bytes | None:
        """Return a disk image's stapled ticket."""
        ...


class OwnTools:
    """The project's own readers and verifiers; they run anywhere."""

    def open_image(self, path: Path) -> AbstractContextManager[Image]:
        """See Tools."""
        from release.image.reader import DiskImage

        return DiskImage.open(path)

    def verify_image(self, path: Path, trust: bytes | None) -> Report:
        """See Tools."""
        from signing.verify import verify_image

        return verify_image(path, trust=trust)

    def verify_app(self, path: Path, trust: bytes | None) -> Report:
        """See Tools."""
        from signing.verify import verify_app

        return verify_app(path, trust=trust)

    def read_ticket(self, path: Path) -> bytes | None:
        """See Tools."""
        from signing.staple import read_ticket

        return read_ticket(path)
