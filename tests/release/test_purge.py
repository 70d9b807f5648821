from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from errors import Exit, Fault
from release.publish import publish
from release.purge import MOST_URLS, TRIES, Cloudflare
from tests.standins import cloudflare
from tests.standins.clock import FakeClock
from tests.standins.public import LATEST, SITE, publication, side
from tests.standins.store import MemoryStore

URLS = [f"https://example.test/releases/{number}" for number in range(MOST_URLS + 5)]


@pytest.fixture
def api() -> Iterator[cloudflare.Cloudflare]:
    with cloudflare.cloudflare() as made:
        yield made


def purge(
    api: cloudflare.Cloudflare, token: str = cloudflare.TOKEN, clock: FakeClock | None = None
) -> Cloudflare:
    return Cloudflare(f"{api.url}/", cloudflare.ZONE, token, requests.Session(), clock or FakeClock())


def test_every_address_is_told_thirty_at_a_time(api: cloudflare.Cloudflare) -> None:
    purge(api)(URLS)
    assert api.purged == URLS
    assert api.seen == [("POST", f"/zones/{cloudflare.ZONE}/purge_cache")] * 2


def test_it_is_tried_again_while_the_other_side_is_busy(api: cloudflare.Cloudflare) -> None:
    api.errors, clock = TRIES - 1, FakeClock()
    purge(api, clock=clock)(URLS[:1])
    assert api.purged == URLS[:1] and len(clock.pauses) == TRIES - 1
    api.errors = TRIES
    with pytest.raises(Fault, match="503") as caught:
        purge(api)(URLS[:1])
    assert caught.value.status == Exit.NETWORK


def test_a_token_that_is_refused_is_not_tried_again_nor_shown(api: cloudflare.Cloudflare) -> None:
    with pytest.raises(Fault, match="401: 1000 Invalid API Token") as caught:
        purge(api, token="a-wrong-token")(URLS[:1])
    assert len(api.seen) == 1 and not api.purged
    assert "a-wrong-token" not in str(caught.value) and "publish.purge_token" in (caught.value.cure or "")


def test_a_release_is_told_to_the_caches_and_does_not_hang_on_them(
    api: cloudflare.Cloudflare, tmp_path: Path
) -> None:
    store = MemoryStore()
    published = publish(side(store, purge=purge(api)), publication(tmp_path, "1"))
    names = ("download", "appcast.xml", LATEST, "releases/1.1/manifest.json")
    assert not published.warnings and {f"{SITE}/{name}" for name in names} <= set(api.purged)
    refused = side(store, purge=purge(api, token="a-wrong-token"))
    published = publish(refused, publication(tmp_path, "2"))
    assert "not purged" in published.warnings[0] and "not purged" in published.note
