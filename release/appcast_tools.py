"""What `./invoke appcast.lint`, `appcast.show` and `appcast.select` do; release.appcast_report prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appcast import audience, xml
from appcast.audience_merge import Axes, Group, merged
from appcast.client import Host, Selection, select
from appcast.feed import Feed, Item
from appcast.lint import GRADES, AppFacts, Finding, worst
from appcast.lint import lint as lint_feed
from appcast.xml import MAX_BYTES
from errors import Exit, Fault
from release import appcast_download as download
from release.appcast_source import Source, read
from release.feed import app_facts

if TYPE_CHECKING:
    import requests

    from release.config import Config


@dataclass(frozen=True, slots=True)
class Linted:
    """What was found in a feed; `files` and `size` (bytes) of what was downloaded, None if nothing was."""

    target: str
    items: int
    findings: tuple[Finding, ...]
    files: int | None = None
    size: int = 0

    def count(self, severity: str) -> int:
        """Return the number of findings of one severity."""
        return sum(each.severity == severity for each in self.findings)

    def counted(self) -> list[str]:
        """Say how many there are of each severity that occurs: `2 errors`, `1 note`."""
        counts = [(self.count(severity), severity) for severity in GRADES]
        return [f"{count} {severity}{'s' * (count != 1)}" for count, severity in counts if count]

    def require(self, *, strict: bool = False) -> Linted:
        """Return itself; raise Fault, status APPCAST, if there is an error, or a warning and `strict`."""
        gravest = worst(self.findings)
        if gravest == "error" or (strict and gravest == "warning"):
            counts = ", ".join(self.counted())
            raise Fault(
                f"the feed would do harm: {counts}",
                where=self.target,
                cure="each finding above has its own",
                status=Exit.APPCAST,
            )
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the findings as plain values for JSON."""
        counts = {f"{severity}s": self.count(severity) for severity in ("error", "warning", "note")}
        return {**asdict(self), **counts, "ok": worst(self.findings) != "error"}


