"""Make .venv from the locked, hashed requirements. Run by ./invoke with any Python; needs only its library.

pip, which every venv has, installs uv; uv installs the rest, in seconds. What `./invoke` compares to see that
all is in place is written last, so that an installation that was cut short is never taken for a whole one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from commands import Runner, Subprocess
from errors import Exit, Fault
from release.inputs import uv
from release.inputs.faults import explain

ROOT: Final = Path(__file__).resolve().parent.parent
UV_LOCK: Final = "requirements/uv.txt"
TOOL_LOCK: Final = "requirements/tool.txt"
NODE_LOCK: Final = "requirements/node.txt"
TELL: Final = "import sys, pip; print(sys.version_info[0] * 100 + sys.version_info[1])"
SUPPORTED: Final = range(311, 314)  # as TELL tells them


def bootstrap(root: Path, *, node: bool, chosen: bool, runner: Runner, python: str = sys.executable) -> None:
    """Bring `root/.venv` in line with the locks; `node` adds Node and npm.

    An existing one is kept if it works, unless it was made with another interpreter than the one that was
    `chosen`. Raises Fault TOOL, NETWORK or DISK.
    """
    base = os.path.realpath(python)
    with locked(root):
        if ready(root, base, node=node, chosen=chosen):  # made by another process while this one waited
            return
        venv = root / ".venv"
        unfinished = venv / ".unfinished"
        if (
            unfinished.exists()
            or not works(venv, runner)
            or (chosen and read(venv / ".ready-python") != base)
        ):
            make(venv, base, runner)
        unfinished.touch()
        for stamp in venv.glob(".ready*"):
            stamp.unlink()
        install(root, venv, node=node, runner=runner)
        write_stamps(root, venv, base, node=node)
        unfinished.unlink()


def make(venv: Path, python: str, runner: Runner) -> None:
    """Make an empty virtual environment in place of whatever is there."""
    say(f"Making .venv with {python}: only once")
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)
    venv.mkdir()
    (venv / ".unfinished").touch()
    result = runner.run([python, "-m", "venv", venv], check=False)
    if result.status:
        if "ensurepip" in result.text:
            raise Fault(
                f"{python} cannot make a virtual environment: ensurepip is missing",
                cure="apt-get install python3-venv",
                status=Exit.TOOL,
            )
        raise explain(result, "a virtual environment", where=str(venv))


def install(root: Path, venv: Path, *, node: bool, runner: Runner) -> None:
    """Install uv with pip, and all else with uv; every file is checked against its hash."""
    say("Installing the locked requirements")
    python = venv / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2")
    result = runner.run(
        [python, "-m", "pip", "install", *quiet, "--require-hashes", "--no-deps", "-r", root / UV_LOCK],
        cwd=root,
        check=False,
    )
    if result.status:
        raise explain(result, "uv", where=UV_LOCK)
    locks = (TOOL_LOCK, NODE_LOCK) if node else (TOOL_LOCK,)
    line: list[str | Path] = [venv / "bin" / "uv", "pip", "install", "--quiet", "--python", python]
    for lock in locks:
        line += ["--requirement", root / lock]
    result = uv.run([*line, "--require-hashes"], runner=runner, cwd=root)
    if result.status:
        raise explain(result, "a locked requirement", where=" ".join(locks))


def works(venv: Path, runner: Runner) -> bool:
    """Whether a virtual environment's Python runs, is of a supported version, and has pip."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    try:
        result = runner.run([python, "-I", "-c", TELL], check=False)
    except (Fault, OSError):
        return False
    return result.status == 0 and int(result.stdout) in SUPPORTED


def stamp_text(root: Path) -> str:
    """What ./invoke compares: where the checkout is (a venv cannot be moved), and the locks."""
    return f"{root}\n" + "".join((root / name).read_text() for name in (UV_LOCK, TOOL_LOCK))


def ready(root: Path, python: str, *, node: bool, chosen: bool) -> bool:
    """Whether all is in place, as ./invoke sees it."""
    venv = root / ".venv"
    return (
        (venv / "bin" / "python").exists()
        and any(venv.glob("lib/python3.*/site-packages/invoke/__main__.py"))
        and read(venv / ".ready") == stamp_text(root)
        and (not node or read(venv / ".ready-node") == (root / NODE_LOCK).read_text())
        and (not chosen or read(venv / ".ready-python") == python)
    )


def write_stamps(root: Path, venv: Path, python: str, *, node: bool) -> None:
    """Note what was installed; the stamp that counts comes last."""
    (venv / ".ready-python").write_text(python)
    if node:
        (venv / ".ready-node").write_text((root / NODE_LOCK).read_text())
    fresh = venv / ".new"
    fresh.write_text(stamp_text(root))
    fresh.replace(venv / ".ready")


def read(path: Path) -> str | None:
    """A file's text, or None."""
    try:
        return path.read_text()
    except OSError:
        return None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the checkout's lock: on the folder itself, so that no file is left, and gone with its process."""
    handle = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another ./invoke that is making .venv")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def say(text: str) -> None:
    """Tell the person who waits; on standard error, since a task's output may be piped."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(argv: Sequence[str]) -> int:
    """Run for ./invoke; returns its exit status."""
    try:
        bootstrap(ROOT, node="--node" in argv, chosen="--chosen" in argv, runner=Subprocess())
    except Fault as fault:
        say(str(fault))
        return int(fault.status)
    except OSError as error:
        say(
            f".venv cannot be made: {error.strerror} [{error.filename or ROOT}]\n"
            "→ make room, or make it writable, and run ./invoke again"
        )
        return int(Exit.DISK)
    except KeyboardInterrupt:
        say("Interrupted; ./invoke starts anew next time")
        return int(Exit.INTERRUPTED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
