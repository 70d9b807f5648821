"""The public side put together and handed to Cloudflare's tools: build, try, migrate, deploy, secrets.

What is deployed is put together in build/worker: the Worker's package, the parts of the app that it shares
(the dialect), and a wrangler.json with the same bindings. On Cloudflare the third-party packages come from
Pyodide, which pywrangler fetches there; nothing of that runs without a network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from commands import Runner
from errors import Exit, Fault
from release.files import write_atomic, write_json
from release.inputs import uv
from release.wrangler import Wrangler, wrangler
from signing import secrets

SOURCE: Final = Path("worker")
BUILT: Final = Path("build/worker")
STATE: Final = Path("build/worker-state")  # the local bucket and database of worker.dev
DATABASE: Final = "api-for-composer"
TOKEN: Final = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - a variable's name
# Not part of what Cloudflare runs.
LEFT_OUT: Final = ("hosts/local", "node_modules", "migrations", "site/assets", "__pycache__")
# Of the app, what has no part in the hosted API, which shares the dialect and the endpoints that speak it.
OTHERS: Final = ("agents", "bridge", "cli", "macos", "web")
# What it runs with, in the versions that are tried here: each with the lock that has it.
PACKAGES: Final = {"starlette": "worker.txt", "jinja2": "worker.txt", "msgspec": "pyodide.txt"}
PYWRANGLER: Final = "workers-py==1.17.9"  # fetches them for Cloudflare's CPython
ENTRY: Final = """\
from worker.hosts.cloudflare.entry import BridgeContainer, Default

__all__ = ["BridgeContainer", "Default"]
"""
_COMMENT: Final = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*')

Where = Literal["local", "remote"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A setting of the site: whether it is set here, and at Cloudflare (None: not asked)."""

    name: str
    here: bool
    there: bool | None


def settings(root: Path) -> dict[str, Any]:
    """Read worker/wrangler.jsonc."""
    path = root / SOURCE / "wrangler.jsonc"
    text = path.read_text("utf-8")
    try:
        found: dict[str, Any] = json.loads(_COMMENT.sub(lambda match: match[1] or "", text))
    except ValueError as error:
        raise Fault(
            "worker/wrangler.jsonc cannot be read", details=(str(error),), status=Exit.CONFIG
        ) from error
    return found


def build(root: Path) -> Path:
    """Put together what is deployed; give its wrangler.json."""
    target = root / BUILT
    shutil.rmtree(target, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".dev.vars*", "package*.json", "wrangler.jsonc")
    shutil.copytree(root / SOURCE, target / "src/worker", ignore=ignore)
    for name in LEFT_OUT:
        shutil.rmtree(target / "src/worker" / name, ignore_errors=True)
    shutil.copytree(root / "app", target / "src/app", ignore=ignore)
    for name in OTHERS:
        shutil.rmtree(target / "src/app" / name, ignore_errors=True)
    write_atomic(target / "src/entry.py", ENTRY.encode())
    write_atomic(target / "pyproject.toml", _project(root).encode())
    write_json(target / "wrangler.json", _placed(settings(root), root))
    return target / "wrangler.json"


