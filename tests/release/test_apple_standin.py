"""The stand-in for Apple: it refuses what Apple refuses, and knows only what was submitted to it."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import apple_platform
import pytest
import requests
from asn1crypto import core, tsp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from errors import Exit, Fault
from release.image.reader import DiskImage
from release.rehearsal import apple_examine as rules
from release.rehearsal import apple_tickets
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.apple_behaviour import Behaviour
from release.rehearsal.apple_examine import Examiner
from release.rehearsal.apple_review import Review
from release.rehearsal.apple_upload import BUCKET, Refused, check
from signing.notary import NotaryClient, NotaryFault, wait
from signing.plan import Item, plan_app
from signing.staple import read_ticket, staple_image
from signing.ticket import TicketFault, fetch_ticket, lookup, record_name
from signing.verify import verify_app, verify_image
from signing.web import Web
from tests.signing import machos
from tests.standins import signed
from tests.standins.clock import FakeClock

EPOCH = 1_767_323_045


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AppleStandIn, Path, Path, Path]]:
    """A serving stand-in, a folder, and in it a signed app and its signed image."""
    folder = tmp_path_factory.mktemp("world")
    with AppleStandIn(folder / "apple", epoch=EPOCH, behaviour=Behaviour(polls=0)) as apple:
        app = signed.app(folder, apple.timestamp_url)
        yield apple, folder, app, signed.image(folder, app, apple.timestamp_url)


World = tuple[AppleStandIn, Path, Path, Path]


def notary(apple: AppleStandIn) -> NotaryClient:
    return NotaryClient(apple.notary_url, key=apple.api_key, s3_endpoint=apple.s3_url)


# the whole way


def test_from_image_to_ticket(world: World, tmp_path: Path) -> None:
    apple, _, app, image = world
    receipt = notary(apple).submit(image)
    log = wait(notary(apple), receipt.id, timeout=60, first=0.05, sha256=receipt.sha256)
    report = verify_image(image).require()
    ticket = fetch_ticket(apple.ticket_url, record_name(report.cdhash, report.hash_type), clock=FakeClock())
    stapled = tmp_path / "stapled.dmg"
    staple_image(image, stapled, ticket)
    assert verify_image(stapled).require().cdhash == report.cdhash
    assert read_ticket(stapled) == ticket
    codes = {code.cdhash for each in verify_app(app).walk() for code in each.codes} | {report.cdhash}
    assert len(codes) >= 9
    assert {each.cdhash for each in log.contents} == codes
    assert set(apple_tickets.records(ticket, apple.signer)) == {f"2/2/{code}" for code in codes}
    for code in codes:
        assert lookup(apple.ticket_url, f"2/2/{code}", web=Web()) == ticket
    again = notary(apple).submit(stapled)  # a stapled image may be submitted once more
    assert wait(notary(apple), again.id, timeout=60, first=0.05).status == "Accepted"


def test_tickets_only_for_what_was_accepted(tmp_path: Path) -> None:
    with AppleStandIn(tmp_path / "apple", behaviour=Behaviour(polls=0)) as apple:
        app = signed.app(tmp_path, apple.timestamp_url)
        image = signed.image(tmp_path, app, apple.timestamp_url)
        refused = signed.image(tmp_path, app, None, name="NoTime.dmg")
        names = {path: record_name(verify_image(path).cdhash, 2) for path in (image, refused)}
        receipt = notary(apple).submit(refused)
        with pytest.raises(NotaryFault) as caught:
            wait(notary(apple), receipt.id, timeout=60, first=0.05)
        for record in names.values():
            assert lookup(apple.ticket_url, record, web=Web()) is None
        with pytest.raises(TicketFault):
            fetch_ticket(apple.ticket_url, names[image], clock=FakeClock())
    assert caught.value.status is Exit.NOTARY_INVALID
    assert rules.TIME_TEXT in str(caught.value)
    assert not (tmp_path / "apple" / "tickets").exists()


def test_the_same_code_gets_the_same_ticket(world: World) -> None:
    apple, _, _, image = world
    contents = Examiner().review(image, "Tiny.dmg").contents
    assert apple_tickets.make(contents, apple.signer) == apple_tickets.make(contents[::-1], apple.signer)
    ticket = bytearray(apple_tickets.make(contents, apple.signer))
    ticket[20] ^= 1
    for bad in (bytes(ticket), b"", b"s8ch", b"else" + bytes(ticket[4:])):
        with pytest.raises(ValueError, match=r"ticket|signature"):
            apple_tickets.records(bad, apple.signer)


# what is refused


def texts(review: Review) -> set[str]:
    return {issue.message for issue in review.issues}


def test_nothing_to_complain_of(world: World) -> None:
    review = Examiner().review(world[3], "Tiny.dmg")
    assert review.issues == ()
    assert review.contents[0].path == "Tiny.dmg"
    assert {"arm64", "x86_64"} <= {content.arch for content in review.contents}


def resigned(
    world: World, tmp_path: Path, change: Callable[[Item], Item], *, stamped: bool = True, **options: object
) -> Review:
    """The review of an image whose app was planned differently: `change` maps each item of the plan."""
    apple, *_ = world
    url = apple.timestamp_url if stamped else None
    raw, done = machos.app(tmp_path / "raw" / "Tiny.app"), tmp_path / "Tiny.app"
    plan = plan_app(raw, **options)  # type: ignore[arg-type]
    plan = replace(plan, items=tuple(change(item) for item in plan.items))
    signed.signer(tmp_path, url).sign_app(plan, raw, done)
    return Examiner().review(signed.image(tmp_path, done, apple.timestamp_url), "Tiny.dmg")


def same(item: Item) -> Item:
    return item


def test_no_hardened_runtime(world: World, tmp_path: Path) -> None:
    def without(item: Item) -> Item:
        return replace(item, flags=()) if item.path in ("Contents/Helpers/bun", "") else item

    review = resigned(world, tmp_path, without)
    assert [(each.path, each.message, each.architecture) for each in review.issues] == [
        ("Tiny.dmg/Tiny.app", rules.RUNTIME_TEXT, "arm64"),
        ("Tiny.dmg/Tiny.app/Contents/Helpers/bun", rules.RUNTIME_TEXT, "arm64"),
    ]
    assert not review.accepted


def test_a_library_needs_no_hardened_runtime(world: World, tmp_path: Path) -> None:
    def without(item: Item) -> Item:
        return replace(item, flags=()) if item.path.endswith((".dylib", ".so")) else item

    assert resigned(world, tmp_path, without).issues == ()


def test_no_timestamp(world: World, tmp_path: Path) -> None:
    review = resigned(world, tmp_path, same, stamped=False)
    assert texts(review) == {rules.TIME_TEXT}
    paths = [each.path for each in review.issues]
    assert "Tiny.dmg" not in paths
    assert "Tiny.dmg/Tiny.app/Contents/Frameworks/Sparkle.framework/Versions/B/Updater.app" in paths


def test_get_task_allow(world: World, tmp_path: Path) -> None:
    review = resigned(world, tmp_path, same, app_entitlements={"com.apple.security.get-task-allow": True})
    assert [(each.path, each.message) for each in review.issues] == [("Tiny.dmg/Tiny.app", rules.DEBUG_TEXT)]
    assert not review.accepted


def test_bun_without_jit_is_a_warning(world: World, tmp_path: Path) -> None:
    review = resigned(world, tmp_path, same, runtimes=())
    assert [(each.severity, each.path, each.message) for each in review.issues] == [
        ("warning", "Tiny.dmg/Tiny.app/Contents/Helpers/bun", rules.JIT_TEXT)
    ]
    assert review.accepted


def spoiled(world: World, tmp_path: Path, change: Callable[[Path], object]) -> Review:
    """The review of an image whose app was changed after signing."""
    apple, _, app, _ = world
    copy = shutil.copytree(app, tmp_path / "Tiny.app", symlinks=True)
    change(copy)
    return Examiner().review(signed.image(tmp_path, copy, apple.timestamp_url), "Tiny.dmg")


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        (
            lambda app: machos.write(app / "Contents/Helpers/bun", machos.macho()),
            "Contents/Helpers/bun",
            "is not signed",
        ),
        (
            lambda app: machos.write(app / "Contents/Helpers/new", machos.macho()),
            "Contents/Helpers/new",
            "is not signed",
        ),
        (
            lambda app: (app / "Contents/Resources/data.txt").write_text("else"),
            "Contents/Resources/data.txt",
            "",
        ),
        (
            lambda app: (app / "Contents/Resources/more.txt").write_text("new"),
            "Contents/Resources/more.txt",
            "",
        ),
        (lambda app: (app / "Contents/Resources/data.txt").unlink(), "Contents/Resources/data.txt", ""),
        (lambda app: flip(app / "Contents/MacOS/Tiny", 0x300), "", "changed after signing"),
        (lambda app: flip(app / "Contents/Frameworks/libtiny.3.dylib", 0x300), "Contents/Frameworks", ""),
        (lambda app: shutil.rmtree(app / "Contents/_CodeSignature"), "", "resource seal"),
    ],
    ids=["unsigned", "added code", "changed", "added", "removed", "main", "library", "no seal"],
)
def test_changes_after_signing(
    world: World, tmp_path: Path, change: Callable[[Path], object], path: str, said: str
) -> None:
    review = spoiled(world, tmp_path, change)
    assert not review.accepted
    prefix = f"Tiny.dmg/Tiny.app/{path}".rstrip("/")
    assert [each for each in review.issues if each.path.startswith(prefix) and said in each.message]
    assert texts(review).isdisjoint({rules.TIME_TEXT, rules.RUNTIME_TEXT, rules.FOREIGN_TEXT})


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_signed_ad_hoc_or_by_another_certificate(world: World, tmp_path: Path) -> None:
    apple, _, app, _ = world
    other = apple_platform.certificates.generate_self_signed("Somebody", profile="apple-development")
    other.write_pem_bundle(tmp_path / "other.pem")
    key = apple_platform.PemKey(files=[str(tmp_path / "other.pem")])
    signers = {
        rules.FOREIGN_TEXT: (apple_platform.Signer(pem=key), apple.timestamp_url),
        rules.ADHOC_TEXT: (None, "none"),
    }
    for text, (signer, url) in signers.items():
        copy = tmp_path / text[:6] / "Tiny.app"
        copy.parent.mkdir()
        apple_platform.sign(app, copy, signer=signer, timestamp_url=url)
        review = Examiner().review(signed.image(copy.parent, copy, apple.timestamp_url), "Tiny.dmg")
        assert not review.accepted
        assert text in texts(review)


def test_unsigned_and_damaged_images(world: World, tmp_path: Path) -> None:
    _, folder, _, image = world
    unsigned = Examiner().review(folder / "raw-Tiny.dmg", "Tiny.dmg")
    assert [(each.path, "is not signed" in each.message) for each in unsigned.issues] == [("Tiny.dmg", True)]
    with DiskImage.open(image) as disk:
        packed = disk.trailer.data_length
    for at in (0, packed // 2, packed - 1):
        damaged = Path(shutil.copy(image, tmp_path / f"{at}.dmg"))
        flip(damaged, at)
        review = Examiner().review(damaged, "Tiny.dmg")
        assert any("changed after signing" in text for text in texts(review))
        assert any("Damaged" in text for text in texts(review))
        assert not review.accepted


def test_all_is_said_at_once(world: World, tmp_path: Path) -> None:
    _, _, app, _ = world
    copy = shutil.copytree(app, tmp_path / "Tiny.app", symlinks=True)
    machos.write(copy / "Contents/Helpers/bun", machos.macho())
    signed.image(tmp_path, copy, None)
    review = Examiner().review(tmp_path / "raw-Tiny.dmg", "Tiny.dmg")
    assert {each.path for each in review.issues} >= {"Tiny.dmg", "Tiny.dmg/Tiny.app/Contents/Helpers/bun"}


def test_a_program_beside_the_app(world: World, tmp_path: Path) -> None:
    root = tmp_path / "Folder.app"  # an image's plan takes one thing: here a folder with a bare program
    shutil.copytree(world[2], root, symlinks=True)
    archive = zipped(tmp_path / "two.zip", {"Tiny.app": root})
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("tool", machos.macho())
    review = Examiner().review(archive, "two.zip")
    assert [(each.path, "is not signed" in each.message) for each in review.issues] == [
        ("two.zip/tool", True)
    ]


# other archives


def zipped(path: Path, folders: dict[str, Path]) -> Path:
    """A zip archive as ditto makes it: with modes and links."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, folder in folders.items():
            for each in sorted(folder.rglob("*")):
                info = zipfile.ZipInfo(f"{name}/{each.relative_to(folder).as_posix()}")
                info.external_attr = each.lstat().st_mode << 16
                if each.is_symlink():
                    archive.writestr(info, str(each.readlink()))
                elif each.is_file():
                    archive.writestr(info, each.read_bytes())
    return path


