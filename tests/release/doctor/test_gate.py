"""A production release starts when the doctor is content, and not before."""

from __future__ import annotations

import io
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release.doctor import BUN, gate
from release.progress import Plain
from release.run import Options, release
from tests.release.doctor.world import World
from tests.standins.repository import repository

pytestmark = pytest.mark.xdist_group("doctor")


def test_all_that_is_missing_is_named_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        if re.match(r"(APPLE|MACOS|SPARKLE|CLOUDFLARE|R2|NOTARY)_", name):
            monkeypatch.delenv(name)

    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"somebody is asked while something is missing here: {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    checkout = repository(tmp_path)
    checkout.write("app/a.py", "3\n")
    with pytest.raises(Fault) as caught:
        release(checkout.root, Options("production"), Plain(io.StringIO()))
    assert caught.value.status == Exit.SECRET
    said = "\n".join(caught.value.details)
    for name in ("SPARKLE_PRIVATE_KEY", "APPLE_NOTARY_KEY_ID", "R2_ACCESS_KEY_ID", "commit", "tag"):
        assert f", {name}: " in said
    assert ", site: " not in said and "check itself failed" not in said
    assert not list((tmp_path / "dist").glob("*/journal.json"))


def test_what_is_public_already_is_not_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    with world.case() as case:
        before, asked = gate(case, published=False), len(world.cloudflare.seen)
        after = gate(case, published=True)
    assert not before.failed and not after.failed
    assert asked == len(world.cloudflare.seen) > 0
    assert {one.name for one in before.findings} - {one.name for one in after.findings} >= {
        "notary",
        "bucket",
    }
    assert BUN not in {one.name for one in before.findings}