def _placed(config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Give the configuration for build/worker, whose paths lead back to the source."""
    source = root / SOURCE
    for name, key in (("d1_databases", "migrations_dir"), ("containers", "image")):
        config[name] = [{**one, key: str(source / one[key])} for one in config[name]]
    config["containers"] = [{**one, "image_build_context": str(root)} for one in config["containers"]]
    config["assets"] = {**config["assets"], "directory": str(source / config["assets"]["directory"])}
    rules = [{"type": "Text", "globs": ["**/*.html", "**/*.md"], "fallthrough": False}]
    config.pop("$schema", None)
    return {**config, "main": "src/entry.py", "rules": rules}


def _project(root: Path) -> str:
    packages = ", ".join(f'"{_pinned(root, name)}"' for name in PACKAGES)
    return (
        '[project]\nname = "api-for-composer"\nversion = "0"\nrequires-python = ">=3.12"\n'
        f"dependencies = [{packages}]\n"
    )


def _pinned(root: Path, name: str) -> str:
    lock = root / "requirements" / PACKAGES[name]
    found = re.search(rf"^{name}==[^\s\\]+", lock.read_text("utf-8"), re.M)
    if found is None:
        raise Fault(f"{name} is not in the lock", where=lock, status=Exit.CONFIG)
    return found[0]


def migrate(root: Path, runner: Runner, where: Where, state: Path | None = None) -> str:
    """Apply the migrations that are new to the local or to the deployed database; give what wrangler says.

    `state` is where the local one is kept, if not where `dev` has it.
    """
    if where == "remote":
        _require_token()
    tool, config = wrangler(root, runner), build(root)
    words = ["d1", "migrations", "apply", DATABASE, f"--{where}"]
    words += ["--persist-to", str(state or root / STATE)] if where == "local" else []
    return _run(tool, runner, config, words)


def deploy(root: Path, runner: Runner, *, dry_run: bool) -> str:
    """Deploy the site, or with `dry_run` only put together what would be; give what wrangler says."""
    if not dry_run:
        _require_token()
    tool, config = wrangler(root, runner), build(root)
    if dry_run:
        words = ["deploy", "--dry-run", "--containers-rollout=none", "--outdir", str(config.parent / "out")]
        return _run(tool, runner, config, words)
    _sync(runner, config.parent)
    return _run(tool, runner, config, ["deploy"])


def _sync(runner: Runner, folder: Path) -> None:
    """Put the packages beside the Worker, as Cloudflare's CPython needs them."""
    line = (uv.program(), "tool", "run", "--from", PYWRANGLER, "pywrangler", "sync")
    done = uv.run(line, runner=runner, cwd=folder)
    if done.status:
        raise Fault(
            "the Worker's packages cannot be fetched",
            details=tuple(secrets.mask(done.text).strip().splitlines()[-10:]),
            cure="this needs a network; ./invoke worker.serve runs the same site without one",
            status=Exit.NETWORK,
        )


def dev(root: Path, runner: Runner, port: int) -> int:
    """Run the site in Cloudflare's own runtime, with a local bucket and database, until it is interrupted."""
    migrate(root, runner, "local")
    tool, config = wrangler(root, runner), build(root)
    _sync(runner, config.parent)
    words = ["dev", "-c", str(config), "--ip", "127.0.0.1", "--port", str(port), "--enable-containers=false"]
    words += ["--persist-to", str(root / STATE)]
    values = root / SOURCE / ".dev.vars"
    if values.is_file():
        shutil.copy2(values, config.parent / ".dev.vars")
    environment = {**tool.env, "CI": ""}
    return subprocess.run([*tool.argv, *words], cwd=config.parent, env=environment, check=False).returncode


def serve_rehearsal(root: Path, words: Sequence[str]) -> int:
    """Serve what the last rehearsal in this checkout has published, until it is interrupted.

    `words` are the local host's options. Raises Fault USAGE where there was no rehearsal.
    """
    folder = root / "dist/rehearsal/bucket"
    if not folder.is_dir():
        cure = "run ./invoke release, which rehearses one"
        raise Fault("nothing has been published here yet", where=folder, cure=cure, status=Exit.USAGE)
    from release.rehearsal.bucket import Bucket

    with Bucket(folder) as bucket:
        line = [sys.executable, "-m", "worker.hosts.local", *words]
        line += ["--s3", bucket.endpoint, "--bucket", bucket.name]
        keys = {"R2_ACCESS_KEY_ID": bucket.access_key, "R2_SECRET_ACCESS_KEY": bucket.secret_key}
        with suppress(KeyboardInterrupt):
            return subprocess.run(line, cwd=root, env={**os.environ, **keys}, check=False).returncode
    return 0


def found_secrets(root: Path, runner: Runner, environ: Mapping[str, str] = os.environ) -> list[Secret]:
    """Tell which settings are set here, and, if a token is there to ask with, at Cloudflare. Never values."""
    names = _names(root / SOURCE / ".dev.vars.example")
    here = _set(root / SOURCE / ".dev.vars") | {name for name in names if environ.get(name)}
    there = _deployed(root, runner) if environ.get(TOKEN) else None
    return [Secret(name, name in here, None if there is None else name in there) for name in names]


def _deployed(root: Path, runner: Runner) -> set[str]:
    tool, config = wrangler(root, runner), build(root)
    said = _run(tool, runner, config, ["secret", "list", "--format", "json"])
    return {one["name"] for one in json.loads(said[said.index("[") :])}


def _names(example: Path) -> list[str]:
    return re.findall(r"^([A-Z][A-Z0-9_]*)=", example.read_text("utf-8"), re.M)


def _set(values: Path) -> set[str]:
    if not values.is_file():
        return set()
    lines = re.findall(r"^\s*([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*$", values.read_text("utf-8"), re.M)
    return {name for name, value in lines if value.strip("\"'")}


def _run(tool: Wrangler, runner: Runner, config: Path, words: Sequence[str]) -> str:
    done = runner.run([*tool.argv, *words, "-c", config], cwd=config.parent, env=tool.env, check=False)
    if done.status:
        raise Fault(
            f"wrangler {' '.join(words[:2])} failed",
            details=tuple(secrets.mask(done.text).strip().splitlines()[-20:]),
            cure="correct what it names, and run it again",
            status=Exit.PUBLISH,
        )
    return done.stdout.decode("utf-8", "replace")


def _require_token() -> None:
    if not os.environ.get(TOKEN):
        raise Fault(
            f"{TOKEN} is not set",
            cure="make a token that may edit Workers, R2 and D1 in Cloudflare's dashboard, and export it",
            status=Exit.SECRET,
        )
