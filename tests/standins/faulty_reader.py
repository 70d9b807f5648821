"""A reader of the public side who polls while others write."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from appcast import xml
from release.objects import FEED_KEY, key_of, targets
from release.store import S3Store, digest_of
from signing import eddsa
from tests.standins.public import LATEST, PUBLIC, SITE


class Reader:
    """Polls the public side until it is stopped; `wrong` is what it saw and never should have."""

    def __init__(self, store: S3Store, folder: Path) -> None:
        self.polls = 0
        self.wrong: list[str] = []
        self._store, self._images = store, {digest_of(path) for path in folder.glob("*.dmg")}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def _poll(self) -> None:
        while not self._end.wait(0.002):
            self.look()

    def look(self) -> None:
        self.polls += 1
        try:
            self._look()
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        found, latest = self._store.get(FEED_KEY), self._store.get(LATEST)
        assert found and latest, "the feed or latest is gone"
        assert digest_of(latest[1]) in self._images, "latest is none of the images"
        feed = xml.parse(eddsa.verify_feed(found[1], PUBLIC), base_url=f"{SITE}/{FEED_KEY}")
        assert feed.items, "the feed is empty"
        for item in feed.items:
            for url, length in targets(item):
                there = self._store.get(key_of(url) or "")
                assert there, f"{url} is missing"
                assert length in (None, len(there[1])), f"{url} has {len(there[1])} bytes"
                if item.enclosure and url == item.enclosure.url:
                    assert item.enclosure.signature
                    assert eddsa.verify_bytes(there[1], item.enclosure.signature, PUBLIC), f"{url} is wrong"
