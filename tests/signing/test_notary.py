"""The notary's web client against the whole stand-in: every way a submission can end."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from errors import Exit, Fault
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.apple_behaviour import Behaviour
from release.rehearsal.apple_http import Request, Response, Server, as_json
from release.rehearsal.apple_review import Review
from release.rehearsal.apple_token import problem
from signing.notary import (
    ApiKey,
    Issue,
    LogPending,
    NotaryClient,
    NotaryFault,
    NotaryLog,
    Receipt,
    Submission,
    TicketContent,
    token,
    wait,
)
from signing.notary_cures import cure_for
from signing.notary_log import parse_log
from signing.web import Web
from tests.standins.clock import FakeClock

ROOT = Path(__file__).parents[2]
CDHASH = "ab" * 20


class Lenient:
    """A reviewer that accepts, unless told what to find."""

    def __init__(self, *issues: Issue) -> None:
        self.issues = issues
        self.seen: list[bytes] = []

    def review(self, upload: Path, name: str) -> Review:
        self.seen.append(upload.read_bytes())
        return Review(self.issues, (TicketContent(name, CDHASH),))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "An App 1.0.dmg"
    path.write_bytes(os.urandom(2_500_000))
    return path


@contextmanager
def standing(
    tmp_path: Path, *issues: Issue, **script: object
) -> Iterator[tuple[NotaryClient, AppleStandIn, FakeClock]]:
    clock = FakeClock()
    behaviour = Behaviour(**script)  # type: ignore[arg-type]
    reviewer = Lenient(*issues)
    with AppleStandIn(tmp_path / "apple", reviewer=reviewer, behaviour=behaviour, now=clock.now) as apple:
        yield client(apple, clock), apple, clock


def client(apple: AppleStandIn, clock: FakeClock, key: ApiKey | None = None) -> NotaryClient:
    return NotaryClient(apple.notary_url, key=key or apple.api_key, s3_endpoint=apple.s3_url, clock=clock)


def settle(notary: NotaryClient, id: str, clock: FakeClock, **options: object) -> NotaryLog:
    settings = {"timeout": 3600.0, "clock": clock, **options}
    return wait(notary, id, **settings)  # type: ignore[arg-type]


def test_accepted(tmp_path: Path, archive: Path) -> None:
    steps: list[tuple[int, int]] = []
    heard: list[str] = []
    with standing(tmp_path, polls=3) as (notary, apple, clock):
        receipt = notary.submit(archive, on_progress=lambda done, total: steps.append((done, total)))
        log = settle(notary, receipt.id, clock, sha256=receipt.sha256, on_status=heard.append)
        assert notary.history() == [
            Submission(receipt.id, archive.name, "Accepted", notary.history()[0].created)
        ]
        reviewer = apple._submissions._reviewer
        for thread in apple._submissions._reviews.values():
            thread.join()
        left = list((apple.state / "objects").iterdir())
    assert receipt.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert isinstance(reviewer, Lenient)
    assert reviewer.seen == [archive.read_bytes()]
    assert left == []  # a judged upload is of no more use
    assert log.status == "Accepted"
    assert log.contents == (TicketContent(archive.name, CDHASH),)
    assert log.raw["jobId"] == receipt.id
    assert steps[-1] == (2_500_000, 2_500_000)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert heard == ["In Progress"] * (len(heard) - 1) + ["Accepted"]
    assert len(heard) >= 4


def test_the_id_is_told_before_the_bytes_are_up(tmp_path: Path, archive: Path) -> None:
    told: list[Receipt] = []
    with standing(tmp_path, upload_errors=99) as (notary, _, _):
        with pytest.raises(Fault) as caught:
            notary.submit(archive, on_created=told.append)
        assert [each.id for each in notary.history()] == [told[0].id]
    assert caught.value.status is Exit.NETWORK


def test_no_proxy_between_the_machine_and_itself(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with standing(tmp_path) as (notary, _, clock):
        assert settle(notary, notary.submit(archive).id, clock).status == "Accepted"


def test_a_name_and_a_webhook_travel_along(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path) as (notary, apple, _):
        notary.webhook = "http://127.0.0.1:1/hook"
        id = notary.submit(archive, name="Other.dmg").id
        kept = json.loads((apple.state / "submissions" / f"{id}.json").read_text())
        apple._submissions.finish_reviews()
        assert notary.status(id) == "Accepted"  # nobody listens there, and the verdict stands all the same
    assert kept["webhooks"] == ["http://127.0.0.1:1/hook"]
    assert kept["name"] == "Other.dmg"


def test_the_webhook_is_called_when_all_is_decided(tmp_path: Path, archive: Path) -> None:
    heard: list[tuple[str, bytes]] = []

    def hear(request: Request) -> Response:
        heard.append((request.path, request.body()))
        return as_json({})

    server = Server(hear)
    with standing(tmp_path, polls=50) as (notary, apple, _):
        notary.webhook = f"{server.url}/hook?build=7"
        id = notary.submit(archive).id
        apple._submissions.finish_reviews()
        assert notary.status(id) == "Accepted"
        key = apple.signer.certificate.public_key()
    server.close()
    [(path, body)] = heard
    whole = json.loads(body)
    assert (path, set(whole)) == ("/hook", {"payload", "signature", "cert_chain"})
    payload = json.loads(whole["payload"])
    assert set(payload) == {"completed_time", "event", "start_time", "submission_id", "team_id"}
    assert (payload["event"], payload["submission_id"]) == ("processing-complete", id)
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(whole["signature"])
    key.verify(signature, whole["payload"].encode(), padding.PKCS1v15(), hashes.SHA256())


def test_one_that_stays_in_progress_is_announced_to_nobody(tmp_path: Path, archive: Path) -> None:
    heard: list[str] = []

    def hear(request: Request) -> Response:
        heard.append(request.path)
        return as_json({})

    server = Server(hear)
    with standing(tmp_path, verdict="In Progress") as (notary, apple, _):
        notary.webhook = f"{server.url}/hook"
        notary.submit(archive)
        apple._submissions.finish_reviews()
    server.close()
    assert heard == []


def test_one_that_is_stuck_is_told_with_its_age_and_what_to_do(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, polls=10**6) as (notary, _, clock):
        id, sent = notary.submit(archive).id, clock.now()
        with pytest.raises(NotaryFault) as early:
            settle(notary, id, clock, timeout=45 * 60.0, submitted=sent)
        for _ in range(3):  # three more machines, each with its own patience
            with pytest.raises(NotaryFault) as late:
                settle(notary, id, clock, timeout=45 * 60.0, submitted=sent)
        assert len(notary.history()) == 1  # nothing was sent again
    assert early.value.status is late.value.status is Exit.NOTARY_TIMEOUT
    assert "resubmit" not in (early.value.cure or "")
    assert "3 h 00 min after it was sent" in late.value.what
    assert "stuck" in (late.value.cure or "")
    assert "./invoke notarize.resume --resubmit" in (late.value.cure or "")


def test_three_issues_each_with_its_file_and_a_cure(tmp_path: Path, archive: Path) -> None:
    issues = (
        Issue("error", "A.app/Contents/MacOS/tool", "The binary is not signed.", "arm64"),
        Issue(
            "error",
            "A.app/Contents/Helpers/bun",
            "The executable does not have the hardened runtime enabled.",
        ),
        Issue("error", "A.app/Contents/lib.dylib", "The signature does not include a secure timestamp."),
    )
    with standing(tmp_path, *issues) as (notary, _, clock), pytest.raises(NotaryFault) as caught:
        settle(notary, notary.submit(archive).id, clock)
    assert caught.value.status is Exit.NOTARY_INVALID
    lines = caught.value.details[1:]
    assert len(lines) == 6
    for issue, said, cure in zip(issues, lines[::2], lines[1::2], strict=True):
        assert issue.path in said and issue.message in said
        assert cure.startswith("  → ")
    assert "--force sign" in lines[1] and "runtime flag" in lines[3] and "timestamp_url" in lines[5]


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("The binary is not signed with a valid Developer ID certificate.", "Developer ID Application"),
        ("The signature of the binary is invalid.", "changed after it was signed"),
        ("The executable requests the com.apple.security.get-task-allow entitlement.", "debugging"),
        ("The binary uses an SDK older than the 10.9 SDK.", "newer build"),
        ("The signature algorithm used is too weak.", "SHA-256"),
        ("Package x.dmg has no signed executables or bundles. No tickets can be generated.", "no code"),
        ("Team is not yet configured for notarization", "account holder"),
        ("Something new.", None),
    ],
)
def test_what_to_do_about_a_finding(message: str, cure: str | None) -> None:
    found = cure_for(message)
    assert found is None if cure is None else cure in (found or "")


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ({"verdict": "Rejected"}, Exit.NOTARY_REJECTED, "Rejected"),
        ({"verdict": "Confused"}, Exit.NOTARY_UNKNOWN, "'Confused'"),
        ({"verdict": "In Progress"}, Exit.NOTARY_TIMEOUT, "undecided after 3600 s"),
        ({"polls": 10**6}, Exit.NOTARY_TIMEOUT, "last heard: In Progress"),
    ],
)
def test_other_ends(
    tmp_path: Path, archive: Path, script: dict[str, object], status: Exit, said: str
) -> None:
    with standing(tmp_path, **script) as (notary, _, clock):
        id = notary.submit(archive).id
        with pytest.raises(NotaryFault) as caught:
            settle(notary, id, clock)
        assert len(notary.history()) == 1
    assert caught.value.status is status
    assert said in caught.value.what
    assert id in caught.value.what
    assert caught.value.cure


def test_a_timeout_says_how_to_go_on_and_the_last_question_comes_at_its_end(
    tmp_path: Path, archive: Path
) -> None:
    with standing(tmp_path, polls=10**6) as (notary, _, clock):
        id, start = notary.submit(archive).id, clock.now()
        with pytest.raises(NotaryFault) as caught:
            settle(notary, id, clock, timeout=100.0)
        assert clock.now() - start == pytest.approx(100.0)
    assert "./invoke notarize.resume" in (caught.value.cure or "")


def test_pauses_grow_from_five_seconds_to_a_minute(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, polls=10**6) as (notary, _, clock):
        id = notary.submit(archive).id
        clock.pauses.clear()
        with pytest.raises(NotaryFault):
            settle(notary, id, clock, timeout=600.0)
    assert clock.pauses[0] == 5.0
    assert max(clock.pauses) == 60.0
    assert clock.pauses[:-1] == sorted(clock.pauses[:-1])


def test_invalid_shows_the_issues(tmp_path: Path, archive: Path) -> None:
    issues = (
        Issue("error", "An App.app/Contents/MacOS/x", "It is unsigned.", "arm64", doc_url="docs/release.md"),
        Issue("warning", "An App.app", "It is ugly."),
    )
    with standing(tmp_path, *issues) as (notary, _, clock):
        id = notary.submit(archive).id
        with pytest.raises(NotaryFault) as caught:
            settle(notary, id, clock)
        assert notary.log(id).issues == issues
    assert caught.value.status is Exit.NOTARY_INVALID
    assert "error: An App.app/Contents/MacOS/x (arm64): It is unsigned. See docs/release.md" in str(
        caught.value
    )
    assert "warning: An App.app: It is ugly." in caught.value.details


def test_a_warning_does_not_refuse(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, Issue("warning", "a", "b")) as (notary, _, clock):
        assert settle(notary, notary.submit(archive).id, clock).issues == (Issue("warning", "a", "b"),)


def test_a_log_about_other_bytes_is_refused(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path) as (notary, _, clock):
        id = notary.submit(archive).id
        with pytest.raises(NotaryFault, match="other bytes") as caught:
            settle(notary, id, clock, sha256="0" * 64)
    assert caught.value.status is Exit.NOTARY_INVALID


def test_no_log_while_in_progress_nor_for_strangers(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, polls=10**6) as (notary, _, _):
        id = notary.submit(archive).id
        with pytest.raises(LogPending):
            notary.log(id)
        with pytest.raises(LogPending):
            notary.log("7e4ea45a-0000-4000-8000-000000000000")
        with pytest.raises(NotaryFault) as caught:
            notary.status("../../ca/root.key")
    assert caught.value.status is Exit.NOTARY_UNKNOWN


def test_a_log_that_lags_is_waited_for(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, log_lag=2) as (notary, _, clock):
        assert settle(notary, notary.submit(archive).id, clock).contents


def test_an_accepted_submission_needs_no_log(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, log_lag=99) as (notary, _, clock):
        log = settle(notary, notary.submit(archive).id, clock)
    assert (log.status, log.raw) == ("Accepted", {})


def test_passing_trouble_is_borne(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, errors=3, cuts=2, upload_errors=1, upload_cuts=1) as (notary, _, clock):
        receipt = notary.submit(archive)
        assert settle(notary, receipt.id, clock, sha256=receipt.sha256).status == "Accepted"
        assert len(notary.history()) == 1


def test_lasting_trouble_is_a_network_fault(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, errors=10**6) as (notary, _, _), pytest.raises(Fault) as caught:
        notary.submit(archive)
    assert caught.value.status is Exit.NETWORK
    assert "HTTP 503" in caught.value.what


def test_nobody_there(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path) as (notary, _, clock):
        id = notary.submit(archive).id
        notary.web = Web(notary.web.session, clock, attempts=2)
    with pytest.raises(Fault) as caught:
        notary.submit(archive)
    assert (caught.value.status, "refused" in caught.value.what) == (Exit.NETWORK, True)
    start = clock.now()
    with pytest.raises(NotaryFault) as late:
        settle(notary, id, clock, patience=300.0)
    assert late.value.status is Exit.NETWORK
    assert id in (late.value.cure or "")
    assert "notarize.resume" in (late.value.cure or "")
    assert 300 <= clock.now() - start < 600


def test_a_network_that_comes_back_is_enough(tmp_path: Path, archive: Path) -> None:
    class Flaky:
        def __init__(self, notary: NotaryClient) -> None:
            self.notary, self.left = notary, 5

        def status(self, id: str) -> str:
            self.left -= 1
            if self.left > 0:
                raise Fault("no answer", status=Exit.NETWORK)
            return self.notary.status(id)

        def __getattr__(self, name: str) -> object:
            return getattr(self.notary, name)

    heard: list[str] = []
    with standing(tmp_path) as (notary, _, clock):
        id = notary.submit(archive).id
        log = settle(Flaky(notary), id, clock, on_status=heard.append)  # type: ignore[arg-type]
    assert log.status == "Accepted"
    assert heard[:4] == ["no answer"] * 4


def test_a_wrong_key_is_an_auth_fault(tmp_path: Path, archive: Path) -> None:
    fresh = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with standing(tmp_path) as (_, apple, clock):
        wrong = [
            replace(apple.api_key, private_key_pem=fresh),
            replace(apple.api_key, key_id="ABCDEFGHIJ"),
            replace(apple.api_key, issuer="somebody else"),
        ]
        for key in wrong:
            with pytest.raises(NotaryFault) as caught:
                client(apple, clock, key).submit(archive)
            assert caught.value.status is Exit.NOTARY_AUTH
            assert any("clock" in line for line in caught.value.details)
            assert "PRIVATE" not in str(caught.value)
            assert "eyJ" not in str(caught.value)
    assert not list((tmp_path / "apple" / "submissions").glob("*.json"))


def test_an_unsigned_agreement_names_its_cure(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, agreement=True) as (notary, _, _), pytest.raises(NotaryFault) as caught:
        notary.submit(archive)
    assert caught.value.status is Exit.NOTARY_AUTH
    assert "agreement" in (caught.value.cure or "")


@pytest.mark.parametrize("pem", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_no_key_at_all(pem: bytes) -> None:
    with pytest.raises(NotaryFault) as caught:
        token(ApiKey("issuer", "KEY", pem), 0)
    assert caught.value.status is Exit.SECRET


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    with standing(tmp_path) as (_, apple, _):
        assert "PRIVATE" not in repr(apple.api_key)


def test_the_token_is_made_anew_while_waiting(tmp_path: Path, archive: Path) -> None:
    """Five hours of "In Progress" with a server that knows the time: no 401 in all that."""
    seen: set[str] = set()
    with standing(tmp_path, polls=250) as (notary, _, clock):
        send = notary.web.session.send

        def spy(request: object, **options: object) -> object:
            seen.add(request.headers.get("Authorization", ""))  # type: ignore[attr-defined]
            return send(request, **options)  # type: ignore[arg-type]

        notary.web.session.send = spy  # type: ignore[method-assign,assignment]
        id = notary.submit(archive).id
        assert settle(notary, id, clock, timeout=6 * 3600.0).status == "Accepted"
    assert len([each for each in seen if each.startswith("Bearer ")]) > 10


def test_a_token_is_short_lived(tmp_path: Path) -> None:
    with standing(tmp_path) as (_, apple, _):
        key = apple.api_key
    made = f"Bearer {token(key, 1000)}"
    assert problem(made, key, 1000) == ""
    assert problem(made, key, 1000 + 15 * 60 - 1) == ""
    assert "expired" in problem(made, key, 1000 + 15 * 60)
    assert "future" in problem(made, key, 800)
    assert "20 minutes" in problem(f"Bearer {token(key, 1000, life=1201)}", key, 1000)
    assert "bearer token" in problem(made[:-4] + "AAAA", key, 1000)
    assert "bearer token" in problem("", key, 1000)


def test_a_clock_far_off_is_refused(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path) as (_, apple, clock):
        ahead = FakeClock(start=clock.now() + 7200)
        with pytest.raises(NotaryFault) as caught:
            client(apple, ahead).submit(archive)
    assert caught.value.status is Exit.NOTARY_AUTH


def test_nothing_to_submit(tmp_path: Path) -> None:
    empty = tmp_path / "empty.dmg"
    empty.touch()
    with standing(tmp_path) as (notary, _, _):
        for path in (empty, tmp_path / "absent.dmg"):
            with pytest.raises(NotaryFault) as caught:
                notary.submit(path)
            assert caught.value.status is Exit.INPUT_MISSING
        assert notary.history() == []


def test_bytes_that_change_after_hashing_are_not_uploaded(tmp_path: Path, archive: Path) -> None:
    def spoil(receipt: Receipt) -> None:
        archive.write_bytes(b"x" * archive.stat().st_size)

    with standing(tmp_path) as (notary, apple, _):
        with pytest.raises(NotaryFault) as caught:
            notary.submit(archive, on_created=spoil)
        assert not [each for each in (apple.state / "objects").iterdir() if not each.name.startswith("tmp")]
    assert "XAmzContentSHA256Mismatch" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>log in</html>", "text/html"),
        Response(200, b"\xff\xfe"),
        as_json([]),
        as_json({}),
        as_json({"data": None}),
        as_json({"data": []}),
        as_json({"data": {"id": "x", "attributes": None}}),
        as_json({"data": {"id": "x", "attributes": {"status": "Accepted"}}}),
        as_json({"data": ["x"]}),
    ],
)
def test_answers_that_are_none(tmp_path: Path, archive: Path, answer: Response) -> None:
    with standing(tmp_path) as (_, apple, clock):
        key = apple.api_key
    server = Server(lambda request: answer)
    notary = NotaryClient(server.url, key=key, clock=clock)
    try:
        for call in (lambda: notary.submit(archive), lambda: notary.log("x")):
            with pytest.raises(NotaryFault, match="JSON") as caught:
                call()
            assert caught.value.status is Exit.NETWORK
    finally:
        server.close()


def test_an_odd_log_loses_nothing() -> None:
    log = parse_log({"issues": ["just text", {"severity": None}], "ticketContents": {"path": "x"}})
    assert [each.message for each in log.issues] == ["just text", ""]
    assert {each.severity for each in log.issues} == {"error"}
    assert parse_log({}) == NotaryLog("", "")


def test_what_killed_processes_left_is_swept_up(tmp_path: Path) -> None:
    objects = tmp_path / "apple" / "objects"
    (objects / ".review-old" / "root").mkdir(parents=True)
    for name in ("old", "new", ".review-old/root/file"):
        (objects / name).write_bytes(b"x")
    for name in ("old", ".review-old"):
        os.utime(objects / name, (0, 0))
    with standing(tmp_path):
        assert [each.name for each in objects.iterdir()] == ["new"]


CHILD = """
import os, sys, time
from pathlib import Path
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.apple_behaviour import Behaviour
from release.rehearsal.apple_http import Request, Response, Server, as_json
from release.rehearsal.apple_review import Review
from signing.notary import NotaryClient, wait
from signing.notary_log import TicketContent

