"""eddsa → notes → appcast → publish → verify: from a stapled image to what users are offered."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

from errors import Exit, Fault
from release.files import write_atomic, write_json
from release.pipeline import Advance, Needs, Step
from release.steps.job import Facts, Job, paths


def _eddsa_needs(job: Job) -> Needs:
    return Needs(settings={"key": job.services.sparkle_public_key}, after=["staple"])


def _eddsa_run(job: Job, advance: Advance) -> Facts:
    from signing import eddsa

    image = job.places.image
    signature = eddsa.sign_file(image, job.services.sparkle_key)
    if not eddsa.verify_file(image, signature, job.services.sparkle_public_key):
        raise Fault("the EdDSA signature does not verify", where=image, status=Exit.SIGN)
    return {"signature": signature, "length": image.stat().st_size}


def _notes_needs(job: Job) -> Needs:
    return Needs(
        files=[job.root / "CHANGELOG.md"],
        settings={"version": job.version.version},
        code=["release/notes.py"],
    )


def _notes_run(job: Job, advance: Advance) -> Facts:
    from release.notes import notes

    html = notes(job.root / "CHANGELOG.md", job.version.version, allow_unreleased=job.config.rehearsal)
    write_atomic(job.places.notes, html.encode())
    return {"note": f"{len(html)} characters"}


def _appcast_needs(job: Job) -> Needs:
    app = job.config.app
    return Needs(
        settings={
            "site": job.config.site,
            "app": [app.name, app.minimum_system, app.arch],
            "version": asdict(job.version),
        },
        code=["appcast"],
        after=["eddsa", "notes"],
    )


def _appcast_run(job: Job, advance: Advance) -> Facts:
    from release import feed

    published = job.services.store.get(feed.KEY)
    item = feed.item_for(
        job.config,
        job.version,
        image_name=job.places.image_name,
        signature=job.fact("eddsa", "signature"),
        length=job.fact("eddsa", "length"),
        notes=job.places.notes.read_text("utf-8"),
        now=job.version.epoch if job.config.rehearsal else int(time.time()),
    )
    data = feed.feed_with(
        None if published is None else published[1], item, job.config, job.services.sparkle_key
    )
    write_atomic(job.places.appcast, data)
    return {"etag": None if published is None else published[0].etag}


def _publish_needs(job: Job) -> Needs:
    wanted = job.config.profile.publish
    bucket = [job.places.rehearsal / "bucket"] if job.config.rehearsal else []
    return Needs(
        files=bucket,
        settings={"endpoint": wanted.endpoint, "bucket": wanted.bucket},
        code=["release/publish.py"],
        after=["staple", "appcast"],
    )


def _publish_run(job: Job, advance: Advance) -> Facts:
    from release.publish import Publication, publish

    publication = Publication(
        app_name=job.config.app.name,
        version=job.version.version,
        build=job.version.build,
        dmg=job.places.image,
        dmg_name=job.places.image_name,
        latest_name=job.config.image.latest,
        appcast=job.places.appcast.read_bytes(),
        feed_etag=job.fact("appcast", "etag"),
    )
    job.journal.published = True  # from here on, other bytes need another build number
    job.journal.save()
    try:
        published = publish(job.services.store, publication, on_progress=advance)
    except Fault as fault:
        if fault.status == Exit.CONFLICT:
            job.journal.forget("appcast")  # the next run merges with what is public by then
        raise
    return {"note": published.note}


def _verify_needs(job: Job) -> Needs:
    return Needs(settings={"site": job.config.site}, code=["release/verify.py"], after=["publish", "staple"])


def _verify_run(job: Job, advance: Advance) -> Facts:
    from release.verify import verify_public

    verification = verify_public(
        job.config.site,
        session=job.services.public_session(),
        workdir=job.places.work / "verify",
        app_name=job.config.app.name,
        version=job.version.version,
        build=job.version.build,
        trust_pem=job.services.trust,
        require_ticket=True,
        mac=job.services.runner if sys.platform == "darwin" else None,
    )
    write_json(job.places.verification, verification.as_json())
    verification.require()
    passed = sum(row.ok is True for row in verification.rows)
    return {"note": f"{passed} checks passed, {len(verification.rows) - passed} could not be made"}


STEPS: tuple[Step[Job], ...] = (
    Step("eddsa", "Sign for Sparkle", _eddsa_needs, paths(), _eddsa_run),
    Step("notes", "Write the release notes", _notes_needs, paths("notes"), _notes_run),
    Step("appcast", "Write and sign the feed", _appcast_needs, paths("appcast"), _appcast_run),
    Step("publish", "Publish", _publish_needs, paths(), _publish_run),
    Step("verify", "Verify as a client", _verify_needs, paths("verification"), _verify_run),
)
