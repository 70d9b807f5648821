"""What is to be released: the commit, its tag, its changelog, its inputs."""

from __future__ import annotations

from errors import Exit, Fault
from release import changelog
from release import version as versions
from release.doctor.case import Case
from release.doctor.check import NotChecked
from release.notes import CHANGELOG, UNRELEASED
from release.version import Git, GitFault


def commit(case: Case) -> str:
    """Look whether everything is committed. Raises GitFault where the profile asks for that."""
    git = _git(case)
    head = git.head()
    if head is None:
        if case.config.profile.require_clean:
            raise GitFault("there is no commit here", cure="run it in the project's git checkout")
        raise NotChecked("this is no git checkout: the build number can't be counted")
    if case.config.profile.require_clean:
        versions.require_clean(git)
    changes = len(git.dirty())
    return f"{head[:12]}, {f'{changes} uncommitted change(s)' if changes else 'clean'}"


def tag(case: Case) -> str:
    """Look whether HEAD carries the version's tag. Raises GitFault where the profile asks for one."""
    git = _git(case)
    name = versions.version_of(git, case.asked, require_tag=case.config.profile.require_tag)
    return f"v{name}" if git.tag() == name else f"none on HEAD; {name} comes next"


def notes(case: Case) -> str:
    """Look whether the changelog, and each translation, has the version's section."""
    version = case.version.version
    if not case.config.rehearsal:
        section = changelog.released(case.config.root, version)
        return f"[{version}] of {section.date}, in {len(changelog.files(case.config.root))} language(s)"
    main = case.config.root / CHANGELOG
    name = version if changelog.find(main.read_text("utf-8"), version) else UNRELEASED
    for path in changelog.files(case.config.root):
        changelog.require(path, name)
    return f"[{name}]"


def pins(case: Case) -> str:
    """Look whether every input that goes into a release is pinned by digest. Raises Fault CONFIG."""
    from release.inputs import require_pinned
    from release.steps.build import needed_pins
    from release.steps.job import python_minor

    needed = needed_pins(case.config.app.arch, python_minor())
    pins = case.services.pins
    if absent := [name for name in needed if name not in pins]:
        raise Fault(
            f"not pinned: {', '.join(absent)}",
            where=f"release.toml [inputs.{case.config.profile_name}]",
            cure="pin them, or choose a Python that is pinned: PYTHON=python3.12 ./invoke …",
            status=Exit.CONFIG,
        )
    require_pinned(pins, needed)
    return ", ".join(needed)


def _git(case: Case) -> Git:
    return Git(case.runner, case.config.root)
