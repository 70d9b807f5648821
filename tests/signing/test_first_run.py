"""The signed runtime is run once: what is asked of it, and what is said when macOS ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Result, Subprocess
from errors import Exit, Fault
from release import config as configuration
from release.inputs import Cache, bun, parse
from signing import entitlements
from signing.first_run import WARM, ending, run_bun
from tests.standins.commands import Recorder

ROOT = Path(__file__).resolve().parents[2]
BUN = Path("/x/App.app/Contents/Helpers/bun")


def test_a_version_and_a_loop_that_gets_compiled() -> None:
    runner = Recorder(lambda argv: Result(argv, 0, b"1.4.5\n"))
    assert run_bun(BUN, entitlements.JIT, runner=runner) == "1.4.5"
    assert runner.calls == [(str(BUN), "--version"), (str(BUN), "-e", WARM)]
    for environment in runner.environments:
        assert environment is not None
        assert set(environment) == {"HOME", "TMPDIR", "PATH"} and environment["HOME"] != str(Path.home())


@pytest.mark.parametrize(
    ("status", "said"),
    [(-5, "SIGTRAP"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal 99"), (3, "status 3")],
)
def test_how_it_ended_is_said(status: int, said: str) -> None:
    assert said in ending(status)


@pytest.mark.parametrize("lost", sorted(entitlements.JIT))
def test_a_trap_names_the_entitlement_that_is_missing(lost: str) -> None:
    granted = {name: True for name in entitlements.JIT if name != lost}
    runner = Recorder(lambda argv: Result(argv, -5 if "-e" in argv else 0, b"", b"panic: JIT\n"))
    with pytest.raises(Fault, match="does not run: it was ended by SIGTRAP") as caught:
        run_bun(BUN, granted, runner=runner)
    assert caught.value.status == Exit.SIGN
    assert f"sign it with {lost} (" in str(caught.value.cure)
    assert caught.value.details == ("panic: JIT",)


def test_one_that_is_killed_at_once_has_a_bad_signature() -> None:
    runner = Recorder(lambda argv: Result(argv, -9))
    with pytest.raises(Fault, match="SIGKILL") as caught:
        run_bun(BUN, entitlements.JIT, runner=runner)
    assert "codesign --verify --strict" in str(caught.value.cure) and len(runner.calls) == 1
    with pytest.raises(Fault) as caught:
        run_bun(BUN, entitlements.JIT, runner=Recorder(lambda argv: Result(argv, -11)))
    assert "it has all entitlements" in str(caught.value.cure)


@pytest.mark.release
def test_a_real_bun_does_what_it_is_asked() -> None:
    pins = parse(configuration.load(ROOT).inputs)
    program = bun(Cache(), pins, "host", runner=Subprocess())
    assert run_bun(program, entitlements.JIT, runner=Subprocess()) == pins["bun-linux-x86_64"].version
