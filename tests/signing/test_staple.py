"""Tickets: their names, where they come from, and the stapler that puts them in."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from errors import Exit, Fault
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.apple_behaviour import Behaviour
from release.rehearsal.apple_http import Request, Response, Server, as_json
from release.rehearsal.apple_review import Review
from signing import superblob
from signing.notary_log import TicketContent
from signing.staple import StapleFault, pack, read_ticket, staple_app, staple_image
from signing.ticket import TicketFault, fetch_ticket, record_name
from signing.verify import verify_app, verify_image
from signing.web import Web
from tests.standins import signed
from tests.standins.clock import FakeClock

CDHASH = "0123456789abcdef0123456789abcdef01234567"
RECORD = f"2/2/{CDHASH}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    raw, done = signed.blank_image(folder / "raw.dmg"), folder / "signed.dmg"
    signed.signer(folder, None).sign_image(raw, done, identifier="blank")
    done.chmod(0o640)
    return done


def test_a_stapled_image_still_holds(image: Path, tmp_path: Path) -> None:
    dst, ticket = tmp_path / "stapled.dmg", os.urandom(3001)
    staple_image(image, dst, ticket)
    before, after = verify_image(image, exact=True).require(), verify_image(dst, exact=True).require()
    assert after.cdhash == before.cdhash
    assert (read_ticket(image), read_ticket(dst)) == (None, ticket)
    assert dst.stat().st_size == image.stat().st_size + len(ticket) + 8 + 8
    assert dst.stat().st_mode == image.stat().st_mode
    assert [each.name for each in tmp_path.iterdir()] == ["stapled.dmg"]


def test_only_the_signature_and_two_numbers_change(image: Path, tmp_path: Path) -> None:
    dst = tmp_path / "stapled.dmg"
    staple_image(image, dst, b"ticket")
    old, new = image.read_bytes(), dst.read_bytes()
    start = int.from_bytes(old[-512 + 0x128 : -512 + 0x130], "big")
    assert new[:start] == old[:start]
    assert new[-512:-384] == old[-512:-384]
    changed = [at for at in range(512) if new[at - 512] != old[at - 512]]
    assert set(changed) <= set(range(0x130, 0x138))


@pytest.mark.parametrize("second", [b"", b"longer than the first one", b"short"])
def test_a_newer_ticket_takes_the_older_ones_place(image: Path, tmp_path: Path, second: bytes) -> None:
    dst, again, direct = (tmp_path / name for name in ("one.dmg", "two.dmg", "direct.dmg"))
    staple_image(image, dst, b"the first one")
    staple_image(dst, again, second)
    staple_image(image, direct, second)
    assert again.read_bytes() == direct.read_bytes()
    assert read_ticket(again) == second
    assert verify_image(again, exact=True).ok


def test_stapling_in_place(image: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(image, tmp_path))
    staple_image(path, path, b"ticket")
    staple_image(path, path, b"ticket")
    assert read_ticket(path) == b"ticket"
    assert verify_image(path).ok


def test_what_is_stapled_cannot_be_tampered_with(image: Path, tmp_path: Path) -> None:
    dst = tmp_path / "stapled.dmg"
    staple_image(image, dst, b"ticket")
    data = bytearray(dst.read_bytes())
    data[100] ^= 1
    dst.write_bytes(data)
    assert not verify_image(dst).ok


def test_what_cannot_be_stapled(image: Path, tmp_path: Path) -> None:
    raw = signed.blank_image(tmp_path / "raw.dmg")
    whole = image.read_bytes()
    bad = {
        "not signed": raw.read_bytes(),
        "trailer is missing": b"koly" * 99,
        "trailer is missing ": b"",
        "at its end": whole[:-512] + b"more" + whole[-512:],
        "magic": _zeroed(whole),
    }
    for said, data in bad.items():
        raw.write_bytes(data)
        with pytest.raises(StapleFault, match=said.strip()) as caught:
            staple_image(raw, tmp_path / "out.dmg", b"ticket")
        assert caught.value.status is Exit.SIGNATURE
    assert [each.name for each in tmp_path.iterdir()] == ["raw.dmg"]


def _zeroed(image: bytes) -> bytes:
    """The image with zeros for a signature."""
    start = int.from_bytes(image[-512 + 0x128 : -512 + 0x130], "big")
    return image[:start] + bytes(len(image) - 512 - start) + image[-512:]


def test_no_room_leaves_nothing_behind(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    dst = tmp_path / "out.dmg"
    dst.write_bytes(b"the older one")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(Fault) as caught:
        staple_image(image, dst, b"ticket")
    assert caught.value.status is Exit.DISK
    assert "No space left" in str(caught.value)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("out.dmg", b"the older one")]


def test_an_app(tmp_path: Path) -> None:
    app = signed.app(tmp_path, None)
    assert read_ticket(app) is None
    for ticket in (b"first", b"second"):
        staple_app(app, ticket)
        assert read_ticket(app) == ticket
        verify_app(app).require()
    assert (app / "Contents/CodeResources").stat().st_mode & 0o777 == 0o644
    with pytest.raises(StapleFault):
        staple_app(tmp_path / "raw" / "Tiny.app", b"ticket")


@given(st.dictionaries(st.integers(0x10000, 0x1FFFF), st.binary(max_size=99), max_size=5))
def test_packed_signatures_are_read_back(contents: dict[int, bytes]) -> None:
    blobs = {
        slot: superblob.WRAPPER.to_bytes(4, "big") + (8 + len(data)).to_bytes(4, "big") + data
        for slot, data in contents.items()
    }
    packed = pack(blobs)
    assert int.from_bytes(packed[4:8], "big") == len(packed)
    assert int.from_bytes(packed[8:12], "big") == len(blobs)
    for index, slot in enumerate(sorted(blobs)):
        entry = packed[12 + 8 * index : 20 + 8 * index]
        offset = int.from_bytes(entry[4:], "big")
        assert int.from_bytes(entry[:4], "big") == slot
        assert packed[offset : offset + len(blobs[slot])] == blobs[slot]


# where tickets come from


def test_names_of_records() -> None:
    assert record_name(CDHASH.upper(), 2) == RECORD
    assert record_name(CDHASH + "ff" * 12, 4) == f"2/4/{CDHASH}"
    for bad in ("", "xyz", CDHASH[:-1], "../" * 14):
        with pytest.raises(TicketFault):
            record_name(bad, 2)


class Nobody:
    def review(self, upload: Path, name: str) -> Review:
        raise AssertionError("nothing is submitted here")


def apple(tmp_path: Path, *, ticket_lag: int = 0, ticket_errors: int = 0) -> AppleStandIn:
    behaviour = Behaviour(ticket_lag=ticket_lag, ticket_errors=ticket_errors)
    standing = AppleStandIn(tmp_path / "apple", reviewer=Nobody(), behaviour=behaviour)
    standing._tickets.issue([TicketContent("x", CDHASH)])
    return standing


def test_a_ticket_that_lags(tmp_path: Path) -> None:
    clock = FakeClock()
    waited: list[float] = []
    with apple(tmp_path, ticket_lag=3) as standing:
        ticket = fetch_ticket(standing.ticket_url, RECORD, clock=clock, on_wait=waited.append)
    assert ticket.startswith(b"s8ch")
    assert clock.pauses == waited == [30.0, 60.0, 90.0]


def test_no_ticket_is_not_no_network(tmp_path: Path) -> None:
    clock = FakeClock()
    with apple(tmp_path, ticket_lag=99) as standing, pytest.raises(TicketFault) as none:
        fetch_ticket(standing.ticket_url, RECORD, clock=clock)
    assert none.value.status is Exit.TICKET
    assert "notarize.resume" in (none.value.cure or "")
    assert clock.pauses == [30.0, 60.0, 90.0, 120.0]
    with pytest.raises(Fault) as lost:
        fetch_ticket(standing_url(tmp_path), RECORD, clock=FakeClock())
    assert lost.value.status is Exit.NETWORK


def standing_url(tmp_path: Path) -> str:
    """The address of a stand-in that is gone."""
    with apple(tmp_path) as standing:
        return standing.ticket_url


def test_passing_errors_are_borne(tmp_path: Path) -> None:
    with apple(tmp_path, ticket_errors=3) as standing:
        assert fetch_ticket(standing.ticket_url, RECORD, clock=FakeClock())
    with apple(tmp_path, ticket_errors=99) as standing, pytest.raises(Fault) as caught:
        fetch_ticket(standing.ticket_url, RECORD, clock=FakeClock())
    assert caught.value.status is Exit.NETWORK


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>please log in</html>", "text/html"),
        as_json({"records": []}),
        as_json([]),
        as_json({"records": [{"recordName": RECORD}]}),
        as_json({"records": [{"fields": {"signedTicket": {"value": "not base64!"}}}]}),
        as_json({"records": [{"serverErrorCode": "ACCESS_DENIED", "reason": "no"}]}),
        as_json({"serverErrorCode": "BAD_REQUEST"}, 400),
    ],
)
def test_answers_that_are_none(answer: Response) -> None:
    def answered(request: Request) -> Response:
        assert request.stream.left
        return answer

    server, clock = Server(answered), FakeClock()
    try:
        with pytest.raises(TicketFault, match="something else") as caught:
            fetch_ticket(server.url, RECORD, clock=clock, session=requests.Session())
    finally:
        server.close()
    assert caught.value.status is Exit.TICKET
    assert clock.pauses == []


def test_the_question_is_apples(tmp_path: Path) -> None:
    asked: list[Any] = []

    def answered(request: Request) -> Response:
        asked.append((request.method, request.path, request.body()))
        value = base64.b64encode(b"s8ch...").decode()
        record = {"recordName": RECORD, "fields": {"signedTicket": {"type": "BYTES", "value": value}}}
        return as_json({"records": [record]})

    server = Server(answered)
    try:
        web = Web(clock=FakeClock())
        assert fetch_ticket(server.url + "/lookup", RECORD, web=web) == b"s8ch..."
    finally:
        server.close()
    assert asked == [("POST", "/lookup", b'{"records": [{"recordName": "%s"}]}' % RECORD.encode())]
