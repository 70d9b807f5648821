"""A dry run prints the whole plan and names all that is missing at once, asking nobody."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from errors import Exit
from release import dry_run
from release.outline import objects
from release.pipeline import Selection
from release.progress import Plain
from release.run import Done, Options, release
from release.steps import STEPS
from tests.release.test_config import ROOT
from tests.standins.repository import Repository, repository

SECRETS = re.compile(r"^(APPLE|MACOS|SPARKLE|CLOUDFLARE|R2|NOTARY)_")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret in the environment, and nobody to talk to."""
    for name in os.environ:
        if SECRETS.match(name):
            monkeypatch.delenv(name)

    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"a dry run connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def plan(checkout: Repository, profile: str) -> tuple[Done, str]:
    options = Options(profile, selection=Selection(dry_run=True))
    done = release(checkout.root, options, Plain(io.StringIO()))
    out = io.StringIO()
    dry_run.show(done, Console(file=out, width=200))
    return done, out.getvalue()


@pytest.mark.parametrize("profile", ["rehearsal", "production"])
def test_the_whole_plan_with_nothing_set(tmp_path: Path, profile: str) -> None:
    done, said = plan(repository(tmp_path), profile)
    assert [one.status for one in done.outcomes] == ["would run"] * len(STEPS)
    assert all(step.name in said for step in STEPS)
    for part in (
        "Installer.xpc",
        "Contents/Helpers/bun",
        "allow-jit",
        "(the app)",
        "window 720×432",
        "530, 224",
    ):
        assert part in said
    rows = [said.index(f"{number:3}  {one.key}: {one.how}") for number, one in enumerate(planned(done), 1)]
    assert rows == sorted(rows) and len(rows) == 9
    assert all(value in said for one in planned(done) for value in one.headers.values())
    assert not list((tmp_path / "dist").glob("*/work/*"))


def planned(done: Done) -> Any:
    return objects(done.config, done.version, done.places)


def test_production_names_all_that_is_missing_at_once(tmp_path: Path) -> None:
    checkout = repository(tmp_path, tag="")
    checkout.write("app/a.py", "3\n")
    text = checkout.read("release.toml")
    bare = re.sub(r'(?ms)^(\[inputs\.production\."python-.*?^digest = )"[^"]*"', r'\1""', text)
    checkout.write("release.toml", bare)
    done, said = plan(checkout, "production")
    assert done.ready is not None and done.ready.status == Exit.SECRET
    missing = {one.name for one in done.ready.failed}
    wanted = set(re.findall(r"env:([A-Z0-9_]+)", text)) - {"APPLE_ID", "APPLE_APP_PASSWORD", "NAME"}
    wanted -= {"NOTARY_WEBHOOK_TOKEN"}  # a release can do without
    assert missing >= wanted | {"commit", "tag", "changelog"}
    assert all(name in said for name in missing)
    assert "./invoke doctor --profile production asks them" in said
    assert "inputs" in missing and ("1 of the inputs are not pinned" in said or "not pinned: python-" in said)


def test_the_status_says_that_it_would_not_start(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not SECRETS.match(name)}
    for profile, status in (("production", Exit.SECRET), ("rehearsal", Exit.OK)):
        words = ["release", "--profile", profile, "--dry-run", "--dist", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "would run" in done.stdout and "Traceback" not in done.stderr


def test_what_was_done_with_secrets_is_shown_without_them(tmp_path: Path) -> None:
    checkout = repository(tmp_path)
    done, _ = plan(checkout, "production")
    from release.journal import Entry

    done.journal.record("sign", Entry("key", {}, {}, 1.0))
    again, said = plan(checkout, "production")
    sign = next(one for one in again.outcomes if one.name == "sign")
    assert sign.status == "would run" and "can't be told: a secret is missing" in said
