"""The public side as everybody reaches it, and the clock by what its answers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errors import Exit, Fault
from release import published
from release.doctor.case import Case, Dates
from release.doctor.check import NotChecked, Warn

if TYPE_CHECKING:
    import requests

SLIGHT, SKEWED = 10.0, 60.0  # seconds; Apple refuses tokens that come from the future


def reachable(case: Case) -> str:
    """Ask for the site's front page. Raises Fault NETWORK."""
    return answers(case.config.site, case.dates.watch(case.services.public_session()))


def answers(site: str, session: requests.Session) -> str:
    """Ask for a page; whatever is below 500 shows that somebody is there."""
    import requests

    cure = "check the network, the site's DNS, and that it is deployed (./invoke worker.deploy)"
    try:
        answer = session.get(f"{site}/", timeout=published.TIMEOUT)
    except requests.RequestException as error:
        raise Fault(
            f"the site can't be reached: {type(error).__name__}", where=site, cure=cure, status=Exit.NETWORK
        ) from error
    if answer.status_code >= 500:
        raise Fault(f"the site answers {answer.status_code}", where=site, cure=cure, status=Exit.NETWORK)
    return f"{site} answers {answer.status_code}"


def feed(case: Case) -> str | Warn:
    """Fetch the published feed, check its signature and lint it. Raises Fault NETWORK, APPCAST."""
    data = published.fetch(case.config, case.services)
    if data is None:
        raise NotChecked("nothing is published yet")
    return sound(data, case.config.feed_url, case.services.trusted_keys, case)


def sound(data: bytes, url: str, keys: tuple[str, ...], case: Case) -> str | Warn:
    """Check a feed's signature and lint it. Raises Fault APPCAST naming what is wrong."""
    from appcast.lint import lint
    from release.feed import open_feed

    items = open_feed(data, url, keys).items
    found = lint(data, base_url=url, now=case.now())
    errors = tuple(f"{one.item or 'feed'}: {one.what}" for one in found if one.severity == "error")
    if errors:
        cure = "./invoke appcast.lint shows all of it; a release or ./invoke rollback replaces the feed"
        raise Fault(
            "the published feed would keep updates from working",
            details=errors,
            cure=cure,
            status=Exit.APPCAST,
        )
    said = f"signed, {len(items)} item(s), newest {items[0].version if items else 'none'}"
    warnings = [one.what for one in found if one.severity == "warning"]
    return (
        Warn(f"{said}; {len(warnings)} warning(s): {warnings[0]}", "./invoke appcast.lint")
        if warnings
        else said
    )


def clock(dates: Dates) -> str | Warn:
    """Hold this machine's clock against those of the servers that answered. Raises Fault FAILED."""
    if not dates.ahead:
        raise NotChecked("nobody answered with the time")
    host, ahead = sorted(dates.ahead.items(), key=lambda one: abs(one[1]))[len(dates.ahead) // 2]
    said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} {host}"
    if abs(ahead) > SKEWED:
        raise Fault(
            f"this machine's clock is {said}", cure="set it: tokens carry the time", status=Exit.FAILED
        )
    return Warn(said, "set this machine's clock before long") if abs(ahead) > SLIGHT else said
