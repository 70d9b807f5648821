"""Feeds on a real site, with real signed images, and everything that can be wrong with what they point to."""

import http.server
import json
import plistlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from appcast import xml
from appcast.client import Host
from appcast.feed import Delta, Enclosure, Feed, Item
from errors import Exit, Fault
from release import appcast_report, appcast_source, appcast_tools
from release.feed import app_facts
from signing import eddsa
from signing.plan import plan_app
from tests.signing import machos
from tests.standins import signed

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A signed app and its signed image."""

    app: Path
    image: Path


def make(folder: Path, build: str, key: Ed25519PrivateKey = KEY) -> Made:
    folder.mkdir()
    raw, app = machos.app(folder / "raw" / "Tiny.app"), folder / "signed" / "Tiny.app"
    plist = raw / "Contents/Info.plist"
    values = {
        "CFBundleVersion": build,
        "LSMinimumSystemVersion": "13.0",
        "SUPublicEDKey": eddsa.public_key(key),
        "SURequireSignedFeed": True,
    }
    plist.write_bytes(plistlib.dumps({**plistlib.loads(plist.read_bytes()), **values}))
    app.parent.mkdir()
    signed.signer(folder, None).sign_app(plan_app(raw), raw, app)
    return Made(app, signed.image(folder, app, None, name=f"Tiny-{build}.dmg"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return make(tmp_path_factory.mktemp("made") / "seven", "7")


@pytest.fixture(scope="module")
def successor(tmp_path_factory) -> Made:
    """The next build, with another key inside."""
    return make(tmp_path_factory.mktemp("made") / "eight", "8", OTHER)


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def serve(files: dict[str, bytes | Answer]) -> Iterator[str]:
    """A site with these files on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = files.get(self.path)
            if callable(found):
                found(self)
                return
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def item(image: bytes, build: str = "7", key: Ed25519PrivateKey = KEY, **fields: object) -> Item:
    enclosure = Enclosure(
        f"Tiny-{build}.dmg", len(image), "application/x-apple-diskimage", eddsa.sign_bytes(image, key)
    )
    plain = Item(
        build,
        "1.0",
        description="Better.",
        link="https://example.test/",
        published=datetime(2026, 5, 20 + int(build) % 9, tzinfo=UTC),
        minimum_system_version="13.0.0",
        hardware_requirements=("arm64",),
        enclosure=enclosure,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def feed(*items: Item, key: Ed25519PrivateKey | None = KEY) -> bytes:
    data = xml.render(Feed("Tiny", items=items))
    return data if key is None else eddsa.sign_feed(data, key)


def look(files: dict[str, bytes | Answer], **options: Any) -> appcast_tools.Linted:
    with serve(files) as site:
        return appcast_tools.lint(f"{site}/appcast.xml", look_inside=True, now=NOW, **options)


def ids(linted: appcast_tools.Linted) -> set[str]:
    return {each.id for each in linted.findings} - {"relative-url"}


def test_a_sound_release_is_sound_to_the_last_byte(made):
    image = made.image.read_bytes()
    linted = look({"/appcast.xml": feed(item(image)), "/Tiny-7.dmg": image})
    assert ids(linted) == set()
    assert (linted.files, linted.size, linted.items) == (1, len(image), 1)
    linted.require()


def test_progress_ends_with_all_bytes(made):
    image, seen = made.image.read_bytes(), [(0, 0)]
    look(
        {"/appcast.xml": feed(item(image)), "/Tiny-7.dmg": image},
        on_progress=lambda *step: seen.append(step),
    )
    assert seen[-1] == (len(image), len(image))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_flipped_byte_is_noticed_by_everything_that_covers_it(made):
    image = made.image.read_bytes()
    linted = look({"/appcast.xml": feed(item(image)), "/Tiny-7.dmg": flipped(image, 2000)}, app=made.app)
    assert {"download-signature", "download-image", "download-codesign"} <= ids(linted)
    with pytest.raises(Fault) as caught:
        linted.require()
    assert caught.value.status == Exit.APPCAST


def test_a_file_that_is_missing_shorter_or_longer_is_noticed(made):
    image = made.image.read_bytes()
    data = feed(item(image))
    assert ids(look({"/appcast.xml": data})) == {"download-failed"}
    short = ids(look({"/appcast.xml": data, "/Tiny-7.dmg": image[:-1]}, app=made.app))
    assert {"download-length", "download-signature", "download-image"} <= short
    assert "download-length" in ids(look({"/appcast.xml": data, "/Tiny-7.dmg": image + b"x" * 5000}))


def test_an_endless_file_is_not_read_to_its_end(made):
    image = made.image.read_bytes()
    linted = look({"/appcast.xml": feed(item(image)), "/Tiny-7.dmg": endless})
    assert "download-length" in ids(linted)
    assert linted.size < 2 * len(image) + (20 << 20)


def test_a_length_too_small_does_not_make_the_image_look_damaged(made):
    image = made.image.read_bytes()
    data = feed(item(image)).replace(f'length="{len(image)}"'.encode(), b'length="4"')
    linted = look({"/appcast.xml": data, "/Tiny-7.dmg": image})
    assert ids(linted) == {"download-length", "feed-signature"}


def test_the_app_inside_must_be_the_items(made):
    image = made.image.read_bytes()
    linted = look({"/appcast.xml": feed(item(image, "6")), "/Tiny-6.dmg": image})
    assert "download-version" in ids(linted)


def test_the_key_is_the_given_apps(made, successor):
    image = made.image.read_bytes()
    files: dict[str, bytes | Answer] = {"/appcast.xml": feed(item(image)), "/Tiny-7.dmg": image}
    assert ids(look(files, app=made.app)) == set()
    assert {"download-signature", "feed-signature"} <= ids(look(files, app=successor.app))


def test_a_handover_is_signed_with_the_key_of_those_who_take_it(made, successor):
    old, new = made.image.read_bytes(), successor.image.read_bytes()
    files: dict[str, bytes | Answer] = {"/Tiny-7.dmg": old, "/Tiny-8.dmg": new}
    with_old_key = look({**files, "/appcast.xml": feed(item(new, "8", KEY), item(old))})
    assert "download-signature" not in ids(with_old_key)
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    by_stranger = look({**files, "/appcast.xml": feed(item(new, "8", stranger), item(old))})
    assert [each.item for each in by_stranger.findings if each.id == "download-signature"] == ["8"]


def test_other_archives_and_deltas_are_held_against_the_feed(made):
    image, patch = made.image.read_bytes(), b"spk!" * 100
    delta = Delta("6", Enclosure("7-6.delta", len(patch), signature=eddsa.sign_bytes(patch, KEY)))
    archive = Enclosure("Tiny-6.zip", 3, "application/zip", eddsa.sign_bytes(b"zip", KEY))
    data = feed(item(image, deltas=(delta,)), item(image, "6", enclosure=archive))
    files: dict[str, bytes | Answer] = {"/appcast.xml": data, "/Tiny-7.dmg": image, "/Tiny-6.zip": b"zip"}
    linted = look({**files, "/7-6.delta": patch}, app=made.app)
    assert ids(linted) == {"download-skipped"}  # a zip is compared, not opened
    assert "download-signature" in ids(look({**files, "/7-6.delta": flipped(patch, 9)}, app=made.app))
    assert "download-failed" in ids(look(files, app=made.app))


def test_what_the_newest_image_says_is_held_against_the_feed(made):
    image = made.image.read_bytes()
    files: dict[str, bytes | Answer] = {"/Tiny-7.dmg": image}
    assert "feed-unsigned" in ids(look({**files, "/appcast.xml": feed(item(image), key=None)}))
    low = feed(item(image, minimum_system_version="12.0.0"))
    assert "system-app" in ids(look({**files, "/appcast.xml": low}))


def test_facts_of_an_app(made, tmp_path):
    found = app_facts(made.app)
    assert (found.version, found.minimum_system_version, found.requires_signed_feed) == ("7", "13.0", True)
    assert found.architectures == ("arm64",)
    with pytest.raises(Fault):
        app_facts(tmp_path)


# where feeds come from


def test_a_feed_from_a_path(tmp_path):
    path = tmp_path / "appcast.xml"
    path.write_bytes(feed(item(b"x", enclosure=None)))
    assert appcast_tools.lint(str(path), now=NOW).items == 1
    with pytest.raises(Fault) as caught:
        appcast_tools.lint(str(tmp_path / "none.xml"))
    assert caught.value.status == Exit.INPUT_MISSING
    with pytest.raises(Fault):
        appcast_tools.lint(str(tmp_path))


@pytest.mark.parametrize("target", ["ftp://example.test/a.xml", "file:///etc/hosts", "s3://bucket/a.xml"])
def test_other_schemes_are_refused(target):
    with pytest.raises(Fault, match="over http and https") as caught:
        appcast_tools.lint(target)
    assert caught.value.status == Exit.USAGE


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/appcast.xml", "http://", "http://[::1", "http://a b/"]
)
def test_an_address_that_leads_nowhere_is_a_fault(target):
    with pytest.raises(Fault) as caught:
        appcast_tools.lint(target)
    assert caught.value.status == Exit.NETWORK


