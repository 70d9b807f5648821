"""`./invoke verify` from its arguments to its exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from errors import Exit, Fault
from release.rehearsal.site import Site
from release.verification import Check, Verification
from release.verify import report
from release.verify.command import Wish, verify
from signing.eddsa import public_key
from tests.standins import shipped
from tests.standins.commands import Recorder
from tests.standins.store import MemoryStore

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.xdist_group("verify")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, MemoryStore]]:
    """A site on loopback whose app and feed name its real address."""
    store = MemoryStore()
    with Site(store, latest=shipped.LATEST) as site, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "SITE", site.url)
        shipped.publish(store, shipped.make(tmp_path_factory.mktemp("command")))
        yield site.url, store


def invoke(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NO_PROXY": "127.0.0.1"}
    argv = [sys.executable, "-m", "invoke", "verify", *words]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(hosts="some"), "no --hosts some"),
        (Wish(url="ftp://example.test"), "is no site"),
        (Wish(key="c2hvcnQ="), "no public EdDSA key"),
        (Wish(keep=ROOT), "not empty"),
    ],
)
def test_what_makes_no_sense_is_said(wish: Wish, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        verify(ROOT, wish, Recorder())
    assert caught.value.status == Exit.USAGE and caught.value.cure


def test_a_rehearsal_that_has_not_been_is_said(tmp_path: Path) -> None:
    (tmp_path / "release.toml").write_bytes((ROOT / "release.toml").read_bytes())
    with pytest.raises(Fault, match="nothing has been published") as caught:
        verify(tmp_path, Wish(), Recorder())
    assert caught.value.status == Exit.INPUT_MISSING and "./invoke release" in (caught.value.cure or "")
    assert not (tmp_path / "dist").exists()


def test_a_strangers_site_is_checked_by_its_address_alone(
    public: tuple[str, MemoryStore], tmp_path: Path
) -> None:
    url, _ = public
    keep = tmp_path / "kept"
    verify(ROOT, Wish(url=f"{url}/", key=public_key(shipped.KEY), keep=keep), Recorder()).require()
    assert (keep / "Tiny-1.7-7.dmg/volume/Tiny.app").is_dir()
    wrong = verify(ROOT, Wish(url=url, key=public_key(shipped.OTHER)), Recorder())
    assert {row.name for row in wrong.failed} >= {"feed signature", "update signature"}


def test_the_task_prints_json_and_ends_with_a_status(public: tuple[str, MemoryStore]) -> None:
    url, store = public
    good = invoke("--url", url, "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["ok"] is True
    del store.objects[f"releases/{shipped.LATEST}"]
    bad = invoke("--url", url)
    assert bad.returncode == Exit.VERIFY
    assert "✗ download button" in bad.stdout.replace("  ", " ") and "releases/Tiny-latest.dmg" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_the_task_says_that_nobody_answers() -> None:
    done = invoke("--url", "http://127.0.0.1:1")
    assert done.returncode == Exit.NETWORK and "cannot be reached" in done.stderr


def test_the_table_has_groups_marks_and_cures() -> None:
    rows = (
        Check("image", True, "10 bytes", "1.0 (1)"),
        Check("ticket", False, "none [at all]", "1.0 (1)", "http://x/a.dmg", "one", "none", "staple it"),
        Check("Gatekeeper", None, "not checked: no Mac", "1.0 (1)"),
        Check("changelog", True, "5 words", "notes"),
    )
    console = Console(file=StringIO(), width=80)
    report.show(Verification("http://x", "1.0", "1", rows, "2026-01-01T00:00:00+00:00"), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "http://x, 2026-01-01T00:00:00+00:00"
    assert "1.0 (1)" in lines and "notes" in lines
    assert " ✗  ticket      none [at all]" in lines
    for words in ("at http://x/a.dmg", "expected one", "found none", "→ staple it"):
        assert any(line.strip() == words for line in lines)
    assert lines[-1] == "1.0 (1) is offered: 2 checks passed, 1 failed, 1 could not be made"
