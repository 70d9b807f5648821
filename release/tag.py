"""The tag that makes a commit a release: `vX.Y.Z`, signed, with the changelog's section as its message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from commands import Result, Runner
from errors import Fault
from release import changelog
from release import version as versions
from release.config import Config
from release.notes import CHANGELOG, UNRELEASED, read
from release.version import Git, GitFault, VersionFault

UNSIGNED = "--unsigned makes one that nobody can check"


@dataclass(frozen=True, slots=True)
class Tag:
    """What is to be made. `head` is the commit (40 hex digits), `branch` "" where none is checked out."""

    version: str
    head: str
    subject: str
    branch: str
    remote: str
    message: str
    signed: bool = True

    @property
    def name(self) -> str:
        """The tag's name."""
        return f"v{self.version}"

    @property
    def push(self) -> str:
        """The command that makes it public, with its commit, both or none."""
        branch = f"{self.branch} " if self.branch else ""
        return f"git push --atomic {self.remote} {branch}{self.name}"


def plan(config: Config, version: str = "", *, runner: Runner, commit: str = "", signed: bool = True) -> Tag:
    """Look whether HEAD may be tagged as `version` (default: the newest one in the changelog).

    `commit`: the (abbreviated) id that HEAD has to have. Raises Fault: VERSION if the changelog is not ready
    for it or it does not rise, GIT if the tree is not clean, the tag is there, or HEAD is another commit.
    """
    root = config.root
    git = Git(runner, root)
    head = git.head()
    if head is None:
        raise GitFault("there is no commit here", cure="run it in the project's git checkout")
    versions.require_clean(git)
    _require_head(head, commit)
    version = versions.check_version(version) if version else _newest(root)
    _require_new(git, version)
    section = changelog.released(root, version)
    _require_nothing_left(root, version)
    message = f"{config.app.name} {version}\n\n{section.body}\n"
    return Tag(version, head, git.subject(), git.branch() or "", _remote(runner, root), message, signed)


def make(tag: Tag, root: Path, runner: Runner) -> None:
    """Make the tag. Raises GitFault if git has no key to sign with, or cannot."""
    how = "--sign" if tag.signed else "--annotate"
    # Verbatim: the headings in the message start with what git takes for comments.
    argv = ["git", "-C", str(root), "tag", how, "--cleanup=verbatim", "--file=-", tag.name, tag.head]
    done = runner.run(argv, stdin=tag.message.encode(), check=False)
    if done.status:
        raise _failed(done, tag)
    if tag.signed and not _is_signed(tag, root, runner):
        runner.run(["git", "-C", root, "tag", "--delete", tag.name])
        raise _failed(done, tag)


def _is_signed(tag: Tag, root: Path, runner: Runner) -> bool:
    """Look into the tag: git 2.39 makes an unsigned one, with status 0, where its SSH key cannot be read."""
    made = runner.run(["git", "-C", root, "cat-file", "tag", tag.name], check=False)
    return re.search(rb"^-----BEGIN [A-Z ]+-----$", made.stdout, re.M) is not None


def _failed(done: Result, tag: Tag) -> Fault:
    said = done.tail()
    if not tag.signed:
        return GitFault(f"git could not make the tag {tag.name}", details=said)
    return GitFault(
        f"git could not sign the tag {tag.name}; none was made",
        details=said,
        cure="give git a key: git config user.signingkey KEY, and for an SSH key git config gpg.format ssh;"
        f" {UNSIGNED}",
    )


def _require_head(head: str, commit: str) -> None:
    if commit and (not re.fullmatch(r"[0-9a-f]{7,40}", commit) or not head.startswith(commit)):
        raise GitFault(f"HEAD is {head[:12]}, not {commit}", cure=f"git switch --detach {commit}")


def _newest(root: Path) -> str:
    found = changelog.newest(read(root / CHANGELOG))
    if found is None:
        raise changelog.ChangelogFault(
            f"{CHANGELOG} has no version yet", where=root / CHANGELOG, cure="./invoke bump dates one"
        )
    return versions.check_version(found.name)


def _require_new(git: Git, version: str) -> None:
    tags = git.tags()
    if version in tags:
        raise GitFault(
            f"there is a tag v{version} already",
            cure="./invoke bump for another version; what may be public is never tagged anew",
        )
    if above := [one for one in tags if changelog.parts(one) >= changelog.parts(version)]:
        raise VersionFault(
            f"{version} does not rise above {above[-1]}, which is tagged", cure="./invoke bump chooses one"
        )


def _require_nothing_left(root: Path, version: str) -> None:
    """Refuse a commit that has more than the changelog says of the version."""
    path = root / CHANGELOG
    left = changelog.find(read(path), UNRELEASED)
    if left is not None and left.kinds:
        raise changelog.ChangelogFault(
            f"HEAD has more than {version}: there are entries under [Unreleased]",
            where=f"{path}:{left.line + 1}",
            cure="./invoke bump takes them into a version; or check out the commit that is meant",
        )


def _remote(runner: Runner, root: Path) -> str:
    names = runner.run(["git", "-C", root, "remote"], check=False).stdout.decode().split()
    return "origin" if "origin" in names or not names else names[0]
