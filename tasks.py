"""The Invoke tasks. Each parses its arguments, calls one function, prints its result.

`./invoke --list` shows them; docs/release.md explains them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit as Stop
from invoke.tasks import task

from errors import Exit, Fault

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parent


def guarded(body: Callable[..., None]) -> Callable[..., None]:
    """Print a Fault as one message and end with its status; let real bugs show their traceback."""

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> None:
        from signing.secrets import mask

        try:
            body(*args, **kwargs)
        except Fault as fault:
            raise Stop(
                mask(f"{'…' if fault.status == Exit.PENDING else '✗'} {fault}"), code=fault.status
            ) from None
        except KeyboardInterrupt:
            raise Stop("stopped; the next run goes on from here", code=Exit.INTERRUPTED) from None

    return run


def console() -> Console:
    """Return a console that is wide enough for digests when the output is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _pairs(values: list[str] | None) -> dict[str, str]:
    pairs = [value.partition("=") for value in values or ()]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise Fault(f"--set {bad[0]} has no value", cure="--set key=value", status=Exit.USAGE)
    return {key: value for key, _, value in pairs}


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
) -> None:
    """Make a release: build, sign, notarize, publish, verify. A rehearsal unless told otherwise."""
    from release import report
    from release.pipeline import Selection
    from release.progress import display
    from release.run import Options
    from release.run import release as make

    selection = Selection(from_ or None, until or None, frozenset(force or ()), dry_run)
    options = Options(
        profile,
        version or None,
        build or None,
        _pairs(set),
        selection,
        not no_wait,
        Path(dist).resolve() if dist else None,
        allow_regression,
    )
    with display() as shown:
        done = make(ROOT, options, shown)
    (report.dry_run if dry_run else report.closing)(done, console())


@task(name="resume", help={"profile": "rehearsal or production"})
@guarded
def notarize_resume(c: Context, profile: str = "rehearsal", dist: str = "") -> None:
    """Go on with a release that waits for Apple."""
    from release import report
    from release.progress import display
    from release.run import Options
    from release.run import release as make

    with display() as shown:
        done = make(ROOT, Options(profile, dist=Path(dist).resolve() if dist else None), shown)
    report.closing(done, console())


@task(help={"profile": "rehearsal or production", "set": "override a key, as for release"}, iterable=["set"])
@guarded
def config(c: Context, profile: str = "rehearsal", set: Any = None) -> None:
    """Print the configuration in force; of a secret, where it comes from and whether it is there."""
    from release import config as configuration
    from release import report

    report.configuration(configuration.load(ROOT, profile, overrides=_pairs(set)), console())


@task(help={"app": "the .app to boot (default: that of dist/current)"})
@guarded
def smoke(c: Context, app: str = "") -> None:
    """Boot the packaged server from the bundle's own byte code and ask it a few things."""
    from release.smoke import show, try_app

    report = try_app(ROOT, Path(app).resolve() if app else None)
    show(report, console())
    report.require()


@task(name="build")
@guarded
def bridge_build(c: Context) -> None:
    """Build the JavaScript bridge for running the app from source: build/bridge.js."""
    from commands import Subprocess
    from release.bridge import build

    console().print(f"built {build(ROOT, Subprocess())}", highlight=False)


@task
@guarded
def pictures(c: Context) -> None:
    """Draw the pictures in the docs again, from the last release."""
    from release.pictures import draw

    for path in draw(ROOT):
        console().print(f"drew {path}", highlight=False)


@task(help={"port": "where to listen on 127.0.0.1"})
@guarded
def serve(c: Context, port: int = 8787) -> None:
    """Run the app from source, with the pinned Bun and a freshly built bridge. Needs CURSOR_API_KEY."""
    _app("serve", "--port", str(port))


@task(name="run", default=True)
@guarded
def bridge_run(c: Context) -> None:
    """Run only the bridge, for another server: HTTP on 127.0.0.1:8792 with a token (CURSOR_SDK_BRIDGE_*)."""
    _app("bridge")


def _app(*words: str) -> None:
    """Become the app, with the pinned Bun and a freshly built bridge."""
    import os

    from commands import Subprocess
    from release.bridge import build, bun

    runner = Subprocess()
    build(ROOT, runner)
    environment = {"CURSOR_SDK_BRIDGE_RUNTIME": str(bun(ROOT, runner)), **os.environ}
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "app", *words], environment)  # noqa: S606  # it gets signals itself


@task(help={"only": "pytest's -k", "fast": "leave out what builds or boots something real"})
@guarded
def test(c: Context, only: str = "", fast: bool = False) -> None:
    """Run all tests, side by side."""
    words = ["-k", only] if only else []
    words += ["-m", "not slow and not release"] if fast else []
    _python("pytest", "-n", "auto", "--dist", "loadgroup", *words)


@task
@guarded
def lint(c: Context) -> None:
    """Check style and types: ruff, ruff format, mypy --strict."""
    _python("ruff", "check", ".")
    _python("ruff", "format", "--check", ".")
    _python("mypy")


@task(help={"only": "run only the figures whose module has this name"})
@guarded
def bench(c: Context, only: str = "") -> None:
    """Measure, as ratios against something real in the same run."""
    from release.bench.all import run

    run(ROOT, console(), only)


@task(
    name="generate", help={"to": "where to keep it: file:PATH or keychain:ACCOUNT (default: the profile's)"}
)
@guarded
def keys_generate(c: Context, profile: str = "rehearsal", to: str = "") -> None:
    """Make a Sparkle key; never overwrites one."""
    from release import config as configuration
    from release import keys

    console().print(keys.generate(configuration.load(ROOT, profile), to), highlight=False)


