"""Files from a publisher's site, streamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from errors import Exit, Fault
from release.inputs.faults import absent, offline
from release.inputs.pins import Pin, safe_url

if TYPE_CHECKING:
    import requests

BLOCK: Final = 1 << 20
TIMEOUT: Final = (15.0, 60.0)  # seconds to connect, and between two reads


def download(
    pin: Pin,
    folder: Path,
    *,
    session: requests.Session | None = None,
    on_progress: Callable[[int, int], None] | None = None,
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
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _retry(
    session: requests.Session, pin: Pin, target: Path, on_progress: Callable[[int, int], None] | None
) -> Path:
    import requests

    failure: Exception | None = None
    for _ in range(2):
        try:
            return _stream(session, pin, target, on_progress)
        except requests.RequestException as error:
            failure = error
    raise offline(pin.title, where=pin.package, details=(str(failure),)) from failure


def _stream(
    session: requests.Session, pin: Pin, target: Path, on_progress: Callable[[int, int], None] | None
) -> Path:
    # Content codings are refused: the digest is of the file as published.
    headers = {"Accept-Encoding": "identity"}
    with session.get(pin.package, stream=True, timeout=TIMEOUT, headers=headers) as response:
        for hop in (*response.history, response):
            if not safe_url(hop.url):
                raise Fault(
                    f"{pin.title} was redirected to an insecure address", where=hop.url, status=Exit.NETWORK
                )
        if response.status_code in {404, 410}:
            raise absent(pin.title, where=pin.package, details=(f"HTTP {response.status_code}",))
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0))
        done = 0
        with target.open("wb") as out:
            for block in response.iter_content(BLOCK):
                out.write(block)
                done += len(block)
                if on_progress:
                    on_progress(done, total)
    return target
