"""sbom, provenance: what the app is made of and where it comes from, written down and signed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from errors import Exit, Fault
from release import submission as submissions
from release.bridge import SOURCE as BRIDGE
from release.files import sha256, write_atomic
from release.pipeline import Advance, Needs, Step
from release.steps.build import APP_LOCK, site_packages
from release.steps.job import Facts, Job, paths, tools

if TYPE_CHECKING:
    from release.provenance import Build, Resource

LOCKS = (APP_LOCK, BRIDGE / "package-lock.json", Path("requirements/tool.txt"))


def _sbom_needs(job: Job) -> Needs:
    return Needs(
        files=[job.root / APP_LOCK, job.root / APP_LOCK.with_suffix(".in"), job.root / BRIDGE],
        tools=tools("cyclonedx-python-lib", "packageurl-python", "py2app"),
        code=["release/sbom"],
        after=["inputs", "embed", "audit"],
    )


def _sbom_run(job: Job, advance: Advance) -> Facts:
    from release.sbom import Ingredients, compose, cyclonedx

    app = job.config.app
    subject = cyclonedx.Subject(
        name=app.name,
        version=job.version.version,
        build=job.version.build,
        bundle_id=job.config.bundle_id,
        arch=app.arch,
        copyright=app.copyright,
        epoch=job.version.epoch,
    )
    made_from = Ingredients(
        site_packages=site_packages(job),
        lock=job.root / APP_LOCK,
        wishes=job.root / APP_LOCK.with_suffix(".in"),
        bridge_lock=job.root / BRIDGE / "package-lock.json",
        bridge_packages=job.fact("embed", "bridge_packages"),
        inputs_note=job.places.inputs_note,
    )
    document = compose(job.places.embedded, subject, made_from)
    if problems := cyclonedx.problems(document):
        raise Fault("the bill of materials is no valid CycloneDX", details=tuple(problems), status=Exit.AUDIT)
    write_atomic(job.places.sbom, document)
    return {"note": f"{len(json.loads(document)['components'])} parts"}


def _provenance_needs(job: Job) -> Needs:
    from signing import eddsa

    return Needs(
        files=[job.root / lock for lock in LOCKS],
        settings={"key": eddsa.public_key(job.services.signing_key)},
        tools=tools("securesystemslib"),
        code=["release/provenance.py", "signing/dsse.py"],
        after=["inputs", "sbom", "staple"],
    )


def _provenance_run(job: Job, advance: Advance) -> Facts:
    from release import provenance as made

    places, document = job.places, job.places.sbom.read_bytes()
    image = {places.image_name: job.fact("staple", "sha256")}
    bill = {places.sbom.name: sha256(places.sbom)}
    build = _build(job, image[places.image_name])
    statements = [made.provenance(image | bill, build), made.bill_of_materials(image, document)]
    write_atomic(places.provenance, made.sign(statements, job.services.signing_key))
    return {"note": f"{len(build.resources)} inputs named, {len(statements)} statements signed"}


def _build(job: Job, image: str) -> Build:
    from release import provenance as made

    rehearsal, epoch = job.config.rehearsal, job.version.epoch
    # The run that built and submitted the image, whichever one finishes the release.
    sent = submissions.read(job.places.submission)
    run, when = (sent.run, sent.submitted) if sent else ({}, 0)
    return made.Build(
        parameters={
            "version": job.version.version,
            "build": job.version.build,
            "arch": job.config.app.arch,
            "profile": job.config.profile_name,
        },  # not the channel: a build may move from beta to everybody, its statements stay as they are
        environment={"python": job.python, "sourceDateEpoch": str(epoch), **tools("py2app", "dmgbuild")},
        resources=_resources(job),
        builder=made.builder(run, rehearsal=rehearsal),
        invocation=made.invocation(run, image),
        started=epoch if rehearsal else None,
        finished=epoch if rehearsal else when or int(time.time()),
    )


def _resources(job: Job) -> list[Resource]:
    from release.provenance import Resource, pinned
    from release.sbom.native import origin
    from release.version import Git

    git = Git(job.services.runner, job.root)
    pins = json.loads(job.places.inputs_note.read_text("utf-8"))["pins"]
    head, tree = git.head(), {"sha256": job.journal.source}
    notes = {"clean": not git.dirty(), "tree": tree}
    source = Resource("source", {"gitCommit": head} if head else tree, annotations=notes)
    locks = [Resource(lock.as_posix(), {"sha256": sha256(job.root / lock)}) for lock in LOCKS]
    return [source, *locks, *pinned(pins, {name: origin(pin) for name, pin in pins.items()})]


SBOM: Step[Job] = Step("sbom", "List what is in it", _sbom_needs, paths("sbom"), _sbom_run)
PROVENANCE: Step[Job] = Step(
    "provenance", "Sign where it comes from", _provenance_needs, paths("provenance"), _provenance_run
)
