"""How long a release takes: cold, again, and after a change of one file of the app."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from release.bench import Figure
from release.inputs.cache import default_root

ROOT = Path(__file__).resolve().parents[2]


def bench() -> list[Figure]:
    """Release a copy of the checkout, with the downloads linked in and nothing else cached."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root, cache = Path(folder, "checkout"), Path(folder, "cache")
        _copy(root)
        _release(root, default_root())  # so that the downloads are there, whatever ran before
        shutil.rmtree(root / "dist")
        (cache).mkdir()
        shutil.copytree(default_root() / "archives", cache / "archives", copy_function=_link)
        cold = _release(root, cache)
        again = min(_release(root, cache) for _ in range(3))
        with (root / "app" / "version.py").open("a") as file:
            file.write("\nCHANGED = True\n")
        changed = _release(root, cache)
    return [
        Figure("release, cold but for downloads", cold, "s", "≤ 90 s", cold <= 90),
        Figure("release, nothing changed", again, "s", "≤ 1.5 s", again <= 1.5),
        Figure("release, nothing changed, of cold", again / cold, "×", "", None),
        Figure("release, one file of the app changed", changed, "s", "≤ 25 s", changed <= 25),
        Figure("release, one file changed, of cold", changed / cold, "×", "", None),
    ]


def _copy(target: Path) -> None:
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target


def _release(root: Path, cache: Path) -> float:
    began = time.perf_counter()
    environ = {**os.environ, "API_FOR_CURSOR_CACHE": str(cache)}
    argv = [sys.executable, "-m", "invoke", "release"]
    subprocess.run(argv, cwd=root, env=environ, check=True, capture_output=True)
    return time.perf_counter() - began
