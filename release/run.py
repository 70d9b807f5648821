"""One release from start to end: what to ship, the checks before it, the steps, the summary after it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands import Runner, Subprocess
from errors import Exit, Fault
from release import config as configuration
from release import dispatch, workflow
from release import journal as journals
from release import pending as pendings
from release import version as versions
from release.config import Config
from release.digests import Digests
from release.dispatch import Asked
from release.files import point_link, write_json
from release.journal import Journal
from release.pipeline import Display, Outcome, Pipeline, Selection, check_selection, lock
from release.places import Places, places
from release.services import Services
from release.steps import STEPS
from release.steps.job import Job
from release.stop import stoppable
from release.version import Git, Version
from signing import eddsa
from signing.clock import Clock

if TYPE_CHECKING:
    from release.doctor import Case, Diagnosis


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    profile: str = "rehearsal"
    version: str | None = None
    build: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)
    wait: bool = True
    dist: Path | None = None
    allow_regression: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did."""

    config: Config
    version: Version
    places: Places
    journal: Journal
    outcomes: Sequence[Outcome]
    ready: Diagnosis | None = None  # of a dry run: whether a real one would start

    @property
    def complete(self) -> bool:
        """Whether every step has been done, by this run or before it."""
        return all(step.name in self.journal.entries for step in STEPS)


def release(
    root: Path,
    options: Options,
    display: Display,
    *,
    runner: Runner | None = None,
    clock: Clock | None = None,
) -> Done:
    """Bring a release up to date. Raises Fault; everything finished by then is kept and found again."""
    runner = runner or Subprocess()
    config = configuration.load(root, options.profile, overrides=options.overrides)
    check_selection(options.selection, [step.name for step in STEPS])
    dist = options.dist or root / "dist"
    with stoppable(), _disk(dist), lock(dist):
        return _bring_up_to_date(config, options, display, runner, clock)


def resume(
    root: Path,
    options: Options,
    display: Display,
    *,
    source: Path | None = None,
    asked: Asked | None = None,
    runner: Runner | None = None,
    clock: Clock | None = None,
) -> Done | None:
    """Finish a release that waits for Apple: `source`, or the one in this checkout. Nothing is built again.

    `asked`: the release that an event names, which `source` must be. None if it is public already. Raises
    Fault; PendingFault if the pending release is not this checkout's.
    """
    runner = runner or Subprocess()
    dist = options.dist or root / "dist"
    plain = configuration.load(root, options.profile, overrides=options.overrides)
    lost = source is not None and not source.is_file() and not (source / pendings.MANIFEST).is_file()
    if asked and lost and _is_public(plain, asked, dist, runner):
        return None  # the run that submitted it did not have to leave it
    with stoppable(), _disk(dist), lock(dist), _opened(source, dist, plain) as folder:
        carried = pendings.peek(folder)
        pendings.require_profile(folder, carried, plain)
        dispatch.require_same(asked, carried.version, carried.build, folder)
        wanted = replace(
            options,
            version=carried.version,
            build=carried.build,
            overrides={**carried.overrides, **options.overrides},
            selection=Selection(start="notarize", force=options.selection.force),
        )
        config = configuration.load(root, options.profile, overrides=wanted.overrides)
        home = places(config, carried.release, dist)
        with Services(config, home, runner, carried.epoch, clock=clock) as services:
            source_now = source_digest(config, Digests(dist / ".digests.json"))
            head = Git(runner, root).head()
            bundle = pendings.check(folder, config, source_now, head, services.trusted_keys)
            if not journals.load(home.journal).published and _offers(services, carried.build):
                shutil.rmtree(pendings.folder_of(home), ignore_errors=True)
                return None
            pendings.take(bundle, config, dist)
        return _bring_up_to_date(config, wanted, display, runner, clock)


def _opened(source: Path | None, dist: Path, config: Config) -> AbstractContextManager[Path]:
    return pendings.opened(source or _only_pending(dist, config), dist)


def _only_pending(dist: Path, config: Config) -> Path:
    found = pendings.waiting(dist, config.profile_name)
    if len(found) == 1:
        return found[0]
    raise Fault(
        "several releases wait for Apple" if found else "no release waits for Apple here",
        where=dist,
        cure="name one with --from FOLDER" if found else "--from FOLDER-OR-ZIP, or ./invoke release",
        details=tuple(str(folder) for folder in found),
        status=Exit.USAGE,
    )


def _is_public(config: Config, asked: Asked, dist: Path, runner: Runner) -> bool:
    home = places(config, Version(asked.version, asked.build, 0), dist)
    with Services(config, home, runner, 0) as services:
        return _offers(services, asked.build)


def _offers(services: Services, build: str) -> bool:
    """Whether the public feed offers `build` already: another run was faster."""
    found = services.public_side.read()
    return found is not None and any(item.version == build for item in found.feed.items)


def _bring_up_to_date(
    config: Config, options: Options, display: Display, runner: Runner, clock: Clock | None
) -> Done:
    dist = options.dist or config.root / "dist"
    digests = Digests(dist / ".digests.json")
    version, journal, home = choose(config, options, digests, runner, dist)
    with Services(config, home, runner, version.epoch, clock=clock) as services:
        look = partial(_case, config, version, home, services, runner, options)
        ready = _would_start(look()) if options.selection.dry_run else None
        if ready is None:
            check_before(services, journal, look)
        force, regress = options.selection.force, options.allow_regression
        job = Job(config, version, home, services, journal, options.wait, force, regress, options.overrides)
        pipeline = Pipeline(
            STEPS,
            job,
            root=config.root,
            folder=home.folder,
            journal=journal,
            digests=digests,
            display=display,
        )
        home.work.mkdir(parents=True, exist_ok=True)
        done = Done(config, version, home, journal, pipeline.run(options.selection), ready)
        if done.complete and not options.selection.dry_run:
            finish(done, job)
    return done


