"""Sites that answer wrongly: without ranges, with a page for everything, without an end."""

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from release.rehearsal.site import Environ, Site, route
from release.verification import Verification
from release.verify import Expected, Limits, verify_site
from release.verify.rows import Wrong
from release.verify.web import Web
from tests.standins import shipped
from tests.standins.shipped import SITE, Release
from tests.standins.store import MemoryStore

pytestmark = pytest.mark.xdist_group("verify")

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return shipped.make(tmp_path_factory.mktemp("web"), "7")


@pytest.fixture
def verify(release: Release, tmp_path: Path) -> Callable[..., Verification]:
    def run(site: type[Site], limits: Limits | None = None) -> Verification:
        store = shipped.publish(MemoryStore(), release)
        with site(store, latest=shipped.LATEST) as running, requests.Session() as session:
            route(session, SITE, running.url)
            work = tmp_path / "work"
            return verify_site(SITE, session=session, workdir=work, expected=Expected(), limits=limits)

    return run


def failed(verification: Verification) -> set[str]:
    macs = {row.name for row in verification.rows if row.group == "who is offered what"}
    return {row.name for row in verification.failed} - macs


class NoRanges(Site):
    """Gives the whole whatever part is asked for."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        environ.pop("HTTP_RANGE", None)
        return super()._answer(environ, start_response)


class IgnoresIfRange(Site):
    """Gives a part of this version to who has begun with another."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        environ.pop("HTTP_IF_RANGE", None)
        return super()._answer(environ, start_response)


class WrongRanges(Site):
    """Gives the right number of wrong bytes."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        body = list(super()._answer(environ, start_response))
        return [bytes(len(part)) for part in body] if "HTTP_RANGE" in environ else body


class AlwaysWhole(Site):
    """Sends again what the client has."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return super()._answer(environ, start_response)


class Changed(Site):
    """Changes heads of answers by `change`."""

    def change(self, environ: Environ, status: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        return status, headers

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> Any:
            status, changed = self.change(environ, status, dict(headers))
            return start_response(status, list(changed.items()))

        return super()._answer(environ, start)


class SoftAbsence(Changed):
    """Has a friendly page for everything that is not there."""

    def change(self, environ: Environ, status: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        return ("200 OK" if status.startswith("404") else status), headers


class NoTag(Changed):
    """Has no entity tags."""

    def change(self, environ: Environ, status: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        return status, {name: value for name, value in headers.items() if name != "ETag"}


class OtherHead(Changed):
    """Tells another length on HEAD."""

    def change(self, environ: Environ, status: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        return status, headers | ({"Content-Length": "0"} if environ["REQUEST_METHOD"] == "HEAD" else {})


class Direct(Site):
    """Has the image at /download itself."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/download":
            environ["REQUEST_URI"] = f"/releases/{shipped.LATEST}"
        return super()._answer(environ, start_response)


class Circle(Changed):
    """Leads from the download button to the download button."""

    def change(self, environ: Environ, status: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        return status, headers | ({"Location": "/download"} if "Location" in headers else {})


class Breaks(Site):
    """Ends an image in its middle."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        body = list(super()._answer(environ, start_response))
        return [part[: len(part) // 2] for part in body] if environ["PATH_INFO"].endswith(".dmg") else body


@pytest.mark.parametrize(
    ("site", "rows"),
    [
        (NoRanges, {"ranges", "ranges of another version"}),
        (IgnoresIfRange, {"ranges of another version"}),
        (WrongRanges, {"ranges"}),
        (AlwaysWhole, {"feed caching", "image caching", "latest caching"}),
        (SoftAbsence, {"what is not there"}),
        (NoTag, {"feed caching", "image caching", "latest caching"}),
        (OtherHead, {"feed caching", "image caching", "latest caching", "objects of 7"}),
        (Direct, {"download button"}),
        (Circle, {"download button"}),
        (Breaks, {"image", "download button"}),
    ],
)
def test_a_site_that_answers_wrongly_is_seen(
    verify: Callable[..., Verification], site: type[Site], rows: set[str]
) -> None:
    assert failed(verify(site)) >= rows


def test_a_release_that_is_larger_than_the_limit_is_given_up(verify: Callable[..., Verification]) -> None:
    verification = verify(Site, Limits(file=1000))
    assert failed(verification) >= {"image", "download button"}
    assert any("no end to it" in row.detail for row in verification.failed)


class Endless(Site):
    """Never stops sending."""

    def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])

        def zeros() -> Iterator[bytes]:
            while True:
                yield bytes(1 << 16)

        return zeros()


def test_what_has_no_end_is_given_up(tmp_path: Path) -> None:
    with Endless(MemoryStore()) as site, requests.Session() as session:
        with pytest.raises(Wrong, match="no end"):
            Web(session, Limits(page=1 << 20)).get(site.url)
        with pytest.raises(Wrong, match="not done after"):
            Web(session, Limits(seconds=0.05)).get(site.url)
        with pytest.raises(Wrong, match="no end"):
            Web(session, Limits(file=1 << 20)).download(site.url, tmp_path / "x", lambda answer: None)
        assert (tmp_path / "x").stat().st_size <= 1 << 21


def test_a_lie_about_the_length_is_no_download(tmp_path: Path) -> None:
    class Short(Site):
        def _answer(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Length", "10")])
            return [b"five!"]

    with (
        Short(MemoryStore()) as site,
        requests.Session() as session,
        pytest.raises(requests.RequestException),
    ):
        Web(session).download(site.url, tmp_path / "x", lambda answer: None)


def test_nobody_is_led_from_https_to_http() -> None:
    class Leads(requests.Session):
        def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer.url, answer.raw = 200, "http://example.test/", io.BytesIO()
            return answer

    with Leads() as session, pytest.raises(Wrong, match="from https to http"):
        Web(session).get("https://example.test/")