def test_a_zip_with_an_app(world: World, tmp_path: Path) -> None:
    apple, _, app, _ = world
    archive = zipped(tmp_path / "Tiny.zip", {"Tiny.app": app})
    receipt = notary(apple).submit(archive)
    log = wait(notary(apple), receipt.id, timeout=60, first=0.05)
    assert log.issues == ()
    assert log.contents[0].path == "Tiny.zip/Tiny.app"
    assert verify_app(app).cdhash in {each.cdhash for each in log.contents}


def test_zips_that_are_none(tmp_path: Path) -> None:
    def made(name: str, member: str, mode: int, data: str) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            info = zipfile.ZipInfo(member)
            info.external_attr = mode << 16
            archive.writestr(info, data)
        return tmp_path / name

    cases = {
        made("empty.zip", "readme.txt", 0o100644, "hello"): rules.EMPTY_TEXT,
        made("out.zip", "../evil", 0o100644, "x"): "outside of itself",
        made("root.zip", "/evil", 0o100644, "x"): "outside of itself",
    }
    broken = tmp_path / "broken.zip"
    broken.write_bytes(made("whole.zip", "a", 0o100644, "x" * 999).read_bytes()[:500])
    for path, said in {**cases, broken: "damaged"}.items():
        review = Examiner().review(path, path.name)
        assert not review.accepted
        assert said in "".join(texts(review))
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_a_zip_is_not_written_through(tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("out")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path / "target"))
        archive.writestr("out/evil", "x")
    assert not Examiner().review(path, "link.zip").accepted
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("head", "said"), [(b"xar!", rules.INSTALLER_TEXT), (b"\x7fELF", rules.KIND_TEXT), (b"", rules.KIND_TEXT)]
)
def test_other_files(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(head + bytes(600) if head else b"")
    assert texts(Examiner().review(path, "file")) == {said}


def test_a_reviewer_that_breaks_refuses(tmp_path: Path) -> None:
    class Broken:
        def review(self, upload: Path, name: str) -> Review:
            raise RuntimeError("out of luck")

    path = tmp_path / "a.dmg"
    path.write_bytes(b"x")
    with AppleStandIn(tmp_path / "apple", reviewer=Broken()) as apple:
        id = notary(apple).submit(path).id
        with pytest.raises(NotaryFault, match="out of luck"):
            wait(notary(apple), id, timeout=60, first=0.05)


# timestamps


def query(data: bytes, **more: object) -> bytes:
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(data).digest()}
    request = {"version": "v1", "message_imprint": imprint, "cert_req": True, **more}
    return bytes(tsp.TimeStampReq(request).dump())


