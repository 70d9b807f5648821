"""Sparkle's key: the private half, the app's Info.plist, the apps that are installed."""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import Path

from appcast.feed import Feed
from errors import Exit, Fault
from release import continuity
from release import version as versions
from release.doctor.case import Case
from release.doctor.check import NotChecked, Warn
from release.services import placed


def pair(case: Case) -> str:
    """Look whether the private key belongs to the public one that is configured. Raises Fault SECRET."""
    uri = placed(case.config.profile.sparkle.private_key, case.config.root, case.places.dist)
    if case.config.rehearsal and uri.startswith("file:") and not Path(uri[5:]).exists():
        return "a throwaway one is made on the first run"
    return f"{case.services.sparkle_public_key}, the private key fits"


def plist(case: Case) -> str | Warn:
    """Look whether the app that was built for this release carries that key. Raises Fault SECRET."""
    info = case.places.app / "Contents" / "Info.plist"
    if not info.is_file():
        raise NotChecked("the app has not been built yet; it gets the key above")
    carried = plistlib.loads(info.read_bytes()).get("SUPublicEDKey", "")
    if carried != case.services.sparkle_public_key:
        own = case.services.sparkle_public_key
        said = f"the app that was built trusts {carried or 'no key'}, this release is for {own}"
        if not case.taken:
            return Warn(said, "./invoke release builds it again")
        cure = "leave out --from: the app has to be built again"
        raise Fault(said, where=info, cure=cure, status=Exit.SECRET)
    return "the app that was built carries it"


def installed(case: Case) -> str:
    """Look whether installed apps would accept the release, by what the published feed says of them.

    Chooses, as a release has to, the key that signs it. Raises RotationFault: another key than theirs, or
    key and certificate changed at once.
    """
    feed = case.public()
    continuity.check(case.config, case.version, case.services, feed)
    before = continuity.installed_before(feed, case.version.build)
    if before is None:
        return "no release is on record: nobody has to accept it"
    if case.services.hand_over:
        return f"hands over from {before.public_key}, which build {before.last} trusts; same certificate"
    now = continuity.signers(case.config, case.services)
    change = "the same" if now.certificate in (None, before.certificate) else "a new"
    return f"build {before.last} trusts the same key; {change} certificate"


def rising(case: Case) -> str:
    """Look whether the build rises above what is published. Raises VersionFault."""
    feed = case.public()
    require_rising(case.version.build, [item.version for item in feed.items] if feed else [])
    return f"build {case.version.build}, above {_highest(feed)}" if feed else f"build {case.version.build}"


def require_rising(build: str, builds: Sequence[str]) -> None:
    """Refuse a build that is not above all `builds`."""
    higher = [one for one in builds if versions.key(one) >= versions.key(build)]
    if higher:
        highest = max(higher, key=versions.key)
        raise versions.VersionFault(
            f"build {build} does not rise above {highest}, which is published",
            cure=f"--build {versions.key(highest)[0] + 1}, or more",
        )


def _highest(feed: Feed) -> str:
    return max((item.version for item in feed.items), key=versions.key, default="none")