@contextmanager
def _disk(dist: Path) -> Iterator[None]:
    """Say it plainly when the disk is full, wherever in a release that shows."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Fault(
            "the disk is full",
            where=error.filename or dist,
            cure="free some space and run it again: it goes on where it stopped",
            status=Exit.DISK,
        ) from error


def choose(
    config: Config, options: Options, digests: Digests, runner: Runner, dist: Path
) -> tuple[Version, Journal, Places]:
    """Version, build and journal. Source that differs from what was published gets a build of its own."""
    git = Git(runner, config.root)  # whether it is clean and tagged, where that counts, the doctor looks at
    name = versions.version_of(git, options.version, require_tag=False)
    epoch = versions.epoch_of(git, dict(os.environ))
    source = source_digest(config, digests)
    if options.build is not None:
        build = versions.check_build(options.build)
    else:
        base = str(max(1, git.commits()))
        build = versions.next_build(base, _taken(config, name, base, epoch, dist), source)
    version = Version(name, build, epoch)
    home = places(config, version, dist)
    journal = journals.load(home.journal, config.profile_name)
    if journal.published and journal.source not in ("", source) and options.build is not None:
        raise versions.VersionFault(
            f"build {build} was published from other source",
            where=home.folder,
            cure="what is public under a number is never replaced: leave out --build, or give a higher one",
        )
    journal.source = source
    return version, journal, home


def source_digest(config: Config, digests: Digests) -> str:
    """One digest over everything that an artifact is made from."""
    import hashlib

    paths = [config.root / name for name in versions.SOURCES]
    paths += sorted(config.root.glob("CHANGELOG*.md"))
    text = "\n".join(digests.of(path) for path in paths)
    return hashlib.sha256(f"{text}\n{config.profile_name}".encode()).hexdigest()


def _taken(config: Config, name: str, base: str, epoch: int, dist: Path) -> dict[str, str]:
    """Builds of this base that were published from this checkout → the digest of their source."""
    taken: dict[str, str] = {}
    for path in dist.glob(f"{name}-{base}*/journal.json"):
        build = path.parent.name.removeprefix(f"{name}-").removesuffix(f"-{config.profile_name}")
        if build == base or build.startswith(f"{base}."):
            entry = journals.load(path)
            if entry.published and places(config, Version(name, build, epoch), dist).journal == path:
                taken[build] = entry.source
    return taken


def check_before(services: Services, journal: Journal, look: Callable[[], Case]) -> None:
    """Everything that would make the release fail late is looked at before anything is built.

    A production release asks the doctor; for a rehearsal that is more than it needs.
    """
    config = services.config
    _ = services.webhook_token  # raises if no address can hold it
    settled = journal.published and config.profile.sparkle.retiring_key is None
    if config.rehearsal:
        _ = services.sparkle_key  # raises if it isn't the key that installed apps trust
        if settled:
            return
    from release import doctor  # late: it knows nearly everything, and a run with nothing to do is quick

    case = look()
    if not config.rehearsal:
        doctor.gate(case, published=settled).require()
        return
    doctor.keys.installed(case)
    if not journal.published:
        doctor.keys.rising(case)


def _would_start(case: Case) -> Diagnosis:
    from release import doctor

    return doctor.plan(case)


def _case(
    config: Config, version: Version, home: Places, services: Services, runner: Runner, options: Options
) -> Case:
    from release import doctor

    names = [step.name for step in STEPS]
    start = names.index(options.selection.start) if options.selection.start else 0
    taken = start > names.index("embed")
    return doctor.case_of(config, version, home, services, runner, asked=options.version, taken=taken)


def finish(done: Done, job: Job) -> None:
    """Write release.json and point `dist/current` at this release."""
    home, facts = done.places, done.journal.entries
    (home.folder / "certificate.pem").write_bytes(job.services.trust)
    summary = {
        "version": done.version.version,
        "build": done.version.build,
        "profile": done.config.profile_name,
        "arch": done.config.app.arch,
        "app": os.path.relpath(home.app, home.folder),
        "dmg": os.path.relpath(home.image, home.folder),
        "appcast": os.path.relpath(home.appcast, home.folder),
        "dmg_sha256": facts["staple"].facts["sha256"],
        "ed_signature": facts["eddsa"].facts["signature"],
        "ed_public_key": eddsa.public_key(job.services.signing_key),
        "certificate_pem": "certificate.pem",
        "steps": [{"name": one.name, "status": one.status, "seconds": one.seconds} for one in done.outcomes],
    }
    write_json(home.summary, summary)
    point_link(home.dist / "current", home.folder.name)
    shutil.rmtree(pendings.folder_of(home), ignore_errors=True)
    workflow.finished(os.environ)
    if done.config.rehearsal:
        _forget_old_work(home)


def _forget_old_work(home: Places) -> None:
    """Remove intermediate results of other finished rehearsals: nobody goes back to a build."""
    for summary in home.dist.glob("*/release.json"):
        if summary.parent not in (home.folder, home.dist / "current"):
            shutil.rmtree(summary.parent / "work", ignore_errors=True)
