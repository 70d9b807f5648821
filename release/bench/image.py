"""Figures of the disk image: packing on two cores, against the standard library, and its memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from release.bench import Figure
from release.image import parallel
from release.image.hfsplus.tree import scan
from release.image.hfsplus.volume import Volume
from release.image.udif import writer
from release.image.udif.codecs import ZLIB, Codec

ROOT = Path(__file__).resolve().parents[2]
SIZE = 140_000_000
MEGA = 1e6
TRIES = 5

STANDARD = Codec(ZLIB, partial(zlib.compress, level=6), 6)


def bench() -> list[Figure]:
    """Measure on the last release's app, else on about as many bytes of shared libraries."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source = _material(scratch / "material")
        volume = Volume(scan(source, "Bench"), created=0)
        return [*_cores(volume, scratch), *_standard(volume, scratch), *_memory(source, scratch)]


def _material(folder: Path) -> Path:
    """Return the bundle of dist/current, or a folder of links' worth of the largest libraries around."""
    current = ROOT / "dist" / "current"
    if (current / "release.json").is_file():
        app: str = json.loads((current / "release.json").read_bytes())["app"]
        if (current / app).is_dir():
            return current / app
    folder.mkdir()
    libraries = sorted(
        Path(sysconfig.get_paths()["platlib"]).rglob("*.so*"), key=lambda path: (-path.stat().st_size, path)
    )
    left = SIZE
    for number, library in enumerate(libraries):
        if left > 0:
            (folder / f"{number:04}").write_bytes(library.read_bytes()[:left])
            left -= library.stat().st_size
    return folder


def _cores(volume: Volume, scratch: Path) -> list[Figure]:
    """ULFO with two threads against one, in turn; the best of each, as others may use the machine too."""
    works = [_writing(volume, scratch, "ULFO", threads) for threads in (1, 2)]
    one, two = (min(times) for times in zip(*([*map(_seconds, works)] for _ in range(TRIES)), strict=True))
    ratio, speed = one / two, volume.size / MEGA / two
    ok = ratio >= 1.8 if parallel.cores() > 1 else None
    return [
        Figure("image: ULFO, two cores against one", ratio, "×", "≥ 1.8", ok),
        Figure("image: ULFO, two cores", speed, "MB/s", "", None),
    ]


def _standard(volume: Volume, scratch: Path) -> list[Figure]:
    """UDZO as we write it against the standard library's zlib, level 6, on one core."""
    ours = min(_seconds(_writing(volume, scratch, "UDZO", None)) for _ in range(TRIES))
    size = (scratch / "x.dmg").stat().st_size
    theirs = _seconds(_writing(volume, scratch, STANDARD, 1))
    relative = size / (scratch / "x.dmg").stat().st_size
    return [
        Figure("image: UDZO against zlib 6", theirs / ours, "×", "≥ 4", theirs / ours >= 4),
        Figure("image: UDZO, size against zlib 6", relative, "×", "≤ 1.01", relative <= 1.01),
    ]


def _memory(source: Path, scratch: Path) -> list[Figure]:
    """Peak memory of a process that writes the image, in each format."""
    figures = []
    for form in ("UDZO", "ULFO", "ULMO"):
        run = (sys.executable, "-m", "release.bench.image", str(source), str(scratch / "x.dmg"), form)
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
        peak = int(done.stdout) / MEGA
        figures.append(Figure(f"image: {form}, memory", peak, "MB", "< 200", peak < 200))
    return figures


def _writing(volume: Volume, scratch: Path, form: str | Codec, threads: int | None) -> Callable[[], None]:
    return lambda: writer.write(volume, scratch / "x.dmg", form, threads=threads)


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak() -> int:
    """Bytes of memory this process has had at most; Linux's own count leaves out what its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text("ascii").partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _, material, target, packing = sys.argv
    writer.write(Volume(scan(Path(material), "Bench"), created=0), Path(target), packing)
    sys.stdout.write(f"{_peak()}\n")
