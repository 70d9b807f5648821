"""How a check becomes a row: it returns its detail, or raises what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from errors import Fault
from release.verification import Check

_T = TypeVar("_T")


class Wrong(Exception):
    """What a check found. `where` is an address."""

    def __init__(
        self, what: str, *, where: str = "", expected: object = "", found: object = "", cure: str = ""
    ) -> None:
        super().__init__(what)
        self.where = where
        self.expected = str(expected)
        self.found = str(found)
        self.cure = cure


@dataclass(slots=True)
class Rows:
    """The rows of one group, in the order in which they came."""

    group: str
    checks: list[Check] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], tuple[_T, str]], where: str = "") -> _T | None:
        """Run one check: its value, with its detail in a row; None and a failed row if it raises."""
        import requests

        try:
            value, detail = check()
        except Wrong as wrong:
            self._add(name, False, str(wrong), wrong.where or where, wrong.expected, wrong.found, wrong.cure)
        except Fault as fault:
            detail = "; ".join((fault.what, *fault.details[:5]))
            self._add(name, False, detail, where, cure=fault.cure or "")
        except requests.TooManyRedirects:
            self._add(name, False, "it redirects without an end", where)
        except requests.RequestException as error:
            self._add(name, False, f"the download failed: {error}", where)
        except OSError as error:
            self._add(name, False, f"{error.strerror}: {error.filename}", where)
        else:
            self._add(name, True, detail, where)
            return value
        return None

    def skip(self, name: str, why: str) -> None:
        """Say that something was not checked, and why."""
        self._add(name, None, f"not checked: {why}")

    def _add(
        self,
        name: str,
        ok: bool | None,
        detail: str,
        where: str = "",
        expected: str = "",
        found: str = "",
        cure: str = "",
    ) -> None:
        self.checks.append(Check(name, ok, detail, self.group, where, expected, found, cure))