def test_an_address_without_a_feed_is_a_fault():
    with serve({}) as site, pytest.raises(Fault, match="answers 404"):
        appcast_tools.show(f"{site}/appcast.xml")


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Send zeros until nobody listens any more."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(4096):
            handler.wfile.write(bytes(1 << 20))
    except OSError:
        return


def announced(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()


@pytest.mark.parametrize("answer", [endless, announced])
def test_a_huge_feed_is_refused_unread(answer, monkeypatch):
    monkeypatch.setattr(appcast_source, "MAX_BYTES", 1 << 20)
    read: list[int] = []
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: count(response, read))
    with serve({"/appcast.xml": answer}) as site, pytest.raises(Fault, match="no more than") as caught:
        appcast_tools.lint(f"{site}/appcast.xml", session=session)
    assert caught.value.status == Exit.APPCAST
    assert sum(read) < 3 << 20


def count(response: requests.Response, read: list[int]) -> None:
    pieces = response.iter_content

    def counted(*words: Any) -> Iterator[bytes]:
        for piece in pieces(*words):
            read.append(len(piece))
            yield piece

    response.iter_content = counted  # type: ignore[method-assign,assignment]


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "appcast.xml"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # sparse
    with pytest.raises(Fault, match="1,073,741,824 bytes or more"):
        appcast_tools.lint(str(path))


