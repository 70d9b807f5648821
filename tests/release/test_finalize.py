"""From the notary's webhook to a published release, on another machine than the one that built it.

A release in one checkout is submitted and left (`--no-wait`); Apple's stand-in calls the site's webhook when
it has judged; the site, the real one, tells GitHub's stand-in; a workflow's own lines finish the release in
a second checkout. What both left behind, and all they said, is searched for every secret.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from errors import Exit
from release.webhook import artifact_name
from tests.checkouts import ROOT, Checkout, copy_checkout
from tests.standins.github import GitHub
from tests.standins.leaks import CommandLines, files, leaks
from tests.worker.hosts import LocalSite, Uvicorn

pytestmark = [pytest.mark.release, pytest.mark.slow, pytest.mark.xdist_group("own-release")]

TOKEN = "notary-webhook-token-0123456789~abcdef"
GITHUB = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
RUN = "4242424242"
TAG = "v3.2.1"


@dataclass
class Chain:
    """All that took part, and what was said."""

    first: Checkout
    second: Checkout
    github: GitHub
    site: LocalSite
    temp: Path
    said: str
    lines: CommandLines

    def environment(self, name: str) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.temp / f"{name}.output"),
            "GITHUB_REF": f"refs/tags/{TAG}",
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": RUN,
            "GITHUB_SERVER_URL": "https://github.example.test",
            "GITHUB_STEP_SUMMARY": str(self.temp / f"{name}.md"),
            "GITHUB_WORKFLOW_REF": f"{self.github.repository}/.github/workflows/{name}.yml@refs/tags/{TAG}",
            "NOTARY_WEBHOOK_TOKEN": TOKEN,
        }

    def overrides(self) -> list[str]:
        """The site's address is this machine's, and a rehearsal has no webhook by itself."""
        at = "profiles.rehearsal"
        return [
            *("--set", f"{at}.publish.site={self.site.url}"),
            *("--set", f'{at}.notary.webhook="env:NOTARY_WEBHOOK_TOKEN"'),
        ]

    def run(
        self, name: str, *words: str, status: int = 0, extra: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        checkout = self.first if name == "release" else self.second
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words, *self.overrides()],
            cwd=checkout.root,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.environment(name), **extra},
            capture_output=True,
            text=True,
            timeout=1500,
        )
        self.said += done.stdout + done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def outputs(self, name: str) -> dict[str, str]:
        lines = (self.temp / f"{name}.output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def summary(self, name: str) -> str:
        return (self.temp / f"{name}.md").read_text()

    @property
    def world(self) -> Path:
        return self.first.root / "dist/rehearsal"

    def submissions(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (self.world / "apple/submissions").glob("*.json")]


def line_of(workflow: str) -> list[str]:
    """The words of the one line with which a workflow starts the release, in the rehearsal profile."""
    whole = YAML(typ="safe").load((ROOT / ".github/workflows" / f"{workflow}.yml").read_text())
    [job] = whole["jobs"].values()
    [line] = [step["run"] for step in job["steps"] if "run" in step]
    return line.replace("production", "rehearsal").split()[1:]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A release that was built, submitted and left, whose webhook was called and whose artifact is kept."""
    temp = tmp_path_factory.mktemp("runner")
    first = copy_checkout(tmp_path_factory.mktemp("first"))
    subprocess.run(["git", "-C", first.root, "tag", TAG], check=True)
    with GitHub(GITHUB) as github, CommandLines() as lines:
        settings = {
            "NOTARY_WEBHOOK_TOKEN": TOKEN,
            "GITHUB_RELEASE_DISPATCH_TOKEN": GITHUB,
            "GITHUB_REPOSITORY": github.repository,
            "GITHUB_API_URL": github.url,
        }
        with Uvicorn().site(tmp_path_factory.mktemp("site"), settings) as running:
            second = Checkout(temp / "second")
            made = Chain(first, second, github, running, temp, "", lines)
            made.run("release", *line_of("release"), "--no-wait")
            clone(first, second)
            kept = made.outputs("release")
            github.upload(RUN, kept["artifact"], Path(kept["pending"]))
            yield made


def clone(first: Checkout, second: Checkout) -> None:
    """Check out the same commit elsewhere. Apple, bucket and keys are the same: no checkout has them."""
    subprocess.run(["git", "clone", "-q", first.root, second.root], check=True)
    (second.root / "dist").mkdir()
    (second.root / "dist/rehearsal").symlink_to(first.root / "dist/rehearsal")


@pytest.fixture(scope="module")
def finished(chain: Chain) -> Chain:
    """The same, after what GitHub does on the event: the finalizer's workflow, line by line."""
    event = chain.github.event()
    (chain.temp / "event.json").write_text(json.dumps(event))
    payload = event["client_payload"]
    name = artifact_name(payload["version"], payload["build"])
    assert chain.github.download(payload["run_id"], name, chain.temp / "pending")
    shutil.copytree(chain.temp / "pending", chain.temp / "kept")
    words = [word.replace('"$PENDING"', str(chain.temp / "pending")) for word in line_of("finalize")]
    chain.run("finalize", *words, extra={"GITHUB_EVENT_PATH": str(chain.temp / "event.json")})
    return chain


def test_the_release_is_left_and_no_failure(chain: Chain) -> None:
    kept = chain.outputs("release")
    assert kept["artifact"] == artifact_name("3.2.1", Path(kept["pending"]).parent.name.split("-")[1])
    said = chain.summary("release")
    assert "Waiting for Apple" in said and "notarize.resume" in said and "any machine" in said
    assert (Path(kept["pending"]) / "pending.json").is_file()


