"""A whole rotation of keys on real releases: refused, handed over, finished; and one taken back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appcast import xml
from appcast.feed import Feed
from appcast.history import identities
from errors import Exit
from signing import eddsa
from tests.checkouts import Checkout, copy_checkout

pytestmark = [pytest.mark.release, pytest.mark.slow, pytest.mark.xdist_group("own-release")]

KEY = "profiles.rehearsal.sparkle.private_key=file:dist/new.key"
RETIRING = "profiles.rehearsal.sparkle.retiring_key=file:dist/rehearsal/ed25519.key"


def keys(checkout: Checkout, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=checkout.root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def change(checkout: Checkout, text: str) -> None:
    with (checkout.root / "app" / "settings.py").open("a") as file:
        file.write(f"\n# {text}\n")


def feed(checkout: Checkout, key: str) -> Feed:
    return xml.parse(eddsa.verify_feed((checkout.current / "appcast.xml").read_bytes(), key))


def test_a_key_is_handed_over_and_retired(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    (tmp_path / "CHANGELOG.de.md").write_text("## [Unreleased]\n\n- Neu\n")
    checkout.release()
    old = checkout.summary()["ed_public_key"]
    new = keys(checkout, "keys.generate", "--to", "file:dist/new.key")
    assert new != old == keys(checkout, "keys.show")

    change(checkout, "one")
    assert "keys.rotate" in checkout.release("--set", KEY, status=Exit.SIGNATURE)
    plan = keys(checkout, "keys.rotate", "--new-key", "file:dist/new.key")
    assert "at once" in plan and new in plan

    checkout.release("--set", KEY, "--set", RETIRING)
    handover = checkout.summary()
    assert handover["ed_public_key"] == old
    assert [one.public_key for one in identities(feed(checkout, old))] == [old, new]

    change(checkout, "two")
    least = f'feed.minimum_update_version="{handover["build"]}"'
    checkout.release("--set", KEY, "--set", RETIRING, "--set", least)
    assert checkout.summary()["ed_public_key"] == new
    done = feed(checkout, new)
    assert len(done.items) == 3 and done.items[0].minimum_update_version == handover["build"]
    assert [link.language for link in done.items[0].release_notes] == ["en", "de"]

    checkout.release("--set", KEY, "--set", least)  # nothing is left for the retired key to do
    assert checkout.ran() == []

    beta = ["--set", KEY, "--set", least, "--set", "feed.channel=beta"]
    output = checkout.release(*beta, status=Exit.APPCAST)
    assert "takes an update away" in output and "nothing would be" in output
    checkout.release(*beta, "--allow-regression")
    assert feed(checkout, new).items[0].channel == "beta"