def stamp(apple: AppleStandIn, body: bytes) -> tsp.TimeStampResp:
    response = requests.post(
        apple.timestamp_url, body, headers={"Content-Type": "application/timestamp-query"}, timeout=10
    )
    assert response.headers["Content-Type"] == "application/timestamp-reply"
    return tsp.TimeStampResp.load(response.content)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_agrees(world: World, tmp_path: Path) -> None:
    apple, *_ = world
    asked, answered = tmp_path / "q", tmp_path / "r"
    asked.write_bytes(query(b"hello", nonce=2**63 + 5))
    answered.write_bytes(stamp(apple, asked.read_bytes()).dump())
    root = apple.state / "ca" / "root.pem"
    command = ["openssl", "ts", "-verify", "-in", str(answered), "-CAfile", str(root)]
    done = subprocess.run([*command, "-queryfile", str(asked)], capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout, done.stderr
    asked.write_bytes(query(b"hello", nonce=7))
    done = subprocess.run([*command, "-queryfile", str(asked)], capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_a_stamp_says_what_was_asked(world: World) -> None:
    apple, *_ = world
    first, again, other = (stamp(apple, query(data, nonce=5)) for data in (b"a", b"a", b"b"))
    assert first.dump() == again.dump()
    infos = [
        each["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed for each in (first, other)
    ]
    assert [each["nonce"].native for each in infos] == [5, 5]
    assert infos[0]["gen_time"].native == datetime.fromtimestamp(EPOCH, UTC)
    assert infos[0]["serial_number"].native != infos[1]["serial_number"].native
    assert infos[0]["message_imprint"]["hashed_message"].native == hashlib.sha256(b"a").digest()


def test_queries_that_are_none(world: World) -> None:
    apple, *_ = world
    short = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"short"},
        }
    ).dump()
    for body, failure in [
        (b"", "bad_data_format"),
        (query(b"a")[:-3], "bad_data_format"),
        (short, "bad_alg"),
    ]:
        answer = requests.post(apple.timestamp_url, body, timeout=10).content
        status = tsp.PKIStatusInfo.load(core.Sequence.load(answer).contents)
        assert status["status"].native == "rejection"
        assert status["fail_info"].native == {failure}
    assert requests.get(apple.timestamp_url, timeout=10).status_code == 405