@task(name="show", help={"key": "the key's URI (default: the profile's)"})
@guarded
def keys_show(c: Context, profile: str = "rehearsal", key: str = "") -> None:
    """Show a key's public half, as it stands in SUPublicEDKey."""
    from release import config as configuration
    from release import keys

    console().print(keys.show(configuration.load(ROOT, profile), key), highlight=False)


@task(
    name="export", help={"path": "the new file, mode 0600", "key": "the key's URI (default: the profile's)"}
)
@guarded
def keys_export(c: Context, path: str, profile: str = "rehearsal", key: str = "") -> None:
    """Copy a private key to a file, to be kept somewhere safe; never overwrites."""
    from release import config as configuration
    from release import keys

    console().print(keys.export(configuration.load(ROOT, profile), Path(path), key), highlight=False)


@task(
    name="import", help={"source": "a file or URI; the 32-byte or the old 96-byte form", "to": "as generate"}
)
@guarded
def keys_import(c: Context, source: str, profile: str = "rehearsal", to: str = "") -> None:
    """Keep a key that comes from elsewhere; never overwrites one."""
    from release import config as configuration
    from release import keys

    console().print(keys.import_key(configuration.load(ROOT, profile), source, to), highlight=False)


@task(
    name="rotate", help={"new_key": "URI of the key to change to", "certificate": "PEM to change to instead"}
)
@guarded
def keys_rotate(c: Context, profile: str = "rehearsal", new_key: str = "", certificate: str = "") -> None:
    """Plan a change of key or certificate: who can still update, and what to do."""
    from release import config as configuration
    from release import keys

    config = configuration.load(ROOT, profile)
    keys.print_plan(keys.rotate(config, new_key, Path(certificate) if certificate else None), console())


def _python(*words: str) -> None:
    """Run a module of the environment's Python with its output shown; end with its status if it fails."""
    import subprocess

    status = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode
    if status:
        raise Stop(code=status)


@task(
    name="lint",
    help={
        "target": "the feed: a path or an address",
        "download": "look into the files it points to as well",
        "app": "the .app to compare with: its key, version, needs",
        "against": "the published feed to compare with: a path or an address",
        "strict": "let warnings fail, too",
        "json": "print JSON",
    },
)
@guarded
def appcast_lint(
    c: Context,
    target: str,
    download: bool = False,
    app: str = "",
    against: str = "",
    strict: bool = False,
    json: bool = False,
) -> None:
    """Look for everything in a feed that would keep an update from working."""
    from release import appcast_report, appcast_tools
    from release.progress import display

    with appcast_tools.public_session(ROOT, target) as session, display(sys.stderr) as shown:
        shown.start("Look into the files", 1, 1)
        linted = appcast_tools.lint(
            target,
            session=session,
            look_inside=download,
            app=Path(app) if app else None,
            against=against or None,
            on_progress=shown.advance,
        )
    appcast_report.findings(linted, console(), as_json=json)
    linted.require(strict=strict)


@task(
    name="show",
    help={
        "target": "the feed: a path or an address (default: dist/current/appcast.xml)",
        "against": "the published feed: show what changes",
        "now": "at this moment: 2026-12-31T18:00",
        "json": "print JSON",
    },
)
@guarded
def appcast_show(
    c: Context,
    target: str = "dist/current/appcast.xml",
    against: str = "",
    now: str = "",
    json: bool = False,
) -> None:
    """Show who is offered what: every kind of Mac that the feed tells apart."""
    from release import appcast_report, appcast_tools

    with appcast_tools.public_session(ROOT, target) as session:
        moment = appcast_tools.moment(now)
        shown = appcast_tools.show(target, session=session, against=against or None, now=moment)
    appcast_report.audience(shown, console(), as_json=json)


@task(
    name="select",
    help={
        "target": "the feed: a path or an address (default: dist/current/appcast.xml)",
        "version": "the build that the Mac has (CFBundleVersion)",
        "system": "its macOS, such as 14.5",
        "arch": "arm64 or x86_64",
        "channel": "a channel it follows (repeatable)",
        "group": "its group in a phased rollout, 1 to 7",
        "user": "the user asked for updates",
        "skipped": "the version that the user skipped",
        "now": "at this moment: 2026-12-31T18:00",
        "json": "print JSON",
    },
    iterable=["channel"],
)
@guarded
def appcast_select(
    c: Context,
    target: str = "dist/current/appcast.xml",
    version: str = "",
    system: str = "",
    arch: str = "arm64",
    channel: Any = None,
    group: int = 1,
    user: bool = False,
    skipped: str = "",
    now: str = "",
    json: bool = False,
) -> None:
    """Tell what one Mac is offered, and why it is not offered the rest."""
    from release import appcast_report, appcast_tools

    host = appcast_tools.host_of(
        version, system, arch, channel or (), group=group, user_initiated=user, skipped=skipped or None
    )
    with appcast_tools.public_session(ROOT, target) as session:
        chosen = appcast_tools.choose(target, host, session=session, now=appcast_tools.moment(now))
    appcast_report.selection(chosen, host, console(), as_json=json)


namespace = Collection(release, config, smoke, serve, pictures, test, lint, bench)
_notarize = Collection("notarize")
_notarize.add_task(notarize_resume)
namespace.add_collection(_notarize)
_bridge = Collection("bridge")
_bridge.add_task(bridge_run)
_bridge.add_task(bridge_build)
namespace.add_collection(_bridge)
_keys = Collection("keys")
for _task in (keys_generate, keys_show, keys_export, keys_import, keys_rotate):
    _keys.add_task(_task)
namespace.add_collection(_keys)
_appcast = Collection("appcast")
for _task in (appcast_lint, appcast_show, appcast_select):
    _appcast.add_task(_task)
namespace.add_collection(_appcast)
