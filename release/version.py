"""Which version and build this is.

The version comes from the tag (`v1.2.3`) or from `--version`. The build number is what Sparkle compares
(CFBundleVersion): dotted numbers only, for its comparator has traps with anything else, and strictly rising.
It counts the commits that touch what is shipped, so the same source gives the same build on any machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from commands import Runner
from errors import Exit, Fault

# What an artifact is made from. A change elsewhere (docs, tests) makes no new build.
SOURCES = (
    "app", "release", "signing", "appcast", "errors.py", "commands.py", "release.toml", "requirements",
)  # fmt: skip

_VERSION = re.compile(r"\d+(\.\d+){1,2}", re.ASCII)
_BUILD = re.compile(r"[1-9]\d*(\.\d+){0,3}", re.ASCII)
_FALLBACK = "0.1.0"


class VersionFault(Fault):
    """A version or build that can't be shipped."""

    status = Exit.VERSION


class GitFault(Fault):
    """The checkout isn't fit for a production release."""

    status = Exit.GIT


@dataclass(frozen=True, slots=True)
class Version:
    """A marketing version, a build number, and the time that stamps every file (seconds since 1970)."""

    version: str
    build: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.version}-{self.build}"


def check_version(text: str) -> str:
    """`text` if it is a version (`1.2` or `1.2.3`), else VersionFault."""
    if not _VERSION.fullmatch(text):
        raise VersionFault(
            f"{text!r} is not a version",
            cure="two or three numbers with dots between, such as 1.2.3, and no suffix",
        )
    return text


def check_build(text: str) -> str:
    """`text` if it may be a CFBundleVersion, else VersionFault."""
    if not _BUILD.fullmatch(text):
        raise VersionFault(
            f"{text!r} is not a build number", cure="one to four numbers with dots between, from 1 up"
        )
    return text


def key(build: str) -> tuple[int, ...]:
    """A build number as Sparkle orders it: number by number; `57 < 57.1 < 58`."""
    return tuple(int(part) for part in build.split("."))


def next_build(base: str, taken: dict[str, str], source: str) -> str:
    """The build for `source` (a digest) when `taken` maps published builds of this base to their source.

    The same source keeps its build as long as nothing newer is public. Otherwise it gets the next fraction:
    what is public under a number is never replaced, and going back is a new build too, for Sparkle never
    downgrades.
    """
    if not taken:
        return base
    highest = max(taken, key=key)
    if taken[highest] == source:
        return highest
    last = key(highest)[-1] if highest.count(".") > base.count(".") else 0
    return f"{base}.{last + 1}"


class Git:
    """What the checkout knows of itself. Works, with fallbacks, where there is no git history."""

    def __init__(self, runner: Runner, root: Path) -> None:
        self._runner = runner
        self._root = root

    def _ask(self, *words: str) -> str | None:
        result = self._runner.run(["git", "-C", self._root, *words], check=False)
        return result.stdout.decode("utf-8", "replace").strip() if result.status == 0 else None

    def tag(self) -> str | None:
        """The version in the `v…` tag on HEAD."""
        text = self._ask("describe", "--tags", "--exact-match", "--match", "v[0-9]*")
        return text.removeprefix("v") if text else None

    def nearest_tag(self) -> str | None:
        """The version in the last `v…` tag before HEAD."""
        text = self._ask("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
        return text.removeprefix("v") if text else None

    def tags(self) -> tuple[str, ...]:
        """The versions in all `v…` tags, lowest first; tags that are no version are passed over."""
        names = (self._ask("tag", "--list", "v[0-9]*") or "").splitlines()
        found = [name.removeprefix("v") for name in names if _VERSION.fullmatch(name.removeprefix("v"))]
        return tuple(sorted(found, key=key))

    def branch(self) -> str | None:
        """The branch checked out; None where HEAD is none."""
        return self._ask("symbolic-ref", "--quiet", "--short", "HEAD")

    def subject(self) -> str:
        """The first line of HEAD's message."""
        return self._ask("log", "-1", "--format=%s") or ""

    def dirty(self) -> tuple[str, ...]:
        """Files that differ from HEAD, or that git doesn't know."""
        text = self._ask("status", "--porcelain", "--untracked-files=normal")
        return tuple(text.splitlines()) if text else ()

    def commits(self) -> int:
        """How many commits touched what is shipped."""
        return int(self._ask("rev-list", "--count", "HEAD", "--", *SOURCES) or 0)

    def time(self) -> int:
        """When the last of them was made, in seconds since 1970."""
        return int(self._ask("log", "-1", "--format=%ct", "--", *SOURCES) or 0)

    def head(self) -> str | None:
        """The commit checked out, 40 hex digits."""
        return self._ask("rev-parse", "HEAD")


def version_of(git: Git, asked: str | None, *, require_tag: bool) -> str:
    """The version to ship: asked for, tagged, or (a rehearsal) that of the last tag."""
    tag = git.tag()
    if asked is not None:
        check_version(asked)
        if require_tag and tag != asked:
            raise GitFault(
                f"HEAD carries {'the tag v' + tag if tag else 'no tag'}, not v{asked}",
                cure=f"./invoke tag makes it, or check out the tag v{asked}",
            )
        return asked
    if tag is not None:
        return check_version(tag)
    if require_tag:
        raise GitFault(
            "HEAD carries no version tag",
            cure="./invoke tag makes one of what ./invoke bump has dated; or check out the tag",
        )
    nearest = git.nearest_tag()
    return check_version(nearest) if nearest else _FALLBACK


def require_clean(git: Git) -> None:
    """GitFault if anything differs from HEAD: a production release is made from a commit."""
    changes = git.dirty()
    if changes:
        raise GitFault(
            f"the checkout has {len(changes)} uncommitted change(s)",
            cure="commit or remove them: a production release is made from a commit",
            details=changes[:8],
        )


def epoch_of(git: Git, environ: dict[str, str]) -> int:
    """SOURCE_DATE_EPOCH if set, else the time of the last commit that touched what is shipped."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if text and not text.isdigit():
        raise VersionFault(f"SOURCE_DATE_EPOCH is {text!r}", cure="seconds since 1970, as digits")
    return int(text) if text else (git.time() or 1_767_225_600)  # 2026-01-01 where there is no history