# statuses


def test_severities_become_statuses(tmp_path):
    path = tmp_path / "appcast.xml"
    good = item(b"x", enclosure=Enclosure("https://example.test/a.dmg", 1, signature="A" * 86 + "=="))
    path.write_bytes(feed(replace(good, minimum_system_version="13.0"), key=None))
    warned = appcast_tools.lint(str(path), now=NOW)
    assert {each.severity for each in warned.findings} == {"warning"}
    assert warned.require() is warned
    with pytest.raises(Fault):
        warned.require(strict=True)
    path.write_bytes(feed(good, key=None).replace(b' length="1"', b' sparkle:length="1"'))
    with pytest.raises(Fault, match="1 error") as caught:
        appcast_tools.lint(str(path), now=NOW).require()
    assert caught.value.status == Exit.APPCAST
    path.write_bytes(feed(good, key=None))
    appcast_tools.lint(str(path), now=NOW).require(strict=True)


# show and select


@pytest.fixture
def two(tmp_path) -> tuple[str, str]:
    far = Enclosure("https://example.test/a.dmg", 1, signature="A" * 86 + "==")
    before, after = tmp_path / "before.xml", tmp_path / "after.xml"
    old, new = item(b"", "6", enclosure=far, hardware_requirements=()), item(b"", "7", enclosure=far)
    before.write_bytes(feed(old))
    after.write_bytes(feed(new, replace(old, channel="beta")))
    return str(before), str(after)


def told(print_it: Callable[[Console], None]) -> str:
    out = StringIO()
    print_it(Console(file=out, width=100))
    return out.getvalue()


def test_show_tells_who_gets_what_and_what_changed(two):
    before, after = two
    shown = appcast_tools.show(after, against=before, now=NOW)
    text = told(lambda console: appcast_report.audience(shown, console))
    rows = [line.split() for line in text.splitlines()]
    assert ["below", "7", "13", "or", "later", "Apple", "silicon", "7"] in rows
    changed = text.partition("Changed against")[2]
    assert "was offered" in changed and "Intel" in changed and "before 13" not in changed
    assert max(map(len, text.splitlines())) <= 100


def test_show_without_a_change_says_so(two):
    shown = appcast_tools.show(two[0], against=two[0], now=NOW)
    assert shown.changed == ()
    assert "Nobody is offered anything else" in told(lambda console: appcast_report.audience(shown, console))