def test_signing_in_the_engine(world: World, tmp_path: Path) -> None:
    """The engine's random nonce makes every timestamped signature new; the code directory stays the same."""
    apple, *_ = world
    raw = signed.blank_image(tmp_path / "raw.dmg")
    made = []
    for name in ("one.dmg", "two.dmg"):
        signed.signer(tmp_path, apple.timestamp_url).sign_image(raw, tmp_path / name, identifier="x")
        made.append(verify_image(tmp_path / name).require())
    assert made[0].timestamped
    assert made[0].cdhash == made[1].cdhash
    assert made[0].codes[0].timestamp == datetime.fromtimestamp(EPOCH, UTC)
    assert (tmp_path / "one.dmg").read_bytes() != (tmp_path / "two.dmg").read_bytes()


def test_a_timestamp_server_in_trouble(tmp_path: Path) -> None:
    raw = signed.blank_image(tmp_path / "raw.dmg")
    with (
        AppleStandIn(tmp_path / "apple", behaviour=Behaviour(timestamp_errors=99)) as apple,
        pytest.raises(Fault),
    ):
        signed.signer(tmp_path, apple.timestamp_url).sign_image(raw, tmp_path / "out.dmg", identifier="x")
    assert not (tmp_path / "out.dmg").exists()


# the upload


