"""notarytool: exact command lines, answers on either stream, texts that decide instead of exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands import Result
from errors import Exit, Fault
from signing.notary import LogPending, NotaryFault, Submission, digest, wait
from signing.notarytool import (
    KeychainProfile,
    KeyFile,
    Notarytool,
    answer_in,
    store,
)
from tests.standins.clock import FakeClock
from tests.standins.commands import Recorder

ID = "40140300-4014-4030-8401-403401403401"
PROFILE = KeychainProfile("release")
TOOL = ("xcrun", "notarytool")
END = ("--keychain-profile", "release", "--output-format", "json")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "App.dmg"
    path.write_bytes(b"disk image")
    return path


def said(*answers: object, status: int = 0, stream: str = "stdout") -> Callable[[tuple[str, ...]], Result]:
    """Answer calls one after the other; the last answer goes on for ever. Text goes out as it is."""
    left = list(answers)

    def reply(argv: tuple[str, ...]) -> Result:
        answer = left.pop(0) if len(left) > 1 else left[0]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Result(argv, status, **{stream: text.encode()})

    return reply


def tool(recorder: Recorder, **options: object) -> Notarytool:
    settings = {"credentials": PROFILE, "clock": FakeClock(), **options}
    return Notarytool(recorder, **settings)  # type: ignore[arg-type]


def test_submit(image: Path) -> None:
    recorder = Recorder(said({"id": ID, "path": str(image), "message": "Successfully uploaded file"}))
    created: list[object] = []
    receipt = tool(recorder).submit(image, on_created=created.append)
    assert receipt == (ID, digest(image))
    assert created == [receipt]
    assert recorder.calls == [(*TOOL, "submit", str(image), "--no-wait", "--no-progress", *END)]


def test_a_webhook_goes_along(image: Path) -> None:
    recorder = Recorder(said({"id": ID}))
    tool(recorder, webhook="https://example.test/hook").submit(image)
    assert recorder.calls[0][4:8] == (
        "--no-wait",
        "--no-progress",
        "--webhook",
        "https://example.test/hook",
    )


def test_info_log_and_history() -> None:
    history = {"history": [{"id": ID, "name": "App.dmg", "status": "Accepted", "createdDate": "2026-01-01"}]}
    log = {"jobId": ID, "status": "Accepted", "issues": None, "ticketContents": None}
    recorder = Recorder(said({"id": ID, "status": "In Progress"}, log, history))
    notary = tool(recorder)
    assert notary.status(ID) == "In Progress"
    assert notary.log(ID).job_id == ID
    assert notary.history() == [Submission(ID, "App.dmg", "Accepted", "2026-01-01")]
    assert recorder.calls == [
        (*TOOL, "info", ID, *END),
        (*TOOL, "log", ID, *END),
        (*TOOL, "history", *END),
    ]


@pytest.mark.parametrize(
    ("credentials", "arguments"),
    [
        (KeychainProfile("p", Path("/k.keychain")), ("--keychain-profile", "p", "--keychain", "/k.keychain")),
        (
            KeyFile(Path("/key.p8"), "KEYID", "issuer"),
            ("--key", "/key.p8", "--key-id", "KEYID", "--issuer", "issuer"),
        ),
        (KeyFile(Path("/key.p8"), "KEYID"), ("--key", "/key.p8", "--key-id", "KEYID")),
    ],
)
def test_credentials(credentials: KeychainProfile | KeyFile, arguments: tuple[str, ...]) -> None:
    recorder = Recorder(said({"status": "Accepted"}))
    tool(recorder, credentials=credentials).status(ID)
    assert recorder.calls == [(*TOOL, "info", ID, *arguments, "--output-format", "json")]


def test_an_apple_ids_password_goes_to_the_prompt_and_becomes_a_profile() -> None:
    keychain = Path("/tmp/k.keychain-db")
    recorder = Recorder(
        lambda argv: Result(argv, 0, b"Validating your credentials...\nCredentials saved to Keychain.\n")
    )
    kept = store(
        "here", "a@example.test", "TEAM", "secret-word", runner=recorder, keychain=keychain, clock=FakeClock()
    )
    assert kept == KeychainProfile("here", keychain)
    names = ("--apple-id", "a@example.test", "--team-id", "TEAM", "--keychain", str(keychain))
    assert recorder.calls == [("xcrun", "notarytool", "store-credentials", "here", *names)]
    assert recorder.stdins == [b"secret-word\n"]
    assert recorder.environments == [None]


def test_a_wrong_password_is_said_once() -> None:
    recorder = Recorder(
        lambda argv: Result(argv, 1, stderr=b"Error: HTTP status code: 401. Invalid credentials.\n")
    )
    with pytest.raises(Fault, match="store-credentials") as caught:
        store("p", "a@b.test", "T", "wrong-word", runner=recorder, keychain=Path("/k"), clock=FakeClock())
    assert caught.value.status == Exit.NOTARY_AUTH and len(recorder.calls) == 1
    assert "wrong-word" not in str(caught.value)


def test_a_lost_connection_while_storing_is_tried_again() -> None:
    answers = [
        Result((), 1, stderr=b"Error: the network connection was lost"),
        Result((), 0, b"Credentials saved"),
    ]
    recorder = Recorder(lambda argv: answers.pop(0))
    clock = FakeClock()
    store("p", "a@b.test", "T", "secret-word", runner=recorder, keychain=Path("/k"), clock=clock)
    assert len(recorder.calls) == 2
    failing = Recorder(lambda argv: Result(argv, 1, stderr=b"Error: the network connection was lost"))
    with pytest.raises(Fault) as caught:
        store("p", "a@b.test", "T", "secret-word", runner=failing, keychain=Path("/k"), clock=clock)
    assert caught.value.status == Exit.NETWORK and len(failing.calls) == 3


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("status", [0, 1, 69])
def test_the_text_decides(stream: str, status: int) -> None:
    recorder = Recorder(said({"id": ID, "status": "Invalid"}, status=status, stream=stream))
    assert tool(recorder).status(ID) == "Invalid"
    assert len(recorder.calls) == 1


def test_json_among_other_lines() -> None:
    result = Result(
        (), 0, b'Conducting {pre-submission} checks\n{"id": "a"}\n{"id": "b"} done\n', b'{"x": 1}'
    )
    assert answer_in(result) == {"id": "b"}
    assert answer_in(Result((), 0, b"{broken", b"[1, {}]")) == {}


def test_one_lost_answer_is_asked_again() -> None:
    recorder = Recorder(said("Error: The operation timed out.", {"status": "Accepted"}))
    clock = FakeClock()
    assert tool(recorder, clock=clock).status(ID) == "Accepted"
    assert len(recorder.calls) == 2
    assert clock.pauses == [10.0]


def test_two_lost_answers_are_a_network_fault() -> None:
    recorder = Recorder(said("Error: The Internet connection appears to be offline.", status=1))
    with pytest.raises(NotaryFault) as caught:
        tool(recorder).status(ID)
    assert caught.value.status is Exit.NETWORK
    assert "offline" in str(caught.value)
    assert len(recorder.calls) == 2


def test_a_program_that_does_not_finish_is_asked_again() -> None:
    late = Fault("xcrun did not finish in 180 s")
    answers: list[object] = [late, {"status": "Accepted"}]

    def reply(argv: tuple[str, ...]) -> Result:
        answer = answers.pop(0)
        if isinstance(answer, Fault):
            raise answer
        return Result(argv, 0, json.dumps(answer).encode())

    assert tool(Recorder(reply)).status(ID) == "Accepted"


def test_without_xcode_it_says_so() -> None:
    def reply(argv: tuple[str, ...]) -> Result:
        raise Fault("xcrun is needed and not installed", status=Exit.TOOL)

    with pytest.raises(Fault) as caught:
        tool(Recorder(reply)).status(ID)
    assert caught.value.status is Exit.TOOL


@pytest.mark.parametrize(
    "text",
    [
        "Error: HTTP status code: 401. Invalid credentials. Username or password is incorrect.",
        "Error: HTTP status code: 403. A required agreement is missing or has expired.",
        "Error: No Keychain password item found for profile: release",
    ],
)
def test_refused_credentials(text: str) -> None:
    recorder = Recorder(said(text, status=1, stream="stderr"))
    with pytest.raises(NotaryFault) as caught:
        tool(recorder).status(ID)
    assert caught.value.status is Exit.NOTARY_AUTH
    assert "store-credentials" in (caught.value.cure or "")
    assert len(recorder.calls) == 1


def test_an_id_full_of_401_is_no_refusal() -> None:
    recorder = Recorder(said({"id": ID, "message": "nothing else"}))
    with pytest.raises(NotaryFault) as caught:
        tool(recorder).status(ID)
    assert caught.value.status is Exit.NETWORK


def test_an_unknown_submission() -> None:
    text = f"Submission {ID} does not exist or does not belong to your team."
    with pytest.raises(NotaryFault) as caught:
        tool(Recorder(said({"message": text, "id": ID}))).status(ID)
    assert caught.value.status is Exit.NOTARY_UNKNOWN


def test_a_log_that_is_not_there_yet() -> None:
    text = "Submission log is not yet available or submissionId does not exist"
    with pytest.raises(LogPending):
        tool(Recorder(said(text, status=69, stream="stderr"))).log(ID)


def test_an_upload_that_broke_off(image: Path) -> None:
    recorder = Recorder(said({"id": ID, "message": "Upload failed: connection reset"}))
    with pytest.raises(NotaryFault) as caught:
        tool(recorder).submit(image)
    assert caught.value.status is Exit.NETWORK
    assert len(recorder.calls) == 1


def entry(name: str, created: float) -> dict[str, str]:
    date = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    return {"id": ID, "name": name, "status": "In Progress", "createdDate": date}


def test_a_submit_without_an_answer_is_looked_up_not_repeated(image: Path) -> None:
    clock = FakeClock()
    history = {"history": [entry("Other.dmg", clock.now()), entry("App.dmg", clock.now() + 2)]}
    recorder = Recorder(said("Error: timed out", history, status=1))
    assert tool(recorder, clock=clock).submit(image).id == ID
    assert [call[2] for call in recorder.calls] == ["submit", "history"]


def test_an_older_submission_of_the_same_name_is_not_taken_for_it(image: Path) -> None:
    clock = FakeClock()
    history = {"history": [entry("App.dmg", clock.now() - 3600)]}
    recorder = Recorder(said("Error: timed out", history, status=1))
    with pytest.raises(NotaryFault) as caught:
        tool(recorder, clock=clock).submit(image)
    assert caught.value.status is Exit.NETWORK
    assert [call[2] for call in recorder.calls] == ["submit", "history"]


def test_waiting_is_the_same_as_over_the_web(image: Path) -> None:
    issue = {"severity": "error", "path": "App.dmg/App.app", "message": "No.", "architecture": "arm64"}
    log = {"jobId": ID, "status": "Invalid", "statusSummary": "Errors", "issues": [issue]}
    pending = "Submission log is not yet available or submissionId does not exist"
    recorder = Recorder(
        said({"status": "In Progress"}, {"status": "In Progress"}, {"status": "Invalid"}, pending, log)
    )
    clock = FakeClock()
    with pytest.raises(NotaryFault) as caught:
        wait(tool(recorder, clock=clock), ID, timeout=3600, clock=clock)
    assert caught.value.status is Exit.NOTARY_INVALID
    assert caught.value.details == ("Errors", "error: App.dmg/App.app (arm64): No.")
    assert [call[2] for call in recorder.calls] == ["info", "info", "info", "log", "log"]