def test_select_gives_the_reasons(two):
    host = appcast_tools.host_of("5", "14.5", "x86_64", ["beta"])
    chosen = appcast_tools.choose(two[1], host, now=NOW)
    text = told(lambda console: appcast_report.selection(chosen, host, console))
    assert text.startswith("6 is offered") and "needs Apple silicon" in text
    nobody = Host("7", "14.5")
    chosen = appcast_tools.choose(two[1], nobody, now=NOW)
    assert "nothing is offered: up to date" in told(lambda c: appcast_report.selection(chosen, nobody, c))


def test_everything_is_there_as_json(two):
    shown = appcast_tools.show(two[1], against=two[0], now=NOW)
    data = json.loads(told(lambda console: appcast_report.audience(shown, console, as_json=True)))
    assert {"builds", "offer", "before"} <= set(data["changed"][0])
    linted = appcast_tools.lint(two[1], now=NOW)
    data = json.loads(told(lambda console: appcast_report.findings(linted, console, as_json=True)))
    assert (data["ok"], data["items"], data["errors"]) == (
        linted.count("error") == 0,
        2,
        linted.count("error"),
    )
    host = Host("5", "14.5")
    chosen = appcast_tools.choose(two[1], host, now=NOW)
    data = json.loads(told(lambda console: appcast_report.selection(chosen, host, console, as_json=True)))
    assert data["version"] == "7" and len(data["considered"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        {"arch": "ppc"},
        {"group": 0},
        {"group": 8},
        {"version": ""},
        {"system": ""},
    ],
)
def test_what_no_mac_is_is_refused(words):
    with pytest.raises(Fault) as caught:
        appcast_tools.host_of(**{"version": "1", "system": "14.0", **words})
    assert caught.value.status == Exit.USAGE


def test_moments():
    assert appcast_tools.moment("2026-06-01") == NOW
    assert appcast_tools.moment("2026-06-01T02:00+02:00") == NOW
    with pytest.raises(Fault):
        appcast_tools.moment("tomorrow")


def test_findings_of_one_rule_stand_together(tmp_path):
    path = tmp_path / "appcast.xml"
    far = Enclosure("https://example.test/a.dmg", 1, signature="A" * 86 + "==")
    many = [item(b"", str(build), enclosure=far, minimum_system_version=None) for build in range(19, 9, -1)]
    path.write_bytes(feed(*many, key=None))
    text = told(lambda c: appcast_report.findings(appcast_tools.lint(str(path), now=NOW), c))
    assert text.count("system-missing") == 1 and "and 4 more" in text
    assert max(map(len, text.splitlines())) <= 100


# the documentation


@pytest.fixture
def documented(tmp_path, monkeypatch) -> str:
    """docs/appcast.md; its example feed lies in the working folder, with what it says to be public."""
    text = (ROOT / "docs/appcast.md").read_text("utf-8")
    example = text.partition("```xml\n")[2].partition("\n```")[0].encode() + b"\n"
    whole = xml.parse(example)
    assert xml.render(whole) == example  # just as a release writes it
    broken = example.replace(b' length="', b' sparkle:length="', 1).replace(b"13.0.0", b"13.0")
    monkeypatch.chdir(tmp_path)
    Path("appcast.xml").write_bytes(example)
    Path("public.xml").write_bytes(xml.render(replace(whole, items=whole.items[-1:])))
    Path("broken.xml").write_bytes(broken.replace(b">beta<", b">beta testers<"))
    return text


def output(text: str, command: str) -> list[str]:
    shown = text.partition(f"$ ./invoke appcast.{command}")[2].partition("\n")[2].partition("\n```")[0]
    assert shown
    return shown.splitlines()


def lines(print_it: Callable[[Console], None]) -> list[str]:
    return [line.rstrip() for line in told(print_it).rstrip().splitlines()]


def test_the_docs_show_what_is_really_printed(documented):
    now = appcast_tools.moment("2026-05-31")
    shown = appcast_tools.show("appcast.xml", against="public.xml", now=now)
    assert lines(lambda console: appcast_report.audience(shown, console)) == output(documented, "show")
    host = appcast_tools.host_of("112", "14.5", group=6)
    chosen = appcast_tools.choose("appcast.xml", host, now=now)
    assert lines(lambda c: appcast_report.selection(chosen, host, c)) == output(documented, "select")
    linted = appcast_tools.lint("broken.xml", now=now)
    assert lines(lambda console: appcast_report.findings(linted, console)) == output(
        documented, "lint broken"
    )
    assert appcast_tools.lint("appcast.xml", now=now).findings == ()
