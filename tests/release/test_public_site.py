"""The public side handed to Cloudflare's tools: what is put together, and how they are called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from commands import Result, Subprocess
from errors import Exit, Fault
from release import site
from release.inputs import uv
from release.wrangler import Wrangler
from tests.standins.commands import Recorder
from worker.hosts import settings

ROOT = Path(__file__).resolve().parents[2]
TOOL = Wrangler(("node", "wrangler.js"), {"CI": "1"})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", ".dev.vars")
    shutil.copytree(ROOT / "worker", tmp_path / "worker", ignore=ignore)
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=ignore)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    monkeypatch.setattr(site, "wrangler", lambda root, runner: TOOL)
    return tmp_path


def test_what_is_deployed(checkout: Path) -> None:
    config = json.loads(site.build(checkout).read_text())
    built = checkout / "build/worker"
    assert config["main"] == "src/entry.py" and (built / "src/entry.py").is_file()
    assert {one["binding"] for one in config["r2_buckets"] + config["d1_databases"]} == {"RELEASES", "DB"}
    assert Path(config["assets"]["directory"]).is_dir()
    assert Path(config["d1_databases"][0]["migrations_dir"], "0001_init.sql").is_file()
    assert Path(config["containers"][0]["image"]).is_file()
    assert (built / "src/worker/site/templates/landing.html").is_file()
    assert (built / "src/app/openai/chat.py").is_file()
    pinned = re.findall(r'"(\w+)==[\d.]+"', (built / "pyproject.toml").read_text())
    assert pinned == ["starlette", "jinja2", "msgspec"]
    assert not list(built.rglob("local")) and not list(built.rglob(".dev.vars*"))


def test_what_is_deployed_is_whole(checkout: Path) -> None:
    """The core and the hosted API find all that they import in what is put together, and import no host."""
    source = site.build(checkout).parent / "src"
    program = "import sys, worker.core, worker.hosted.table; print(*sys.modules)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(source)}
    found = subprocess.run([sys.executable, "-c", program], cwd=source, env=environment, capture_output=True)
    assert found.returncode == 0, found.stderr.decode()
    absent = {"aiohttp", "boto3", "cryptography", "httpx", "keyring", "obstore", "uvicorn"}
    assert not absent & set(found.stdout.decode().split())


def test_the_commands(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-secret-token")
    runner = Recorder()
    site.migrate(checkout, runner, "remote")
    site.deploy(checkout, runner, dry_run=False)
    config = str(checkout / "build/worker/wrangler.json")
    assert [list(line) for line in runner.calls] == [
        ["node", "wrangler.js", "d1", "migrations", "apply", "api-for-composer", "--remote", "-c", config],
        [str(uv.program()), "tool", "run", "--from", site.PYWRANGLER, "pywrangler", "sync"],
        ["node", "wrangler.js", "deploy", "-c", config],
    ]
    assert "a-secret-token" not in str(runner.calls)


def test_trying_it_without_a_network(checkout: Path) -> None:
    def offline(argv: Sequence[str]) -> Result:
        return Result(tuple(argv), 1 if "pywrangler" in argv else 0, b"", b"dns error")

    with pytest.raises(Fault, match="packages cannot be fetched") as caught:
        site.dev(checkout, Recorder(offline), 8787)
    assert caught.value.status == Exit.NETWORK and "worker.serve" in str(caught.value.cure)


def test_without_a_token(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    runner = Recorder()
    deeds: list[Callable[[], str]] = [
        lambda: site.migrate(checkout, runner, "remote"),
        lambda: site.deploy(checkout, runner, dry_run=False),
    ]
    for deed in deeds:
        with pytest.raises(Fault) as caught:
            deed()
        assert caught.value.status == Exit.SECRET
    assert runner.calls == []


def test_which_settings_are_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    (checkout / "worker/.dev.vars").write_text('ENCRYPTION_KEY="x y z"\nWAITLIST_URL=""\n')
    found = {one.name: one for one in site.found_secrets(checkout, Recorder(), {"WAITLIST_API_TOKEN": "t"})}
    assert (found["ENCRYPTION_KEY"].here, found["WAITLIST_API_TOKEN"].here) == (True, True)
    assert (found["WAITLIST_URL"].here, found["ENCRYPTION_KEY"].there) == (False, None)
    said = Recorder(lambda argv: Result(argv, 0, b'note\n[{"name": "ENCRYPTION_KEY", "type": "s"}]'))
    asked = site.found_secrets(checkout, said, {"CLOUDFLARE_API_TOKEN": "t"})
    assert {one.name for one in asked if one.there} == {"ENCRYPTION_KEY"}


def test_the_example_names_every_setting_and_sets_none() -> None:
    example = settings.read(ROOT / "worker/.dev.vars.example")
    assert set(example) == set(settings.NAMES)
    assert not any(example.values())


@pytest.mark.slow
@pytest.mark.xdist_group("wrangler")
def test_wrangler_itself_takes_it(tmp_path: Path) -> None:
    for name in ("worker", "app", "requirements"):
        ignore = shutil.ignore_patterns("__pycache__", "node_modules", ".dev.vars", ".wrangler")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    said = site.deploy(tmp_path, Subprocess(), dry_run=True)
    assert "env.RELEASES" in said and "env.DB" in said and "--dry-run: exiting now" in said
    first, again = (site.migrate(tmp_path, Subprocess(), "local") for _ in range(2))
    assert "0003_rate_limits.sql" in first and "No migrations to apply" in again
