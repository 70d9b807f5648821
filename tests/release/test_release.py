"""The whole release on real inputs: once through, again, after a change, killed after every step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from errors import Exit
from release.digests import content_digest
from release.steps import STEPS
from signing import eddsa
from signing.verify import Report, verify_app, verify_image
from tests.checkouts import Checkout

NAMES = [step.name for step in STEPS]

pytestmark = [pytest.mark.release, pytest.mark.slow, pytest.mark.xdist_group("release")]


def test_a_fresh_checkout_is_released(checkout: Checkout) -> None:
    summary, folder = checkout.summary(), checkout.current
    assert [step["name"] for step in summary["steps"]] == NAMES
    assert summary["profile"] == "rehearsal"
    image, app = folder / summary["dmg"], folder / summary["app"]
    trust = (folder / summary["certificate_pem"]).read_bytes()
    assert verify_app(app, trust=trust).ok
    assert verify_image(image, trust=trust).ok
    assert eddsa.verify_file(image, summary["ed_signature"], summary["ed_public_key"])
    feed = eddsa.verify_feed((folder / summary["appcast"]).read_bytes(), summary["ed_public_key"])
    assert f'length="{image.stat().st_size}"'.encode() in feed
    assert all(not Path(summary[name]).is_absolute() for name in ("app", "dmg", "appcast", "certificate_pem"))
    checks = json.loads((folder / "verification.json").read_text())["rows"]
    assert len(checks) >= 10
    assert all(check["ok"] is not False for check in checks)
    passed = {check["name"] for check in checks if check["ok"]}
    assert passed >= {"app signature", "download button", "feed lint", "materials in the app", "provenance"}


def test_output_says_that_it_is_a_rehearsal_and_what_was_not_checked(checkout: Checkout) -> None:
    output = checkout.output
    assert "rehearsal" in output
    assert "not checked" in output


def test_nothing_secret_is_left_behind(checkout: Checkout) -> None:
    key = (checkout.root / "dist" / "rehearsal" / "ed25519.key").read_text().strip()
    for path in checkout.current.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            assert key.encode() not in data, path
            assert (
                b"PRIVATE KEY-----" not in data or path.suffix in (".py", ".pyc", "") or b"\nMI" not in data
            ), path
    assert key not in checkout.output


def test_no_path_of_this_machine_is_shipped(checkout: Checkout) -> None:
    home = str(Path.home()).encode() + b"/"
    for path in (checkout.current / checkout.summary()["app"]).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            assert str(checkout.root).encode() not in data, path
            if not data.startswith(b"\xcf\xfa\xed\xfe"):  # what vendors compiled in is theirs
                assert home == b"//" or home not in data, path


def test_second_run_does_nothing(checkout: Checkout) -> None:
    before = content_digest(checkout.current / checkout.summary()["dmg"])
    checkout.release()
    assert checkout.ran() == []
    assert content_digest(checkout.current / checkout.summary()["dmg"]) == before


def test_dry_run_shows_the_plans_and_touches_nothing(checkout: Checkout) -> None:
    before = content_digest(checkout.current.resolve())
    output = checkout.release("--dry-run", "--force", "sign")
    assert "would run" in output
    assert "Contents/Helpers/bun" in output
    assert "allow-jit" in output
    assert content_digest(checkout.current.resolve()) == before


def test_a_change_in_the_docs_changes_nothing(checkout: Checkout) -> None:
    (checkout.root / "docs" / "new.md").write_text("words")
    checkout.release()
    assert checkout.ran() == []


@pytest.fixture(scope="module")
def changed(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the released checkout in which one file of the app was changed, released again."""
    root = tmp_path_factory.mktemp("changed") / "checkout"
    shutil.copytree(checkout.root, root, symlinks=True)
    with (root / "app" / "version.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    made = Checkout(root)
    made.output = made.release()
    return made


def test_a_change_in_the_app_makes_a_new_build_on_the_old_runtime(
    checkout: Checkout, changed: Checkout
) -> None:
    first, second = checkout.summary(), changed.summary()
    assert second["build"] == first["build"] + ".1"
    assert second["dmg_sha256"] != first["dmg_sha256"]
    runtimes = [
        json.loads((each.current / "work" / "runtime.json").read_text()) for each in (checkout, changed)
    ]
    assert runtimes[0] == runtimes[1]
    feed = (changed.current / "appcast.xml").read_text()
    assert feed.index(f"<sparkle:version>{second['build']}<") < feed.index(
        f"<sparkle:version>{first['build']}<"
    )


def test_going_back_is_a_new_build_too(checkout: Checkout, changed: Checkout) -> None:
    shutil.copy2(checkout.root / "app" / "version.py", changed.root / "app" / "version.py")
    changed.release()
    assert changed.summary()["build"] == checkout.summary()["build"] + ".2"


def test_what_was_published_is_never_replaced(checkout: Checkout, changed: Checkout) -> None:
    build = checkout.summary()["build"]
    with (changed.root / "app" / "version.py").open("a") as file:
        file.write("\nCHANGED = 3\n")
    output = changed.release("--build", build, status=Exit.VERSION)
    assert "never replaced" in output


@pytest.fixture(scope="module")
def chained(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The same source and keys in another folder, released by runs that are killed after every step."""
    root = tmp_path_factory.mktemp("killed") / "checkout"
    shutil.copytree(checkout.root, root, symlinks=True, ignore=shutil.ignore_patterns("dist"))
    for name in ("identity", "ed25519.key", "apple"):
        source, target = checkout.root / "dist" / "rehearsal" / name, root / "dist" / "rehearsal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    shutil.rmtree(root / "dist" / "rehearsal" / "apple" / "submissions", ignore_errors=True)
    made = Checkout(root)
    for name in NAMES:
        kill_once_done(made, name)
    made.release()
    return made


def kill_once_done(checkout: Checkout, name: str) -> None:
    """Start a release, wait until the journal knows `name`, kill -9 it."""
    process = subprocess.Popen(
        checkout.argv(),
        cwd=checkout.root,
        env=checkout.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None and name not in known(checkout) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    assert name in known(checkout), output.decode()


def known(checkout: Checkout) -> set[str]:
    found: set[str] = set()
    for path in (checkout.root / "dist").glob("*/journal.json"):
        found |= set(json.loads(path.read_text())["steps"])
    return found


def test_killed_after_every_step_it_ends_with_the_same_artifacts(
    checkout: Checkout, chained: Checkout
) -> None:
    one, other = checkout.summary(), chained.summary()
    assert one["build"] == other["build"]
    for name in ("work/embedded", "work/bridge.js", "notes.html"):
        assert content_digest(checkout.current / name) == content_digest(chained.current / name), name
    # A timestamp answers a random number of the client's, so signed bytes differ there, and so does the app's
    # own seal, which holds hashes of whole extension modules. Every code directory below it is the same.
    trust = (chained.current / other["certificate_pem"]).read_bytes()
    first, second = (
        verify_app(each.current / each.summary()["app"], trust=trust) for each in (checkout, chained)
    )
    assert len(list(first.walk())) > 30
    assert nested(first) == nested(second)
    assert listing(checkout.current / one["app"]) == listing(chained.current / other["app"])
    assert leftovers(chained) == []


def nested(app: Report) -> list[tuple[str, str]]:
    """Code directory hashes of all code inside the app."""
    return sorted((each.subject, each.cdhash) for each in app.walk() if each is not app)


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(folder)), path.lstat().st_mode) for path in folder.rglob("*"))


def leftovers(checkout: Checkout) -> list[str]:
    """Temporary files that nobody will ever pick up again."""
    folder = checkout.current.resolve()
    return [path.name for path in folder.rglob(".*") if path.name.startswith(".") and ".tmp" in path.name]


def test_two_at_once(checkout: Checkout) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; sys.path.insert(0, '.')\n"
         "from pathlib import Path\nfrom release.pipeline import lock\n"
         "with lock(Path('dist')):\n print('held', flush=True); time.sleep(60)"],
        cwd=checkout.root, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        output = checkout.release(status=Exit.LOCKED)
        assert str(holder.pid) in output
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--version", "1.0-beta"], Exit.VERSION, "1.0-beta"),
        (["--build", "0"], Exit.VERSION, "build number"),
        (["--from", "nowhere"], Exit.USAGE, "no step"),
        (["--profile", "staging"], Exit.CONFIG, "staging"),
        (["--set", "app.arch=riscv"], Exit.CONFIG, "app.arch"),
        (["--profile", "production", "--version", "9.9.9"], Exit.SECRET, "HEAD carries no tag, not v9.9.9"),
    ],
)
def test_bad_input_ends_with_one_message(
    checkout: Checkout, words: list[str], status: int, says: str
) -> None:
    before = content_digest(checkout.current.resolve())
    output = checkout.release(*words, status=status)
    assert says in output
    assert "→" in output
    assert content_digest(checkout.current.resolve()) == before


def test_production_wants_its_secrets(checkout: Checkout, tmp_path: Path) -> None:
    clean = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", checkout.root, clean], check=True)
    subprocess.run(["git", "-C", clean, "tag", "v1.2.3"], check=True)
    output = Checkout(clean).release("--profile", "production", status=Exit.SECRET)
    assert "MACOS_DEVELOPER_ID_CERTIFICATE_BASE64" in output
    (clean / "untracked").write_text("x")
    output = Checkout(clean).release("--profile", "production", status=Exit.SECRET)
    assert "untracked" in output and "MACOS_DEVELOPER_ID_CERTIFICATE_BASE64" in output


def test_a_build_has_to_rise(checkout: Checkout) -> None:
    build = checkout.summary()["build"]
    checkout.release("--build", str(int(build.split(".")[0]) + 5), "--until", "audit")
    output = checkout.release("--version", "0.2.0", "--build", build.split(".")[0], status=Exit.VERSION)
    assert "does not rise" in output


def test_a_wrong_hash_stops_it_and_both_are_named(checkout: Checkout, tmp_path: Path) -> None:
    wrong = "sha256:" + "0" * 64
    output = checkout.release(
        "--dist",
        str(tmp_path / "dist"),
        "--set",
        f'inputs.rehearsal.sparkle.digest="{wrong}"',
        status=Exit.INPUT_HASH,
    )
    assert "0" * 64 in output
    assert "e6f0ec99d8f314a404e901a84506a48565d283832664dcaf7fa51144a32dddba" in output


def test_a_wrong_team_stops_it_and_both_are_named(checkout: Checkout, tmp_path: Path) -> None:
    output = checkout.release(
        "--dist", str(tmp_path / "dist"),
        "--set", 'inputs.rehearsal.bun-darwin-arm64.team_id="ABCDE12345"', status=Exit.INPUT_TEAM,
    )  # fmt: skip
    assert "ABCDE12345" in output
    assert "7FRXF46ZSN" in output


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("Invalid", Exit.NOTARY_INVALID), ("Rejected", Exit.NOTARY_REJECTED), ("Puzzled", Exit.NOTARY_UNKNOWN)],
)
def test_the_notary_says_no(checkout: Checkout, verdict: str, status: int) -> None:
    before = content_digest(checkout.current / checkout.summary()["dmg"])
    output = checkout.release(
        "--force", "notarize", "--set", f"profiles.rehearsal.notary.stand_in=verdict={verdict}", status=status
    )
    assert verdict in output
    assert content_digest(checkout.current / checkout.summary()["dmg"]) == before
    checkout.release("--force", "notarize")


def test_the_notary_takes_for_ever(checkout: Checkout) -> None:
    slow = ["--set", "profiles.rehearsal.notary.stand_in=verdict=In Progress"]
    brief = ["--set", "profiles.rehearsal.notary.timeout_minutes=0.02"]
    output = checkout.release("--force", "notarize", *slow, *brief, status=Exit.NOTARY_TIMEOUT)
    assert "notarize.resume" in output
    checkout.release("--force", "notarize")


def test_a_link_out_of_the_app_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    link = checkout.root / "app" / "escape.txt"
    link.symlink_to("/etc/hostname")
    try:
        output = checkout.release("--dist", str(tmp_path / "dist"), status=Exit.LINK)
        assert "escape.txt" in output
    finally:
        link.unlink()


def test_submitted_and_waited_for_separately(checkout: Checkout) -> None:
    output = checkout.release("--force", "notarize", "--no-wait", status=Exit.PENDING)
    assert "notarize.resume" in output
    id = json.loads((checkout.current / "work" / "submission.json").read_text())["id"]
    assert id in output
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "notarize.resume"], cwd=checkout.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((checkout.current / "work" / "submission.json").read_text())["id"] == id


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root on Linux"
)
def test_a_full_disk_is_said_and_survived(checkout: Checkout, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", small], capture_output=True
    ).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        output = checkout.release("--dist", str(small), status=Exit.DISK)
        assert "full" in output
    finally:
        subprocess.run(["umount", small], check=True)


def test_no_network_is_said(checkout: Checkout, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9"
    output = checkout.release(
        "--dist", str(tmp_path / "dist"), status=Exit.NETWORK, API_FOR_CURSOR_CACHE=str(tmp_path / "cache"),
        HTTPS_PROXY=dead, HTTP_PROXY=dead, https_proxy=dead, http_proxy=dead, npm_config_proxy=dead,
        npm_config_https_proxy=dead, npm_config_fetch_retries="0", PIP_RETRIES="0", UV_HTTP_RETRIES="0",
        npm_config_offline="false",
    )  # fmt: skip
    assert "network" in output.lower() or "reach" in output.lower()
