"""The pinned htmx, and where the app finds it when it runs from source."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from app.web.static import FROM_SOURCE, HTMX
from commands import Subprocess
from errors import Exit, Fault
from release import bridge, inputs
from release.inputs import htmx

ROOT = Path(__file__).resolve().parents[2]
TABLE = tomllib.loads((ROOT / "release.toml").read_text())["inputs"]


class Trees:
    """A cache in which every archive is the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tree(self, pin: inputs.Pin, **_: Any) -> Path:
        return self.folder


def test_both_profiles_ship_the_same() -> None:
    assert TABLE["rehearsal"]["htmx"] == TABLE["production"]["htmx"]


def test_a_package_without_it_is_refused(tmp_path: Path) -> None:
    pins = inputs.parse(TABLE["rehearsal"])
    with pytest.raises(Fault, match=r"holds no htmx\.min\.js") as fault:
        htmx(cast("inputs.Cache", Trees(tmp_path)), pins, runner=Subprocess())
    assert fault.value.status == Exit.INPUT_MISSING


def test_the_app_looks_where_it_is_put() -> None:
    assert FROM_SOURCE == ROOT / bridge.HTMX
    assert bridge.HTMX.name == HTMX


@pytest.mark.release
def test_the_pinned_one_is_htmx() -> None:
    path = htmx(inputs.Cache(), inputs.parse(TABLE["rehearsal"]), runner=Subprocess())
    assert b"htmx" in path.read_bytes()[:2000]