class Reviewer:
    def review(self, upload, name):
        if sys.argv[2] == "slow":
            os.write(1, b"reviewing\\n")
            time.sleep(600)
        return Review((), (TicketContent(name, "ab" * 20),))

with AppleStandIn(Path(sys.argv[1]), reviewer=Reviewer(), behaviour=Behaviour(polls=1)) as apple:
    notary = NotaryClient(apple.notary_url, key=apple.api_key, s3_endpoint=apple.s3_url)
    id = sys.argv[4] or notary.submit(Path(sys.argv[3])).id
    os.write(1, id.encode() + b"\\n")
    print(wait(notary, id, timeout=60, first=0.05).status, flush=True)
"""


def child(state: Path, pace: str, archive: Path, id: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(state), pace, str(archive), id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_another_process_goes_on_by_id(tmp_path: Path, archive: Path) -> None:
    with standing(tmp_path, polls=10**6) as (notary, apple, _):
        id = notary.submit(archive).id
    done = child(apple.state, "quick", archive, id)
    assert done.communicate(timeout=60)[0].split("\n")[:2] == [id, "Accepted"]


def test_a_kill_during_the_review_loses_nothing(tmp_path: Path, archive: Path) -> None:
    killed = child(tmp_path / "apple", "slow", archive)
    assert killed.stdout is not None
    lines = {killed.stdout.readline().strip(), killed.stdout.readline().strip()}
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    (id,) = lines - {"reviewing"}
    with standing(tmp_path) as (notary, _, clock):
        assert settle(notary, id, clock).status == "Accepted"
        assert len(notary.history()) == 1


def test_many_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.dmg" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 100_000)
    done: list[tuple[str, str]] = []
    with standing(tmp_path) as (_, apple, clock):

        def one(path: Path) -> None:
            notary = client(apple, clock)
            receipt = notary.submit(path)
            done.append((path.name, settle(notary, receipt.id, clock, sha256=receipt.sha256).archive))

        threads = [threading.Thread(target=one, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == [(path.name, path.name) for path in paths]


def test_tokens_are_made_anew_while_an_hour_passes(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing(tmp_path, polls=10**6) as (notary, _, clock):
        id = notary.submit(archive).id
        with pytest.raises(NotaryFault) as caught:
            settle(notary, id, clock, timeout=3600.0)
        assert caught.value.status is Exit.NOTARY_TIMEOUT
        monkeypatch.setattr("signing.notary.TOKEN_REUSE", 10**9)
        with pytest.raises(NotaryFault) as refused:  # one token for an hour is not enough
            settle(notary, id, clock, timeout=3600.0)
        assert refused.value.status is Exit.NOTARY_AUTH
