"""Files from a publisher's site, streamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from errors import Exit, Fault
from release.inputs.faults import absent, offline
from release.inputs.pins import Pin, safe_url

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int], None]

HOPS: Final = 6  # redirects that are followed, plus one
BUSY: Final = (429, 500, 502, 503, 504)
BLOCK: Final = 1 << 20
TIMEOUT: Final = (15.0, 60.0)  # seconds to connect, and between two reads


def download(
    pin: Pin,
    folder: Path,
    *,
    session: requests.Session | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Download the pinned URL into `folder`; the caller checks its digest.

    A transfer that ends early is tried once more from its beginning, then is a Fault NETWORK. 404 and 410 are
    INPUT_MISSING. Redirects may not leave https.
    """
    target = folder / (PurePosixPath(urlsplit(pin.package).path).name or "file")
    own = session or _session()
    try:
        return _retry(own, pin, target, on_progress)
    finally:
        if session is None:
            own.close()


def _session() -> requests.Session:
    import requests  # costs 0.1 s, which a run from the cache need not pay
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=BUSY, raise_on_status=False, redirect=False)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _retry(session: requests.Session, pin: Pin, target: Path, on_progress: Progress | None) -> Path:
    import requests

    failure: Exception | None = None
    for _ in range(2):
        try:
            return _stream(session, pin, target, on_progress)
        except requests.RequestException as error:
            failure = error
    raise offline(pin.title, where=pin.package, details=(str(failure),)) from failure


def _stream(session: requests.Session, pin: Pin, target: Path, on_progress: Progress | None) -> Path:
    with _open(session, pin) as response:
        total = int(response.headers.get("Content-Length", 0))
        done = 0
        with target.open("wb") as out:
            for block in response.iter_content(BLOCK):
                out.write(block)
                done += len(block)
                if on_progress:
                    on_progress(done, total)
    return target


def _open(session: requests.Session, pin: Pin) -> requests.Response:
    url = pin.package
    for _ in range(HOPS):
        if not safe_url(url):
            raise _refused(pin, f"is redirected to an insecure address: {url}")
        # Content codings are refused: the digest is of the file as published.
        response = session.get(
            url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}, allow_redirects=False
        )
        if not response.is_redirect:
            break
        url = urljoin(url, response.headers["Location"])
        response.close()
    if response.status_code in {404, 410}:
        raise absent(pin.title, where=pin.package, details=(f"HTTP {response.status_code}",))
    if response.status_code != 200:
        raise _refused(pin, f"cannot be downloaded: the site answers {response.status_code}")
    return response


def _refused(pin: Pin, what: str) -> Fault:
    cure = "try again later, or correct the pin in release.toml; what was already downloaded is kept"
    return Fault(f"{pin.title} {what}", where=pin.package, cure=cure, status=Exit.NETWORK)
