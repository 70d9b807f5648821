"""The next version: chosen by what the changelog says, and dated there.

Nothing is released and nothing tagged by it; `./invoke tag` follows once the change is committed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release import changelog
from release import version as versions
from release.changelog import LEVELS, RULE, Level
from release.config import Config
from release.notes import UNRELEASED, read
from release.version import Git, VersionFault


@dataclass(frozen=True, slots=True)
class Bump:
    """What is to be written. `before` is the version that `version` follows, None for the first one.

    `build` is the number that a release of it would get now. `texts`: the changelogs as they will be.
    `unknown` says why what is published could not be looked at, "" if it could.
    """

    version: str
    before: str | None
    level: Level | None
    why: str
    date: str
    build: str
    texts: tuple[tuple[Path, str], ...]
    body: str
    unknown: str = ""


def plan(
    root: Path,
    wish: str = "",
    *,
    runner: Runner,
    today: date,
    published: Sequence[str] = (),
    unknown: str = "",
) -> Bump:
    """Choose the next version: by the changelog, or `wish`: major, minor, patch or a version.

    `published` are versions that are public. Raises Fault: GIT for a tree that is not clean, VERSION for an
    empty section and for a version that does not rise, USAGE for a wish that is neither.
    """
    git = Git(runner, root)
    _require_history(git)
    versions.require_clean(git)
    paths = changelog.files(root)
    found = [changelog.require(path, UNRELEASED) for path in paths]
    known = [*git.tags(), *published]
    before = max(known, key=changelog.parts, default=None)
    chosen, level, why = _chosen(wish, before, found[0].level)
    _require_rising(chosen, known, paths)
    texts = tuple((path, changelog.dated(read(path), chosen, today.isoformat())) for path in paths)
    build = str(max(1, git.commits()))
    return Bump(chosen, before, level, why, today.isoformat(), build, texts, found[0].body, unknown)


def published_versions(config: Config, runner: Runner, dist: Path) -> tuple[tuple[str, ...], str]:
    """Return the versions that the profile's feed offers, or none and why they could not be had."""
    from release import published
    from release.places import world
    from release.services import Services

    home = world(config, dist)
    if config.rehearsal and not (home.rehearsal / "bucket").is_dir():
        return (), ""
    try:
        with Services(config, home, runner, 0) as services:
            feed = published.feed(config, services)
    except Fault as fault:
        return (), fault.what
    offered = [item.short_version or "" for item in feed.items] if feed else []
    return tuple(one for one in offered if _is_version(one)), ""


def write(bump: Bump) -> None:
    """Write the changelogs: all are on disk under temporary names before the first is renamed."""
    waiting: list[tuple[Path, Path]] = []
    try:
        for path, text in bump.texts:
            waiting.append((_beside(path, text), path))
        while waiting:
            temporary, path = waiting[0]
            temporary.replace(path)
            waiting.pop(0)
    except OSError as error:
        raise Fault(
            f"the changelog cannot be written: {error.strerror}", where=error.filename, status=Exit.DISK
        ) from error
    finally:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink()


def commit(bump: Bump, root: Path, runner: Runner) -> None:
    """Commit the changelogs, and nothing else."""
    names = [path.relative_to(root).as_posix() for path, _ in bump.texts]
    runner.run(["git", "-C", root, "commit", "--quiet", "-m", f"Release {bump.version}", "--", *names])


def _beside(path: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(path.stat().st_mode & 0o777)
    return Path(name)


def _require_history(git: Git) -> None:
    if git.head() is None:
        raise versions.GitFault("there is no commit here", cure="run it in the project's git checkout")


def _chosen(wish: str, before: str | None, found: Level) -> tuple[str, Level | None, str]:
    """Return the version, how much it changes, and why it is that one."""
    if not wish:
        why = f"the changelog makes it {found}" if before else "the first release"
        return changelog.next_version(before, found), found, why
    if wish in LEVELS:
        level = LEVELS[LEVELS.index(wish)]
        base = changelog.parts(before) if before else (0, 0, 0)
        return changelog.raised(base, level), level, "as asked"
    try:
        return versions.check_version(wish), None, "as asked"
    except VersionFault as fault:
        raise Fault(
            f"{wish!r} is neither a version nor one of {', '.join(LEVELS)}",
            cure=f"leave it out, and the changelog decides. {RULE}",
            status=Exit.USAGE,
        ) from fault


def _require_rising(version: str, known: Sequence[str], paths: Sequence[Path]) -> None:
    """Refuse a version that is not above all that is tagged or public, or that a changelog has already."""
    wanted = changelog.parts(version)
    if above := [one for one in known if changelog.parts(one) >= wanted]:
        highest = max(above, key=changelog.parts)
        raise VersionFault(
            f"{version} does not rise above {highest}, which is tagged or published",
            cure=f"choose one above it, such as {changelog.raised(changelog.parts(highest), 'patch')}",
        )
    for path in paths:
        if changelog.find(read(path), version) is not None:
            raise VersionFault(
                f"{path.name} has a section for {version} already",
                where=path,
                cure="commit and tag it (./invoke tag), or choose another version",
            )


def _is_version(text: str) -> bool:
    try:
        versions.check_version(text)
    except VersionFault:
        return False
    return True