def test_apple_calls_the_site_and_the_site_tells_github(chain: Chain) -> None:
    [submission] = chain.submissions()
    assert submission["announced"] == [202]
    [event] = chain.github.events
    assert event["event_type"] == "apple-notary-complete"
    build = event["client_payload"]["build"]
    assert event["client_payload"] == {
        "version": "3.2.1",
        "build": build,
        "run_id": RUN,
        "artifact": f"pending-3.2.1-{build}",
        "dmg": f"API-for-Cursor-3.2.1-{build}.dmg",
        "ref": f"refs/tags/{TAG}",
    }


def test_a_second_checkout_publishes_it_without_building_or_sending(finished: Chain) -> None:
    summary = finished.second.summary()
    steps = {step["name"]: step["status"] for step in summary["steps"]}
    before = list(steps)[: list(steps).index("notarize")]
    assert {steps[name] for name in before} == {"skipped"}
    assert {steps[name] for name in list(steps)[list(steps).index("notarize") :]} == {"ran"}
    [submission] = finished.submissions()
    assert (
        json.loads((finished.second.current / "work/submission.json").read_text())["id"] == submission["id"]
    )
    checks = json.loads((finished.second.current / "verification.json").read_text())["rows"]
    assert len(checks) > 30 and all(check["ok"] is not False for check in checks)
    assert (finished.second.current / summary["app"]).is_dir()
    statements = (finished.second.current / f"{summary['dmg']}.intoto.jsonl").read_text()
    assert statements  # signed with the same key, about the same image


def test_the_job_tells_what_it_did(finished: Chain) -> None:
    said = finished.summary("finalize")
    assert said.startswith("## API for Cursor 3.2.1")
    assert finished.second.summary()["dmg_sha256"] in said
    assert "**verified**" in said and "*not checked*" in said
    assert finished.outputs("finalize")["pending"] == ""  # nothing to keep any more
    assert not (finished.second.current / "pending").exists()


def test_once_more_nothing_changes(finished: Chain) -> None:
    before = finished.second.summary()
    finished.run("again", "notarize.resume", "--from", str(finished.temp / "pending"))
    after = finished.second.summary()
    assert {key: after[key] for key in after if key != "steps"} == {
        key: before[key] for key in before if key != "steps"
    }
    ran = [step["name"] for step in after["steps"] if step["status"] == "ran"]
    assert ran == ["notarize"]  # it was asked, not told
    assert len(finished.submissions()) == 1


def test_where_it_was_built_it_is_public_already(finished: Chain) -> None:
    assert "public already" in finished.run("release", "notarize.resume")
    assert "no release waits" in finished.run("release", "notarize.resume", status=Exit.USAGE)
    assert len(finished.submissions()) == 1


def test_an_event_for_what_published_itself_needs_no_artifact(finished: Chain) -> None:
    event = {"GITHUB_EVENT_PATH": str(finished.temp / "event.json")}
    words = ("notarize.resume", "--event", "--from", str(finished.temp / "absent"))
    assert "public already" in finished.run("again", *words, extra=event)
    unknown = json.loads((finished.temp / "event.json").read_text())
    unknown["client_payload"] = {"version": "3.2.2", "build": "99999", "run_id": RUN}
    (finished.temp / "unknown.json").write_text(json.dumps(unknown))
    said = finished.run(
        "again",
        *words,
        status=Exit.INPUT_MISSING,
        extra={"GITHUB_EVENT_PATH": str(finished.temp / "unknown.json")},
    )
    assert "no pending release" in said


def test_another_commit_is_refused(finished: Chain) -> None:
    git = ["git", "-C", str(finished.second.root)]
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, *author, "commit", "-q", "--allow-empty", "-m", "Another"], check=True)
    try:
        words = ("notarize.resume", "--from", str(finished.temp / "kept"))
        said = finished.run("again", *words, status=Exit.GIT)
        assert f"git checkout {head}" in said and f"pending:  {head}" in said
    finally:
        subprocess.run([*git, "reset", "-q", "--hard", head], check=True)


def secrets_of(chain: Chain) -> dict[str, str]:
    world = chain.world
    found = {
        "the webhook's token": TOKEN,
        "GitHub's token": GITHUB,
        "the EdDSA key": (world / "ed25519.key").read_text(),
        "the notary's key": next((world / "apple/ca").glob("AuthKey_*.p8")).read_text(),
    }
    for path in (world / "identity").rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            _, _, key = path.read_text().partition("PRIVATE KEY-----\n")
            found[f"the identity, {path.name}"] = key.partition("-----END")[0]
    for submission in chain.submissions():
        found |= {f"Amazon's {name}": submission[name] for name in ("secret_key", "token")}
    return found


def test_no_secret_is_in_any_output_journal_artifact_or_command_line(finished: Chain) -> None:
    secrets = secrets_of(finished)
    assert len(secrets) >= 7
    names = []

    def left() -> Iterator[tuple[str, bytes]]:
        yield from files(finished.first.root / "dist", without=[finished.world])
        yield from files(finished.second.root / "dist", without=[finished.world])
        yield from files(finished.world / "bucket")  # all that is public
        yield from files(finished.temp, without=[finished.second.root])  # artifact, event, summaries
        yield from [("what was said", finished.said.encode()), *finished.lines.places()]

    def noted() -> Iterator[tuple[str, bytes]]:
        for place, data in left():
            names.append(place)
            yield place, data

    assert leaks(secrets, noted()) == []
    seen = " ".join(names)
    for wanted in (
        "journal.json",
        "pending.json",
        ".dmg:",
        "appcast.xml",
        "intoto.jsonl",
        ".md",
        "event.json",
    ):
        assert wanted in seen, wanted
    # The same search does find what lies there in plain sight.
    assert leaks({"the token": TOKEN}, files(finished.world / "apple/submissions"))
