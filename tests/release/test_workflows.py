"""GitHub's workflows: what they may do, what they are given, and that they hold no logic of their own."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from commands import Subprocess
from errors import Exit, Fault
from release import config as configuration
from release import dispatch, workflow_lint
from release.webhook import artifact_name
from tasks import namespace
from worker import notary_webhook

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
TOGETHER = ("release.yml", "finalize.yml")
READ = {"contents": "read", "actions": "read"}

BUBBLEWRAP = """\
sudo apt-get update --quiet
sudo apt-get install --yes --quiet bubblewrap
sudo sysctl --write kernel.apparmor_restrict_unprivileged_userns=0
"""
"""The one thing that a workflow runs beside tasks."""

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text("utf-8"))
    return found


def jobs(path: Path) -> list[dict[str, Any]]:
    return list(load(path)["jobs"].values())


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path):
        yield from job["steps"]


def runs(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step and step["run"] != BUBBLEWRAP]


def named(name: str) -> Path:
    return FOLDER / name


def test_there_are_three() -> None:
    assert [path.name for path in FILES] == ["finalize.yml", "release.yml", "smoke.yml"]


@each
def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_has_one_version_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in FILES:
        for step in steps(path):
            name, _, commit = step.get("uses", "").partition("@")
            pins.setdefault(name, set()).add(commit)
    assert all(len(commits) == 1 for commits in pins.values()), pins


@each
def test_permissions_are_least(path: Path) -> None:
    assert load(path)["permissions"] == {}
    for job in jobs(path):
        assert job["permissions"].items() <= READ.items()
        assert 0 < job["timeout-minutes"] <= 120
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    # Code of a pull request never runs where secrets or a writing token are.
    assert "pull_request_target" not in load(path)["on"]


@each
def test_a_run_line_is_one_invoke_task_that_exists(path: Path) -> None:
    for line in runs(path):
        words = shlex.split(line)
        assert words[0] == "./invoke", line
        assert "\n" not in line.strip() and not re.search(r"[;&|`<>]|\$\(|\$\{", line), line
        task = namespace[words[1]]
        known = {flag for argument in task.get_arguments() for flag in flags(argument)}
        assert {word for word in words[2:] if word.startswith("--")} <= known, line


def flags(argument: Any) -> Iterator[str]:
    for name in argument.names:
        yield f"--{name.strip('_').replace('_', '-')}"


@each
def test_no_expression_reaches_a_shell(path: Path) -> None:
    assert not any("${{" in line for line in runs(path))
    for job in jobs(path):
        assert "env" not in job  # secrets go to the one step that needs them
    assert "env" not in load(path)


@pytest.mark.parametrize("name", TOGETHER)
def test_production_gets_the_secrets_that_its_profile_names_and_no_other(name: str) -> None:
    config = configuration.load(ROOT, "production")
    wanted = {
        uri.removeprefix("env:")
        for uri in configuration.secrets_of(config).values()
        if uri.startswith("env:")
    }
    assert len(wanted) >= 12
    text = named(name).read_text("utf-8")
    assert set(re.findall(r"\bsecrets\.(\w+)", text)) == wanted
    with_secrets = [step for step in steps(named(name)) if "secrets." in str(step)]
    assert [step["run"].split()[:2] for step in with_secrets] == [
        ["./invoke", "release" if name == "release.yml" else "notarize.resume"]
    ]
    given = {key: value for key, value in with_secrets[0]["env"].items() if "secrets." in value}
    assert given == {key: f"${{{{ secrets.{key} }}}}" for key in wanted}
    assert "env:" not in "".join(with_secrets[0]["run"])


def test_smoke_gets_none() -> None:
    assert "secrets." not in named("smoke.yml").read_text("utf-8")
    systems = jobs(named("smoke.yml"))[0]["strategy"]["matrix"]["os"]
    assert {system.split("-")[0] for system in systems} == {"ubuntu", "macos"}
    said = " ".join(runs(named("smoke.yml")))
    assert all(f"./invoke {task}" in said for task in ("lint", "test", "release", "smoke"))


def test_smoke_has_the_second_wall_on_ubuntu_alone() -> None:
    made = [
        (path.name, step.get("if")) for path in FILES for step in steps(path) if step.get("run") == BUBBLEWRAP
    ]
    assert made == [("smoke.yml", "${{ runner.os == 'Linux' }}")]


def test_one_release_at_a_time_and_only_in_its_environment() -> None:
    for name in TOGETHER:
        whole = load(named(name))
        assert whole["concurrency"] == {"group": "release", "cancel-in-progress": False}
        assert [job["environment"] for job in jobs(named(name))] == ["production"]


def test_the_event_is_the_one_that_the_site_sends() -> None:
    whole = load(named("finalize.yml"))
    on = whole["on"]
    assert on["repository_dispatch"]["types"] == [notary_webhook.EVENT] == [dispatch.EVENT]
    form = on["workflow_dispatch"]["inputs"]
    assert set(form) <= set(dispatch.Asked.__struct_fields__)


def test_the_artifact_has_one_name() -> None:
    upload = next(step for step in steps(named("release.yml")) if "upload-artifact" in step.get("uses", ""))
    assert upload["with"]["name"] == "${{ steps.release.outputs.artifact }}"
    assert upload["if"].startswith("${{ always() &&")
    download = next(step for step in steps(named("finalize.yml")) if "download" in step.get("uses", ""))
    event = {"version": "1.2.3", "build": "57"}
    name = download["with"]["name"]
    for key, value in event.items():
        name = name.replace(f"${{{{ github.event.client_payload.{key} || inputs.{key} }}}}", value)
    assert name == artifact_name("1.2.3", "57")


def test_only_tags_are_released() -> None:
    whole = load(named("release.yml"))
    assert whole["on"] == {"push": {"tags": ["v*"]}}
    checkout = next(step for step in steps(named("finalize.yml")) if "checkout" in step.get("uses", ""))
    assert checkout["with"]["ref"].startswith("refs/tags/v${{")


def test_the_pending_release_lies_outside_the_checkout() -> None:
    """A production release is made from a clean checkout: an artifact within would make it dirty."""
    download = next(step for step in steps(named("finalize.yml")) if "download" in step.get("uses", ""))
    assert download["with"]["path"] == "${{ runner.temp }}/pending"


# the linters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("timeout-minutes: 60", "timeout-minutes: soon", "timeout-minutes"),
        ("${{ matrix.os }}", "${{ matrix.system }}", "system"),
        ("run: ./invoke smoke", 'run: echo "${{ github.event.pull_request.title }}"', "untrusted"),
        ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6", "unpinned"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_the_linters_find_it(tmp_path: Path, before: str, after: str, says: str) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / "requirements").mkdir()
    shutil.copy2(ROOT / "requirements/node.txt", tmp_path / "requirements/node.txt")
    broken = tmp_path / ".github/workflows/smoke.yml"
    text = broken.read_text("utf-8")
    assert before in text
    broken.write_text(text.replace(before, after))
    with pytest.raises(Fault) as caught:
        workflow_lint.lint(tmp_path, Subprocess())
    assert "smoke.yml" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.slow
def test_the_linters_are_content() -> None:
    assert "3 workflows" in workflow_lint.lint(ROOT, Subprocess())


def test_a_linter_that_is_not_there_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(Fault) as caught:
        workflow_lint.zizmor(ROOT)
    assert caught.value.status is Exit.TOOL
