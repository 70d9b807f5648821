"""All checks are made, whatever any of them does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from errors import Exit, Fault
from release.doctor.check import Check, Diagnosis, NotChecked, Warn, examine
from signing.secrets import remember


def fails() -> str:
    raise Fault("it is gone", where="here", details=(" M a", "b"), cure="fetch it", status=Exit.TOOL)


def skips() -> str:
    raise NotChecked("only a Mac can")


def breaks() -> str:
    raise KeyError("a mistake")


def cut_off() -> str:
    raise ConnectionResetError(104, "Connection reset by peer")


def check(make: Callable[[], str | Warn], name: str = "x", **more: object) -> Check:
    return Check("group", name, make, **more)  # type: ignore[arg-type]


def test_what_becomes_of_each() -> None:
    made = (lambda: "fine", lambda: Warn("soon", "do it"), skips, fails, breaks, cut_off)
    good, warns, skipped, failed, broken, cut = examine([check(one) for one in made])
    assert (good.ok, good.detail, good.cure, good.warns) == (True, "fine", "", False)
    assert (warns.ok, warns.cure, warns.warns) == (True, "do it", True)
    assert (skipped.ok, skipped.detail) == (None, "only a Mac can")
    assert (failed.ok, failed.detail, failed.cure, failed.status) == (
        False, "it is gone [here]; M a; b", "fetch it", Exit.TOOL,
    )  # fmt: skip
    assert broken.ok is False and "the check itself failed: KeyError" in broken.detail
    assert cut.ok is False and "Connection reset by peer" in cut.detail


def test_secrets_in_what_is_said_are_masked() -> None:
    remember("a-very-secret-value")

    def tells() -> str:
        raise Fault("refused a-very-secret-value", cure="not a-very-secret-value")

    (one,) = examine([check(tells)])
    assert "very-secret" not in repr(one)


def test_those_who_ask_others_go_side_by_side_and_keep_their_order() -> None:
    together = threading.Barrier(3, timeout=10)
    order: list[str] = []

    def waits() -> str:
        together.wait()
        return "met"

    def notes(name: str) -> Callable[[], str]:
        def make() -> str:
            order.append(name)
            return name

        return make

    checks = [
        check(notes("after"), "after", phase="after"),
        *(check(waits, str(number), phase="asks") for number in range(3)),
        check(notes("here"), "here"),
    ]
    found = examine(checks)
    assert [one.name for one in found] == ["after", "0", "1", "2", "here"]
    assert all(one.ok for one in found)
    assert order == ["here", "after"]


def test_one_that_hangs_is_given_up_and_the_others_are_made() -> None:
    forever = threading.Event()
    began = time.monotonic()
    hangs = check(lambda: str(forever.wait(60)), "hangs", phase="asks", limit=0.2)
    late, fine = examine([hangs, check(lambda: "fine", phase="asks")])
    assert time.monotonic() - began < 30  # and not the minute
    forever.set()
    assert (late.ok, late.detail, late.status) == (False, "no answer within 0.2 s", Exit.NETWORK)
    assert fine.ok


def test_what_wants_a_secret_that_is_missing_is_not_made() -> None:
    wants = check(breaks, wants=("a.key", "b.key"))
    (one,) = examine([wants], {"a.key", "b.key", "c.key"})
    assert (one.ok, one.detail) == (None, "a.key, b.key are missing")


def test_the_status_is_that_of_the_first_failure() -> None:
    def other() -> str:
        raise Fault("other", status=Exit.GIT)

    found = Diagnosis("production", examine([check(lambda: "fine"), check(other), check(fails)]))
    assert found.status == Exit.GIT
    with pytest.raises(Fault) as caught:
        found.require()
    assert caught.value.status == Exit.GIT
    assert "2 checks failed" in caught.value.what and "it is gone" in str(caught.value)
    assert "./invoke doctor --profile production" in str(caught.value)
    alone = Diagnosis("production", examine([check(fails)]))
    with pytest.raises(Fault, match="it is gone") as caught:
        alone.require()
    assert caught.value.cure == "fetch it"
    assert Diagnosis("production", examine([check(skips)])).require().status == Exit.OK
