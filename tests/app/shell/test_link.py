"""The messages themselves, and the server's end of the link."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from app.cursor.client import RunFailed
from app.cursor.frames import Status
from app.errors import AppError
from app.server.shelled import freshen
from app.shell import link, native
from app.shell.native import NativeShell

pytestmark = pytest.mark.anyio

FROM_SERVER: tuple[link.FromServer, ...] = (
    link.Listening("http://127.0.0.1:1"),
    link.Health("sdk_bridge_failed", "no „network“\n"),
    link.Page("http://127.0.0.1:1/app/"),
    link.Ask(3, "open_folder", "/tmp"),
)
FROM_SHELL: tuple[link.FromShell, ...] = (link.Answer(3, error="no"), link.Open("settings"), link.Woke())


def test_messages_are_lines_that_come_back_as_they_were() -> None:
    for sent in FROM_SERVER:
        assert link.encode(sent).count(b"\n") == 1
        assert link.from_server(link.encode(sent)) == sent
    for told in FROM_SHELL:
        assert link.from_shell(link.encode(told)) == told


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"hello\n", b"{}\n", b'{"type":"later"}\n', b'{"type":"ask","id":"x"}\n', b"\xff\n"]
)
def test_what_is_no_message_is_passed_over(line: bytes) -> None:
    assert link.from_server(line) is None
    assert link.from_shell(line) is None


@contextlib.asynccontextmanager
async def answering(answer: Callable[[link.Ask], link.Answer | None]) -> AsyncIterator[NativeShell]:
    """A shell whose other end answers so; None hangs up."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    their_reader, their_writer = await asyncio.open_connection(sock=theirs)
    shell = NativeShell()

    async def other_end() -> None:
        while line := await their_reader.readline():
            ask = link.from_server(line)
            assert isinstance(ask, link.Ask)
            given = answer(ask)
            if given is None:
                their_writer.close()
                return
            their_writer.write(link.encode(given))

    async def listen() -> None:
        async with shell.attached(writer):
            while line := await reader.readline():
                told = link.from_shell(line)
                assert isinstance(told, link.Answer)
                shell.take(told)

    tasks = [asyncio.create_task(other_end()), asyncio.create_task(listen())]
    await asyncio.sleep(0)
    try:
        yield shell
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        their_writer.close()


async def test_questions_get_their_own_answers() -> None:
    asked: list[link.Ask] = []

    def answer(ask: link.Ask) -> link.Answer:
        asked.append(ask)
        return link.Answer(ask.id, "needs approval" if "login" in ask.question else None)

    async with answering(answer) as shell:
        answers = await asyncio.gather(shell.login_item(), shell.set_login_item(True))
        assert set(answers) == {"needs approval"}
        await shell.check_for_updates()
        await shell.open_folder("/tmp")
        await shell.set_menu_bar_only(False)
        await shell.set_automatic_updates(True)
    assert [(ask.question, ask.value) for ask in asked] == [
        ("login_item", None),
        ("set_login_item", True),
        ("check_for_updates", None),
        ("open_folder", "/tmp"),
        ("set_menu_bar_only", False),
        ("set_automatic_updates", True),
    ]
    assert len({ask.id for ask in asked}) == len(asked)


async def test_refusals_and_strange_answers_are_errors_for_people() -> None:
    async with answering(lambda ask: link.Answer(ask.id, error="macOS refused")) as shell:
        with pytest.raises(AppError, match="macOS refused"):
            await shell.set_login_item(True)
    async with answering(lambda ask: link.Answer(ask.id, "perhaps")) as shell:
        with pytest.raises(AppError, match="not understood"):
            await shell.login_item()


async def test_a_shell_that_hangs_up_or_is_not_there_or_is_silent() -> None:
    async with answering(lambda ask: None) as shell:
        with pytest.raises(AppError, match="has ended"):
            await shell.login_item()
    with pytest.raises(AppError, match="do not run"):
        await NativeShell().login_item()


async def test_a_shell_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "PATIENCE", 0.05)
    async with answering(lambda ask: link.Answer(ask.id + 1)) as shell:
        with pytest.raises(AppError, match="did not answer"):
            await shell.login_item()


# -- after sleep -----------------------------------------------------------------------------------------


class SleepyBridge:
    """A bridge that says how it is, or does not."""

    def __init__(self, answer: Status | Exception) -> None:
        self.answer = answer
        self.restarts = 0

    async def status(self) -> Status:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def restart(self) -> None:
        self.restarts += 1


def how(running: int, parked: int) -> Status:
    return Status(1, running, parked, resting=3, stored=0, refusals={}, memory=0)


@pytest.mark.parametrize(
    ("answer", "restarts"),
    [
        (how(0, 0), 1),
        (how(1, 0), 0),
        (how(0, 1), 0),
        (RunFailed("bridge", "lost"), 1),
        (TimeoutError(), 1),
    ],
)
async def test_after_sleep_only_a_bridge_at_work_is_left_alone(
    answer: Status | Exception, restarts: int
) -> None:
    bridge = SleepyBridge(answer)
    await freshen(bridge)  # type: ignore[arg-type]
    assert bridge.restarts == restarts