@pytest.fixture
def leave(world: World) -> dict[str, str]:
    """Leave to upload: what the notary answers to a new submission."""
    apple, *_ = world
    body = {"submissionName": "x", "sha256": "0" * 64}
    data = notary(apple)._data("POST", "/submissions", dict, json=body)
    return {**data["attributes"], "id": data["id"]}


def put(
    apple: AppleStandIn, leave: dict[str, str], body: bytes = b"bytes", **change: str
) -> requests.Response:
    """PUT as the leave allows, but for what `change` says."""
    region = change.pop("region", "us-west-2")
    late = {**leave, **{name: value for name, value in change.items() if name in leave}}
    url = f"{apple.s3_url}/{change.get('bucket', BUCKET)}/{late['object'].replace(':', '%3A')}"
    request = AWSRequest("PUT", url, data=change.get("signed_body", "").encode() or body)
    credentials = Credentials(late["awsAccessKeyId"], late["awsSecretAccessKey"], late["awsSessionToken"])
    S3SigV4Auth(credentials, "s3", region).add_auth(request)
    headers = {**dict(request.headers), **{k: v for k, v in change.items() if k.startswith("X-")}}
    return requests.put(url, body, headers=headers, timeout=10)


def test_an_upload_as_it_should_be(world: World, leave: dict[str, str]) -> None:
    response = put(world[0], leave)
    assert response.status_code == 200
    assert response.headers["ETag"] == f'"{hashlib.md5(b"bytes").hexdigest()}"'
    assert put(world[0], leave, b"other bytes").status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"awsSecretAccessKey": "guess"}, "SignatureDoesNotMatch"),
        ({"awsAccessKeyId": "ASIASOMEBODYELSE"}, "InvalidAccessKeyId"),
        ({"awsSessionToken": "stolen"}, "InvalidToken"),
        ({"object": "rehearsal/ABC:1/7e4ea45a-0000-4000-8000-000000000000"}, "InvalidAccessKeyId"),
        ({"object": "rehearsal/..%2F..%2Fca%2Froot.key"}, "InvalidAccessKeyId"),
        ({"bucket": "another"}, "AccessDenied"),
        ({"region": "eu-north-1"}, "AuthorizationHeaderMalformed"),
        ({"signed_body": "what was signed"}, "XAmzContentSHA256Mismatch"),
        ({"X-Amz-Date": "20200101T000000Z"}, "RequestTimeTooSkewed"),
        ({"X-Amz-Content-SHA256": "0" * 64}, "SignatureDoesNotMatch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_uploads_that_are_refused(
    world: World, leave: dict[str, str], change: dict[str, str], code: str
) -> None:
    response = put(world[0], leave, b"bytes", **change)
    assert f"<Code>{code}</Code>" in response.text
    assert 400 <= response.status_code < 404
    record = json.loads((world[0].state / "submissions" / f"{leave['id']}.json").read_text())
    assert record["uploaded"] is None


