"""A dry run's list of what would be public is held to what publishing really writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from release import config as configuration
from release.config import Config
from release.notes import compose
from release.objects import RELEASES, Attachment, disposition
from release.outline import KEPT, Planned, objects, purged
from release.places import places
from release.provenance import MEDIA_TYPE as STATEMENTS_TYPE
from release.publish import publish
from release.sbom.cyclonedx import MEDIA_TYPE as SBOM_TYPE
from release.version import Version
from tests.standins.public import publication, side
from tests.standins.repository import CHANGELOG, GERMAN, repository
from tests.standins.store import MemoryStore

VERSION = Version("1.5", "5", 0)  # as tests.standins.public names its image


class Noting(MemoryStore):
    """Keeps the order in which objects were last written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.after = lambda method, key: self.written.append(key) if method in ("put", "copy") else None


@pytest.fixture(params=["one language", "two languages"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    checkout = repository(tmp_path / "checkout", changelog=CHANGELOG.replace("[Unreleased]\n", "[1.5]\n", 1))
    if request.param == "two languages":
        checkout.write("CHANGELOG.de.md", GERMAN.replace("[Unreleased]\n", "[1.5]\n", 1))
    return configuration.load(checkout.root)


def attachments(config: Config) -> tuple[Attachment, ...]:
    """As the release's own step makes them."""
    rules = config.notes
    made = compose(
        config.root, rules, app_name="App", version="1.5", build="5", allow_unreleased=True
    )  # fmt: skip
    home = places(config, VERSION)
    pages = [Attachment(one.name, one.data, one.content_type, one.kind == "notes") for one in made.pages]
    rest = ((home.sbom.name, SBOM_TYPE), (home.provenance.name, STATEMENTS_TYPE))
    return (*pages, *(Attachment(name, b"x", kind, versioned=True) for name, kind in rest))


def test_it_is_what_publishing_writes_and_in_that_order(config: Config, tmp_path: Path) -> None:
    store = Noting()
    publish(side(store), replace(publication(tmp_path, "5"), attachments=attachments(config)))
    planned = objects(config, VERSION, places(config, VERSION))
    assert [_kept(key) for key in store.written] == [one.key for one in planned]
    found = {_kept(key): one for key, (one, _) in store.objects.items()}
    assert {key: _served(one) for key, one in found.items()} == {one.key: _headers(one) for one in planned}


def test_what_is_never_replaced_is_said_so(config: Config, tmp_path: Path) -> None:
    store = Noting()
    release = replace(publication(tmp_path, "5"), attachments=attachments(config))
    publish(side(store), release)
    immutable = {key for key, (one, _) in store.objects.items() if "immutable" in one.cache_control}
    planned = {one.key for one in objects(config, VERSION, places(config, VERSION)) if "never" in one.how}
    assert planned | {KEPT} == {_kept(key) for key in immutable}


def test_caches_are_told_where_a_zone_is_configured(config: Config) -> None:
    assert purged(config) == ()
    zoned = configuration.load(
        config.root,
        overrides={"profiles.rehearsal.publish.purge_zone": "0" * 32},
    )
    assert purged(zoned) == tuple(
        f"http://127.0.0.1:8788/{name}"
        for name in ("download", "appcast.xml", f"{RELEASES}API-for-Cursor-latest.dmg")
    )


def _kept(key: str) -> str:
    return KEPT if key.startswith("feeds/") else key


def _served(one: object) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in ("content_type", "cache_control", "disposition"))


def _headers(one: Planned) -> tuple[object, ...]:
    return (one.content_type, one.cache_control, one.disposition or None)


def test_the_image_is_saved_under_its_own_name(config: Config) -> None:
    image, *_ = objects(config, VERSION, places(config, VERSION))
    assert image.headers["Content-Disposition"] == disposition("API-for-Cursor-1.5-5.dmg")
