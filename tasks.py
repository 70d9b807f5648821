"""The Invoke tasks. Each parses its arguments, calls one function, prints its result.

`./invoke --list` shows them; docs/release.md explains them. What belongs to one subject has a module in
release/tasks/.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit as Stop
from invoke.tasks import task

from release.tasks import appcast, keys, notarize, public, version, worker
from release.tasks.common import ROOT, console, guarded, pairs, place, python, told


@task(
    iterable=["set", "force"],
    help={
        "profile": "rehearsal (default: no account, no secret) or production",
        "version": "the version to ship, if not the tag's",
        "build": "the build number, if not counted from the history",
        "dry_run": "say what would be done, and the plans",
        "from_": "take the steps before STEP as they are; redo it and what changes through it",
        "until": "stop after STEP",
        "force": "redo STEP (repeatable; all)",
        "no_wait": "end once Apple has the image (status 75); notarize.resume goes on",
        "set": "override a key of release.toml: --set app.arch=x86_64 (repeatable)",
        "dist": "where to put releases (default: dist)",
        "allow_regression": "publish even if some Mac is offered less than now",
        "accept_pending": "end with status 0, too, if all that is left is Apple's verdict",
    },
)
@guarded
def release(
    c: Context,
    profile: str = "rehearsal",
    version: str = "",
    build: str = "",
    dry_run: bool = False,
    from_: str = "",
    until: str = "",
    force: Any = None,
    no_wait: bool = False,
    set: Any = None,
    dist: str = "",
    allow_regression: bool = False,
    accept_pending: bool = False,
) -> None:
    """Make a release: build, sign, notarize, publish, verify. A rehearsal unless told otherwise."""
    from release import dry_run as plan
    from release import report, summary
    from release.pipeline import Selection
    from release.progress import display
    from release.run import Options
    from release.run import release as make

    selection = Selection(from_ or None, until or None, frozenset(force or ()), dry_run)
    options = Options(
        profile,
        version or None,
        build or None,
        pairs(set),
        selection,
        not no_wait,
        place(dist),
        allow_regression,
    )
    with told(accept_pending), display() as shown:
        done = make(ROOT, options, shown)
    (plan.show if dry_run else report.closing)(done, console())
    if done.ready is not None and done.ready.failed:
        raise Stop(code=done.ready.status)
    if not dry_run:
        summary.finished(done, os.environ)


@task(help={"profile": "rehearsal or production", "set": "override a key, as for release"}, iterable=["set"])
@guarded
def config(c: Context, profile: str = "rehearsal", set: Any = None) -> None:
    """Print the configuration in force; of a secret, where it comes from and whether it is there."""
    from release import config as configuration
    from release import report

    report.configuration(configuration.load(ROOT, profile, overrides=pairs(set)), console())


@task(help={"app": "the .app to boot (default: that of dist/current)"})
@guarded
def smoke(c: Context, app: str = "") -> None:
    """Boot the packaged server from the bundle's own byte code and ask it a few things."""
    from release.smoke import show, try_app

    report = try_app(ROOT, place(app))
    show(report, console())
    report.require()


@task(name="build")
@guarded
def bridge_build(c: Context) -> None:
    """Build the JavaScript bridge for running the app from source: build/bridge.js."""
    from commands import Subprocess
    from release.bridge import build

    console().print(f"built {build(ROOT, Subprocess())}", highlight=False)


@task(help={"app": "only those of the app, which need no release"})
@guarded
def pictures(c: Context, app: bool = False) -> None:
    """Draw the pictures in the docs again: the last release, what tasks print, the app (needs Chromium)."""
    from commands import Subprocess
    from release.pictures import draw, draw_app, draw_favicon, draw_terminal

    drawn = [*draw_app(ROOT, Subprocess()), draw_favicon(ROOT)]
    for path in drawn if app else [*drawn, *draw(ROOT), *draw_terminal(ROOT)]:
        console().print(f"drew {path}", highlight=False)


@task(help={"port": "where to listen on 127.0.0.1, if not as set (8787)"})
@guarded
def serve(c: Context, port: str = "") -> None:
    """Run the app from source, with the pinned Bun and a freshly built bridge."""
    _app("serve", *(["--port", port] if port else []))


@task(name="run", default=True)
@guarded
def bridge_run(c: Context) -> None:
    """Run only the bridge, for another server: HTTP on 127.0.0.1:8792 with a token (CURSOR_SDK_BRIDGE_*)."""
    _app("bridge")


def _app(*words: str) -> None:
    """Become the app, with the pinned Bun and a freshly built bridge."""
    from commands import Subprocess
    from release.bridge import build, htmx

    runner = Subprocess()
    build(ROOT, runner)
    htmx(ROOT, runner)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "app", *words])  # noqa: S606  # it gets signals itself


@task(help={"only": "pytest's -k", "fast": "leave out what builds or boots something real"})
@guarded
def test(c: Context, only: str = "", fast: bool = False) -> None:
    """Run all tests, side by side."""
    words = ["-k", only] if only else []
    words += ["-m", "not slow and not release"] if fast else []
    python("pytest", "-n", "auto", "--dist", "loadgroup", *words)


@task
@guarded
def lint(c: Context) -> None:
    """Check style and types, and the workflows: ruff, ruff format, mypy --strict, actionlint, zizmor."""
    from commands import Subprocess
    from release.workflow_lint import lint as check

    python("ruff", "check", ".")
    python("ruff", "format", "--check", ".")
    python("mypy")
    console().print(check(ROOT, Subprocess()))


@task(help={"only": "run only the figures whose module has this name"})
@guarded
def bench(c: Context, only: str = "") -> None:
    """Measure, as ratios against something real in the same run."""
    from release.bench.all import run

    run(ROOT, console(), only)


namespace = Collection(
    release, *public.TASKS, *version.TASKS, config, smoke, serve, pictures, test, lint, bench
)
namespace.add_collection(notarize.collection)
_bridge = Collection("bridge")
_bridge.add_task(bridge_run)
_bridge.add_task(bridge_build)
namespace.add_collection(_bridge)
namespace.add_collection(keys.collection)
namespace.add_collection(appcast.collection)
namespace.add_collection(worker.collection)
