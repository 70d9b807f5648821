"""Figures of signing: the plan and its carrying out against the engine alone, and the verifier."""

from __future__ import annotations

import plistlib
import shutil
import tempfile
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import apple_platform

from commands import Subprocess
from release import inputs
from release.bench import Figure
from signing.identity import Identity, throwaway
from signing.plan import plan_app
from signing.portable import NO_TIMESTAMP, Portable, settings
from signing.verify import verify_app

ROOT = Path(__file__).resolve().parents[2]
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 3


def bench() -> list[Figure]:
    """Sign and verify an app of the real inputs' Mach-O files: the best of some rounds, taken in turns."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        app = assemble(folder / "Bench.app")
        identity = throwaway(folder / "identity", name="Bench", team_id="BENCHTEAM1")
        ours, engine, check = [], [], []
        for _ in range(ROUNDS):
            ours.append(_timed(lambda: _ours(app, folder / "signed.app", identity)))
            engine.append(_engine(app, folder / "engine.app", identity))
            check.append(_timed(lambda: verify_app(folder / "signed.app", exact=True).require()))
        count = len(plan_app(app).items)
    ratio = min(ours) / min(engine)
    return [
        Figure(f"signing an app of {count} parts", min(ours), "s", "", None),
        Figure("signing, of the engine's own time", ratio, "×", "≤ 1.3 ×", ratio <= 1.3),
        Figure(f"verifying an app of {count} parts", min(check), "s", "≤ 1 s", min(check) <= 1),
    ]


def assemble(app: Path) -> Path:
    """Put Bun, Sparkle and all of Python's macOS libraries into an app that does nothing else."""
    table = tomllib.loads((ROOT / "release.toml").read_text("utf-8"))["inputs"]["rehearsal"]
    cache, pins, runner = inputs.Cache(), inputs.parse(table), Subprocess()
    prefix = inputs.python_prefix(cache, pins, runner=runner)
    library = app / "Contents/Resources/lib"
    for part in ("MacOS", "Helpers", "Frameworks", "Resources/lib"):
        (app / "Contents" / part).mkdir(parents=True)
    for source in sorted((*prefix.rglob("*.so"), *prefix.rglob("*.dylib"))):
        if not source.is_symlink():
            shutil.copyfile(source, library / source.name)
    bun = inputs.bun(cache, pins, "arm64", runner=runner)
    shutil.copy(bun, app / "Contents/Helpers/bun")
    shutil.copy(library / "zlib.cpython-311-darwin.so", app / "Contents/MacOS/Bench")
    (app / "Contents/MacOS/Bench").chmod(0o755)
    sparkle = inputs.sparkle(cache, pins, runner=runner)
    shutil.copytree(sparkle, app / "Contents/Frameworks/Sparkle.framework", symlinks=True)
    facts = {"CFBundleIdentifier": "com.example.bench", "CFBundleExecutable": "Bench"}
    (app / "Contents/Info.plist").write_bytes(plistlib.dumps(facts))
    return app


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ours(app: Path, dst: Path, identity: Identity) -> None:
    Portable(identity, timestamp_url=None, signing_time=MOMENT).sign_app(plan_app(app), app, dst)


def _engine(app: Path, dst: Path, identity: Identity) -> float:
    """Time nothing but the engine, with the same settings."""
    shutil.rmtree(dst, ignore_errors=True)
    key = apple_platform.Signer(pem=apple_platform.PemKey(files=[identity.key_file]))
    with tempfile.TemporaryDirectory() as scratch:
        paths = settings(plan_app(app), app, Path(scratch))
        return _timed(
            lambda: apple_platform.sign(
                app,
                dst,
                signer=key,
                paths=paths,
                team_name=identity.team_id,
                timestamp_url=NO_TIMESTAMP,
                signing_time=MOMENT,
            )
        )
