"""The feed of this app: one release turned into an item and put among those that are public."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appcast import history, xml
from appcast.feed import Critical, Enclosure, Feed, FeedFault, Item, NotesLink
from appcast.history import Identity
from appcast.lint import AppFacts, Finding, lint
from errors import Exit, Fault
from release.config import Config
from release.version import Version
from signing import eddsa, macho
from signing.bundle import read_plist

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

JUDGED_BY_AUDIENCE = ("published-falls",)  # by require_no_regression, which knows whom it concerns
STABLE = "stable"  # everybody's channel has a name here, though none in the feed


@dataclass(frozen=True, slots=True)
class Links:
    """Notes beside the feed: one version's, and the whole changelog, in each language."""

    notes: tuple[NotesLink, ...] = ()
    full: tuple[NotesLink, ...] = ()


def app_facts(app: Path) -> AppFacts:
    """Read what an app says of itself: its own Info.plist, the slices of its own executable, if it has one.

    Raises Fault if it is no app.
    """
    info = read_plist(app / "Contents/Info.plist")
    name = info.get("CFBundleExecutable")
    executable = app / "Contents/MacOS" / str(name)
    slices = macho.read(executable) if name and executable.is_file() else ()
    return AppFacts.of(info, sorted({part.arch for part in slices}))


def item_for(
    config: Config,
    version: Version,
    app: AppFacts,
    *,
    image_name: str,
    signature: str,
    length: int,
    notes: str,
    now: int,
    links: Links | None = None,
) -> Item:
    """The item that offers this release. `length` in bytes, `signature` base64, `now` epoch.

    Which Macs it is for comes from the app as built, how they are offered it from the configuration.
    """
    rules, links = config.feed, links or Links()
    return Item(
        version=version.build,
        short_version=version.version,
        title=f"{config.app.name} {version.version}",
        link=config.site,
        description=notes,
        description_format=config.notes.format,
        published=datetime.fromtimestamp(now, UTC),
        minimum_system_version=_three_parts(app.minimum_system_version),
        # Sparkle reads this from a child element only; as an attribute it would be ignored, and Intel Macs
        # would be offered a build that they can't run.
        hardware_requirements=() if "x86_64" in app.architectures else ("arm64",),
        minimum_update_version=rules.minimum_update_version,
        minimum_autoupdate_version=rules.minimum_autoupdate_version,
        ignore_skipped_upgrades_below_version=rules.ignore_skipped_upgrades_below_version,
        channel=None if rules.channel == STABLE else rules.channel,
        phased_rollout_interval=rules.phased_rollout_interval or None,
        critical=Critical(rules.critical_below) if rules.critical or rules.critical_below else None,
        enclosure=Enclosure(
            url=f"{config.site}/releases/{image_name}",
            length=length,
            type="application/x-apple-diskimage",
            signature=signature,
        ),
        release_notes=links.notes,
        full_release_notes=links.full,
    )


def links(config: Config, pages: Iterable[Mapping[str, Any]]) -> Links:
    """Link to published pages: each with name, kind, language, and of notes signature and length (bytes)."""
    notes, full = [], []
    pages = list(pages)
    alone = sum(page["kind"] == "full" for page in pages) == 1
    for page in pages:
        url = f"{config.site}/releases/{page['name']}"
        if page["kind"] == "notes":
            notes.append(NotesLink(url, page["language"], page["signature"], page["length"]))
        else:
            full.append(NotesLink(url, None if alone else page["language"]))
    return Links(tuple(notes), tuple(full))


def feed_with(published: Feed | None, item: Item, signed: Identity, config: Config, now: datetime) -> Feed:
    """What is public with `item` in its place, what no Mac needs left out, and the record of who signed."""
    feed = published or Feed(title=config.app.name, link=config.feed_url, language=config.notes.language)
    feed = history.put(feed, item, now, maximum_versions=config.feed.maximum_versions)
    return history.record(feed, signed)


def open_feed(data: bytes, feed_url: str, keys: Sequence[str]) -> Feed:
    """Read a signed feed, if one of the public `keys` signed it. Raises FeedSignatureFault or FeedFault."""
    if signer_of(data, keys) is None:
        problem = "it is not signed" if eddsa.read_feed(data).signature is None else "no key fits"
        raise eddsa.FeedSignatureFault(
            "the public feed can't be trusted, or was signed with another key than this profile's",
            where=feed_url,
            details=(problem, *(f"tried: {key}" for key in keys)),
            cure="use the key that installed apps trust; ./invoke keys.rotate plans how to change it",
        )
    return xml.parse(eddsa.read_feed(data).content, base_url=feed_url)


def signer_of(data: bytes, keys: Sequence[str]) -> str | None:
    """Return which of the public `keys` signed a feed, None if none of them did."""
    for key in keys:
        try:
            eddsa.verify_feed(data, key)
        except eddsa.FeedSignatureFault:
            continue
        return key
    return None


def require_sound(data: bytes, feed_url: str, app: AppFacts | None, before: Feed | None) -> list[Finding]:
    """Lint the feed that is to be published; return its warnings. Raises FeedFault for errors."""
    findings = lint(data, base_url=feed_url, app=app, published=before)
    errors = [one for one in findings if one.severity == "error" and one.id not in JUDGED_BY_AUDIENCE]
    if errors:
        raise FeedFault(
            f"the feed would do harm: {errors[0].what}",
            details=tuple(_line(one) for one in errors),
            cure=errors[0].cure,
        )
    return [one for one in findings if one.severity == "warning"]


def require_no_regression(before: Feed | None, after: Feed, now: datetime) -> None:
    """Refuse a feed from which some Mac would get less than it gets now. Raises FeedFault."""
    from appcast.audience import regressions, typical_hosts
    from appcast.audience_merge import describe

    lost = regressions(before, after, typical_hosts(before, after), now)
    if lost:
        raise FeedFault(
            f"the feed takes an update away from {len(lost)} kinds of Macs that have one now",
            details=describe(lost, [*(before.items if before else ()), *after.items])[:8],
            cure="mend it, or accept that with --allow-regression",
        )


def _line(finding: Finding) -> str:
    where = "" if finding.line is None else f"line {finding.line}: "
    return f"{where}{finding.what} ({finding.id})"


def _three_parts(system: str) -> str:
    if not system:
        raise Fault("the app's Info.plist has no LSMinimumSystemVersion", status=Exit.PLIST)
    return ".".join([*system.split("."), "0", "0"][:3])
