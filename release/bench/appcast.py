"""Figures of the feed: reading, linting and choosing among 10,000 items; a signature beside the library's."""

from __future__ import annotations

import base64
import mmap
import multiprocessing
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lxml import etree

from appcast import xml
from appcast.client import Host, select
from appcast.feed import Enclosure, Feed, Item
from appcast.lint import lint
from release.bench import Figure
from release.bench.timing import compare
from signing import eddsa

ITEMS = 10_000  # 6 MB
ARCHIVE = 100 * 1024 * 1024
START = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = "https://example.test/appcast.xml"


def bench() -> list[Figure]:
    """Measure in CPU time, which neighbours disturb less, as the best of a few rounds taken in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [_parse(folder / "appcast.xml"), *_feed(), *_sign(folder)]


def _parse(file: Path) -> Figure:
    file.write_bytes(xml.render(_history(ITEMS)))
    # In a process of its own, as a tool meets a feed: with memory that other work has left behind, lxml saves
    # the half of its time that getting memory takes.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        ratio = pool.apply(parse_ratio, (file,))
    return _at_most(f"parsing {ITEMS} items beside lxml's own", ratio, 4)


def parse_ratio(file: Path) -> float:
    """Return the CPU time of parsing a feed as a multiple of lxml's; each gives back what it took."""
    data = file.read_bytes()
    own, ours = compare(lambda: etree.fromstring(data) is None, lambda: xml.parse(data) is None, rounds=5)
    return ours.cpu / own.cpu


def _feed() -> list[Figure]:
    data, half = xml.render(_history(ITEMS)), xml.render(_history(ITEMS // 2))
    host, now = Host("1", "15.1.0"), START + timedelta(days=ITEMS)
    whole, part = xml.parse(data), xml.parse(half)
    linted, half_linted, chosen, half_chosen, together = compare(
        lambda: lint(data, base_url=ADDRESS),
        lambda: lint(half, base_url=ADDRESS),
        lambda: select(whole, host, now),
        lambda: select(part, host, now),
        lambda: (select(xml.parse(data), host, now), lint(data, base_url=ADDRESS)),
        rounds=5,
    )
    return [
        _at_most(f"linting {ITEMS} items beside half of them", linted.cpu / half_linted.cpu, 2.3),
        _at_most("choosing among them beside half of them", chosen.cpu / half_chosen.cpu, 2.3),
        _at_most("parsing, linting and choosing together", together.cpu, 1.5, "s"),
    ]


def _history(count: int) -> Feed:
    return Feed("Example", ADDRESS, items=tuple(_item(number) for number in range(count, 0, -1)))


def _item(number: int) -> Item:
    short = f"1.{number // 100}.{number % 100}"
    signature = base64.b64encode(number.to_bytes(64, "big")).decode()
    url = f"https://example.test/releases/Example-App-{short}-{number}.dmg"
    return Item(
        str(number),
        short,
        title=f"Example App {short}",
        link="https://example.test",
        published=START + timedelta(hours=number),
        minimum_system_version="13.0.0",
        enclosure=Enclosure(url, 12_345_678, "application/x-apple-diskimage", signature),
    )


def _sign(folder: Path) -> list[Figure]:
    file, path = folder / "archive", folder / "key"
    file.write_bytes(os.urandom(ARCHIVE))
    eddsa.generate(path)
    key = eddsa.load(f"file:{path}", environ={})
    public, signature = key.public_key(), eddsa.sign_file(file, key)
    raw = base64.b64decode(signature)
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        sign, plain_sign, verify, plain_verify = compare(
            lambda: eddsa.sign_file(file, key),
            lambda: key.sign(view),
            lambda: eddsa.verify_file(file, signature, eddsa.public_key(key)),
            lambda: public.verify(raw, view),
        )
        view.release()
    return [
        _at_most("signing 100 MB beside the library", sign.cpu / plain_sign.cpu, 1.1),
        _at_most("verifying 100 MB beside the library", verify.cpu / plain_verify.cpu, 1.1),
    ]


def _at_most(name: str, value: float, limit: float, unit: str = "times") -> Figure:
    return Figure(name, value, unit, f"at most {limit:g}{' s' if unit == 's' else ''}", value <= limit)