def test_a_large_upload_is_refused_with_an_answer(world: World, leave: dict[str, str]) -> None:
    """Not with a connection that breaks while the client is still sending, nor one with half a body left."""
    apple, *_ = world
    with requests.Session() as session:
        body = bytes(20_000_000)
        url = f"{apple.s3_url}/{BUCKET}/{leave['object'].replace(':', '%3A')}"
        for _ in range(3):
            assert session.put(url, body, timeout=10).status_code == 403
            assert session.get(apple.url + "/else", timeout=10).status_code == 404


def test_other_bytes_than_announced_are_invalid(world: World, leave: dict[str, str]) -> None:
    put(world[0], leave)
    with pytest.raises(NotaryFault, match="SHA-256 is not the one") as caught:
        wait(notary(world[0]), leave["id"], timeout=60, first=0.05)
    assert caught.value.status is Exit.NOTARY_INVALID


def test_leave_ends_after_twelve_hours(world: World, leave: dict[str, str]) -> None:
    apple, *_ = world
    grant = apple._submissions.grant(leave["object"])
    assert grant is not None
    seen: list[object] = []
    real = apple._uploads.answer
    apple._uploads.answer = lambda request, path: seen.append(request) or real(request, path)  # type: ignore
    try:
        put(apple, leave)
    finally:
        apple._uploads.answer = real  # type: ignore[method-assign]
    (request,) = seen
    check(request, grant, grant.expires - 12 * 3600 + 60)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="twelve hours"):
        check(request, grant, grant.expires + 1)  # type: ignore[arg-type]


# the rest


def test_unsigned_requests_get_nowhere(world: World) -> None:
    apple, *_ = world
    url = f"{apple.notary_url}/submissions"
    for response in (requests.get(url, timeout=10), requests.post(url, json={}, timeout=10)):
        assert response.status_code == 401
        (error,) = response.json()["errors"]
        assert (error["status"], error["code"]) == ("401", "NOT_AUTHORIZED")
    assert requests.get(apple.url + "/else", timeout=10).status_code == 404
    assert requests.delete(url, timeout=10).status_code == 501


@pytest.mark.parametrize(
    "body", [{}, {"sha256": "0" * 64}, {"submissionName": "x", "sha256": "ABC"}, [], {"notifications": 5}]
)
def test_submissions_that_are_none(world: World, body: object) -> None:
    with pytest.raises(NotaryFault) as caught:
        notary(world[0])._data("POST", "/submissions", dict, json=body)
    assert caught.value.status is Exit.NOTARY_REJECTED
    assert "ENTITY_ERROR" in str(caught.value)


def test_the_last_hundred_newest_first(tmp_path: Path) -> None:
    clock = FakeClock()
    with AppleStandIn(tmp_path / "apple", now=clock.now) as apple:
        client = NotaryClient(apple.notary_url, key=apple.api_key, clock=clock)
        for number in range(103):
            clock.sleep(1)
            body = {"submissionName": str(number), "sha256": "0" * 64}
            client._data("POST", "/submissions", dict, json=body)
        listed = [each.name for each in client.history()]
    assert listed == [str(number) for number in range(102, 2, -1)]


def test_state_is_private_and_made_once(tmp_path: Path) -> None:
    made: list[tuple[bytes, int]] = []

    def make() -> None:
        apple = AppleStandIn(tmp_path / "apple")
        made.append((apple.api_key.private_key_pem, apple.signer.certificate.serial_number))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    files = [path for path in (tmp_path / "apple").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_scripts_are_read_from_text() -> None:
    assert Behaviour.parse("") == Behaviour()
    assert Behaviour.parse("polls=3, verdict=In Progress,agreement") == Behaviour(
        polls=3, verdict="In Progress", agreement=True
    )
    for bad in ("poll=3", "polls", "polls=many", "agreement=perhaps"):
        with pytest.raises(Fault) as caught:
            Behaviour.parse(bad)
        assert caught.value.status is Exit.USAGE
        assert "ticket_lag" in (caught.value.cure or "")