@dataclass(frozen=True, slots=True)
class Shown:
    """Who gets what from a feed, and from which on anything changed against another one."""

    target: str
    against: str | None
    now: datetime
    groups: tuple[Group, ...]
    changed: tuple[Group, ...]
    rollouts: tuple[tuple[Item, int], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the groups of hosts as plain values for JSON."""
        rollouts = [{"version": item.version, "groups": groups} for item, groups in self.rollouts]
        return {
            "target": self.target,
            "against": self.against,
            "now": self.now.isoformat(),
            "groups": [_group_json(group) for group in self.groups],
            "changed": [_group_json(group) for group in self.changed],
            "rollouts": rollouts,
        }


def lint(
    target: str,
    *,
    session: requests.Session | None = None,
    look_inside: bool = False,
    app: Path | None = None,
    against: str | None = None,
    now: datetime | None = None,
    on_progress: download.Advance | None = None,
) -> Linted:
    """Lint the feed at a path or address.

    `look_inside`: download what it points to. `app`: an .app, whose key, version and needs are compared.
    `against`: the published feed. Raises Fault if a feed or the app cannot be had.
    """
    source = read(target, session)
    facts = app_facts(app) if app is not None else None
    published = opened(read(against, session)) if against else None
    now = now or datetime.now(UTC)
    if not look_inside:
        return _linted(
            source, lint_feed(source.data, base_url=source.url, app=facts, published=published, now=now)
        )
    checked = _look_inside(source, session, facts, on_progress)
    facts = facts or checked.app
    found = lint_feed(source.data, base_url=source.url, app=facts, published=published, now=now)
    return _linted(source, [*found, *checked.findings], checked)


def show(
    target: str,
    *,
    session: requests.Session | None = None,
    against: str | None = None,
    now: datetime | None = None,
) -> Shown:
    """Work out who is offered what by the feed at `target`, and what changes against another feed."""
    source = read(target, session)
    feed, before = opened(source), opened(read(against, session)) if against else None
    now = now or datetime.now(UTC)
    items = [*feed.items, *(before.items if before is not None else ())]
    hosts = audience.typical_hosts(feed, before, impossible=True)
    axes = Axes.of(items)
    groups = merged(audience.audience(feed, hosts, now), axes)
    changed: Sequence[Group] = ()
    if before is not None:
        possible = audience.typical_hosts(feed, before)
        rows = audience.audience(feed, possible, now, before=before)
        changed = merged([row for row in rows if row.changed], axes)
    return Shown(target, against, now, tuple(groups), tuple(changed), tuple(audience.rollouts(feed, now)))


def choose(
    target: str, host: Host, *, session: requests.Session | None = None, now: datetime | None = None
) -> Selection:
    """Return what one host would be offered by the feed at `target`, and what became of every other item."""
    return select(opened(read(target, session)), host, now or datetime.now(UTC))


def host_of(
    version: str,
    system: str,
    arch: str = "arm64",
    channels: Sequence[str] = (),
    *,
    group: int = 1,
    user_initiated: bool = False,
    skipped: str | None = None,
) -> Host:
    """Make a host of what was typed; `group` is 1 to 7. Raises Fault, status USAGE, for what no Mac is."""
    if arch not in ("arm64", "x86_64"):
        raise Fault(f"there is no Mac with {arch}", cure="--arch arm64 or x86_64", status=Exit.USAGE)
    if not 1 <= group <= 7:
        raise Fault(f"there is no group {group} in a rollout", cure="--group 1 to 7", status=Exit.USAGE)
    if not version or not system:
        raise Fault("no Mac was described", cure="--version BUILD --system 14.5", status=Exit.USAGE)
    return Host(
        version,
        system,
        "x86_64" if arch == "x86_64" else "arm64",
        frozenset(channels),
        phased_group=group - 1,
        user_initiated=user_initiated,
        skipped_version=skipped,
    )


def moment(text: str) -> datetime:
    """Read the moment for which to tell, ISO 8601, UTC if it names no zone; now if it is empty."""
    if not text:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(
            f"{text!r} is no moment", cure="--now 2026-12-31 or 2026-12-31T18:00", status=Exit.USAGE
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def opened(source: Source) -> Feed:
    """Read a feed, signed or not; the signature is not judged here. Raises FeedFault."""
    return xml.parse(source.data, base_url=source.url)


@contextmanager
def public_session(root: Path, target: str) -> Iterator[requests.Session]:
    """HTTP for the feed at `target`; a rehearsal's site does not run by itself, so it is started for one."""
    import requests

    from commands import Subprocess
    from release.config import load
    from release.places import world
    from release.services import Services

    config = load(root)
    if not _is_rehearsed(config, target):
        with requests.Session() as session:
            yield session
        return
    with Services(config, world(config), Subprocess(), 0) as services:
        yield services.public_session()


def _is_rehearsed(config: Config, target: str) -> bool:
    """Tell whether a feed is, or points to, what a rehearsal in this checkout has published."""
    if not config.rehearsal or not (config.root / "dist/rehearsal/bucket").is_dir():
        return False
    if "://" in target:
        return target.startswith(f"{config.site}/")
    path = Path(target)
    return path.is_file() and path.stat().st_size <= MAX_BYTES and config.site.encode() in path.read_bytes()


def _look_inside(
    source: Source,
    session: requests.Session | None,
    app: AppFacts | None,
    on_progress: download.Advance | None,
) -> download.Checked:
    """Download what a feed points to, so far as it can be read: what it cannot is the linter's to say."""
    import requests

    try:
        feed = xml.parse(source.data, base_url=source.url, strict=False)
    except Fault:
        return download.Checked((), None, 0, 0)
    session = session or requests.Session()
    return download.check(feed, session, base_url=source.url, app=app, on_progress=on_progress)


def _linted(source: Source, found: Sequence[Finding], checked: download.Checked | None = None) -> Linted:
    ordered = tuple(sorted(found, key=lambda each: GRADES.index(each.severity)))
    try:
        items = len(xml.parse(source.data, strict=False).items)
    except Fault:
        items = 0
    if checked is None:
        return Linted(source.name, items, ordered)
    return Linted(source.name, items, ordered, checked.files, checked.size)


def _group_json(group: Group) -> dict[str, Any]:
    words = {
        "builds": group.versions,
        "systems": group.systems,
        "macs": group.architectures,
        "channels": group.channels,
        "rollout_groups": group.groups,
        "offer": asdict(group.row.offer),
    }
    return words if group.row.before is None else {**words, "before": asdict(group.row.before)}
