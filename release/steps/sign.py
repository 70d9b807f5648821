"""sign → image → sign-image → notarize → staple: from an unsigned app to what Gatekeeper accepts."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from errors import Exit, Fault
from release import submission as submissions
from release import verify_mac, webhook, workflow
from release.files import sha256, write_json
from release.pending import pack
from release.pipeline import Advance, Needs, Step
from release.steps.job import Facts, Job, paths, tools

if TYPE_CHECKING:
    from release.config import Config
    from release.image.plan import ImagePlan
    from release.places import Places
    from release.version import Version
    from signing.submission import Notary, Receipt
    from signing.verify import Report

BUN = "Contents/Helpers/bun"


def _sign_needs(job: Job) -> Needs:
    wanted = job.config.profile.signing
    settings = {
        "name": wanted.name,
        "team": wanted.team_id,
        "timestamps": wanted.timestamp_url,
        "native": job.services.signs_natively,
        "certificate": _certificate_digest(job),
        "time": job.version.epoch,
    }
    return Needs(
        settings=settings, tools=tools("apple-platform-py"), code=["signing"], after=["embed", "audit"]
    )


def _certificate_digest(job: Job) -> str:
    return hashlib.sha256(job.services.trust).hexdigest()


def _sign_run(job: Job, advance: Advance) -> Facts:
    from signing.plan import describe, deviations, plan_app
    from signing.verify import verify_app

    places = job.places
    plan = plan_app(places.embedded)
    write_json(places.signing_plan, [list(row) for row in describe(plan)])
    job.services.signer().sign_app(plan, places.embedded, places.app)
    advance(1, 2)
    # codesign leaves unused space in a signature as it finds it; our own signer has no excuse.
    exact = not job.services.signs_natively
    report = verify_app(places.app, trust=job.services.trust, exact=exact).require()
    if wrong := deviations(plan, report):
        raise Fault(
            "the signed app is not what was planned", where=places.app, details=wrong, status=Exit.SIGN
        )
    _require_chain(job, report)
    bun = _try(job, report)
    note = [f"{len(plan.items)} signatures", bun, *_expiry(job)]
    return {"cdhash": report.cdhash, "items": len(plan.items), "bun": bun, "note": "; ".join(note)}


def _require_chain(job: Job, report: Report) -> None:
    """Signatures that users get carry the certificates above the signer's: Gatekeeper asks for them."""
    from cryptography import x509

    from signing import certificate

    if not job.config.rehearsal:
        above = [x509.load_der_x509_certificate(der) for der in report.certificates[1:]]
        certificate.require_chain(job.services.certificate, above)


def _try(job: Job, report: Report) -> str:
    """Ask codesign about the app and run its Bun, where that can be done."""
    from signing import first_run

    if sys.platform != "darwin":
        return "Bun not run: this is no Mac"
    app, runner = job.places.app, job.services.runner
    verify_mac.require(verify_mac.codesign(app), runner=runner)
    arch, machine = job.config.app.arch, platform.machine()
    if arch not in ("universal2", machine):
        return f"Bun not run: it is for {arch}, this Mac is {machine}"
    granted = next(each.entitlements for each in report.walk() if each.subject == BUN)
    return f"Bun {first_run.run_bun(app / BUN, granted, runner=runner)} runs"


def _expiry(job: Job) -> tuple[str, ...]:
    from signing import certificate

    warning = certificate.expiry_warning(job.services.certificate, datetime.now(UTC))
    return () if warning is None else (warning,)


def image_plan(config: Config, version: Version, places: Places) -> ImagePlan:
    """Return what the disk image is to look like."""
    from release.image.plan import BACKGROUND, ImagePlan

    image = config.image
    return ImagePlan(
        volume_name=config.app.name,
        app=places.app,
        background=BACKGROUND,
        icon=places.app / "Contents" / "Resources" / "icon.icns",
        format=image.format,
        window=image.window,
        icon_size=image.icon_size,
        created=version.epoch,
    )


def _image_needs(job: Job) -> Needs:
    image = job.config.image
    return Needs(
        settings={"image": [image.format, image.window, image.icon_size], "created": job.version.epoch},
        tools=tools("dmgbuild", "ds_store", "mac_alias", "lzfse", "deflate"),
        code=["release/image", "release/assets/dmg"],
        after=["sign"],
    )


def _image_run(job: Job, advance: Advance) -> Facts:
    plan, target = image_plan(job.config, job.version, job.places), job.places.raw_image
    target.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "darwin":
        from release.image.native import build_native

        build_native(plan, target, runner=job.services.runner, on_progress=advance)
    else:
        from release.image.portable import build_portable

        build_portable(plan, target, on_progress=advance)
    size = target.stat().st_size
    return {"size": size, "note": f"{plan.format}, {size / 1e6:.1f} MB"}


def _sign_image_needs(job: Job) -> Needs:
    return Needs(settings=_sign_needs(job).settings, code=["signing"], after=["image"])


def _sign_image_run(job: Job, advance: Advance) -> Facts:
    from signing.verify import verify_image

    places = job.places
    places.signed_image.parent.mkdir(parents=True, exist_ok=True)
    identifier = places.image_name.removesuffix(".dmg")
    job.services.signer().sign_image(places.raw_image, places.signed_image, identifier=identifier)
    report = verify_image(places.signed_image, trust=job.services.trust).require()
    _require_chain(job, report)
    if sys.platform == "darwin":
        verify_mac.require(verify_mac.codesign(places.signed_image), runner=job.services.runner)
    return {"cdhash": report.cdhash, "hash_type": report.hash_type, "sha256": sha256(places.signed_image)}


def _notarize_needs(job: Job) -> Needs:
    return Needs(settings={"url": job.config.profile.notary.url}, after=["sign-image"])


def _notarize_run(job: Job, advance: Advance) -> Facts:
    from signing.notary_wait import wait

    places, wanted, clock = job.places, job.config.profile.notary, job.services.clock
    digest = job.fact("sign-image", "sha256")
    notary = job.services.notary(webhook=_webhook(job))
    note = _submitted(job, digest) or _submit(job, notary, advance)
    pending = pack(job, job.overrides)
    workflow.pending(os.environ, pending, job.version)
    if not job.wait:
        raise _undecided(note.id, pending)
    # The stand-in answers at once; Apple is asked with patience.
    first = 0.05 if job.config.rehearsal else 5.0
    try:
        log = wait(
            notary,
            note.id,
            timeout=wanted.timeout_minutes * 60,
            clock=clock,
            sha256=digest,
            first=first,
            submitted=note.submitted or None,
        )
    except Fault as fault:
        if fault.status in (Exit.NOTARY_INVALID, Exit.NOTARY_REJECTED):
            _keep_log(job, notary, note.id)
        if fault.status is Exit.NOTARY_INVALID:
            _drop(pending)
        raise
    write_json(places.notary_log, dict(log.raw))
    warnings = [issue.text for issue in log.issues if issue.severity == "warning"]
    text = f"Accepted, {len(warnings)} warning(s): {warnings[0]}" if warnings else "Accepted"
    return {"id": note.id, "note": text}


def _keep_log(job: Job, notary: Notary, id: str) -> None:
    """Keep the log of what was refused beside the release."""
    with suppress(Fault):
        write_json(job.places.notary_log, dict(notary.log(id).raw))


def _drop(pending: Path) -> None:
    """Leave nothing to be finished of an image that has to be made anew."""
    shutil.rmtree(pending, ignore_errors=True)
    workflow.finished(os.environ)


def _submit(job: Job, notary: Notary, advance: Advance) -> submissions.Note:
    """Send the image, and remember that from the moment Apple has answered."""
    path, now, run = job.places.submission, int(job.services.clock.now()), submissions.this_run(os.environ)

    def remember(receipt: Receipt, *, uploaded: bool = False) -> None:
        submissions.write(path, submissions.Note(receipt.id, receipt.sha256, now, uploaded, run))

    receipt = notary.submit(job.places.signed_image, on_created=remember, on_progress=advance)
    remember(receipt, uploaded=True)
    return submissions.Note(receipt.id, receipt.sha256, now, True, run)


def _submitted(job: Job, digest: str) -> submissions.Note | None:
    """The submission by which these very bytes are with Apple. They are never sent twice unless asked to."""
    if {"notarize", "all"} & job.force:
        return None
    found = submissions.read(job.places.submission)
    return found if found and found.sha256 == digest and found.uploaded else None


def _webhook(job: Job) -> str | None:
    token = job.services.webhook_token
    return None if token is None else webhook.address(job.config, job.version, token, os.environ)


def _undecided(submission: str, pending: Path) -> Fault:
    """What ends a run with --no-wait: not a failure, but not a release either."""
    return Fault(
        f"submitted as {submission}; Apple is working on it",
        where=pending,
        cure="./invoke notarize.resume goes on when it is done; on another machine, --from this folder",
        status=Exit.PENDING,
    )


def _staple_needs(job: Job) -> Needs:
    return Needs(after=["sign-image", "notarize"], code=["signing"])


def _staple_run(job: Job, advance: Advance) -> Facts:
    from signing.staple import read_ticket, staple_image
    from signing.ticket import LAG, fetch_ticket, record_name
    from signing.verify import verify_image

    places = job.places
    if job.services.staples_natively:
        from signing.stapler import staple

        staple(places.signed_image, places.image, runner=job.services.runner)
    else:
        name = record_name(job.fact("sign-image", "cdhash"), job.fact("sign-image", "hash_type"))
        lag = (0.1, 0.2, 0.5) if job.config.rehearsal else LAG
        staple_image(
            places.signed_image, places.image, fetch_ticket(job.services.ticket_url(), name, lag=lag)
        )
    verify_image(places.image, trust=job.services.trust).require()
    if sys.platform == "darwin" and not job.config.rehearsal:
        for question in (verify_mac.stapled(places.image), verify_mac.gatekeeper(places.image)):
            verify_mac.require(question, runner=job.services.runner)
    ticket = read_ticket(places.image)
    return {
        "ticket": len(ticket or b""),
        "sha256": sha256(places.image),
        "note": f"ticket of {len(ticket or b'')} bytes",
    }


STEPS: tuple[Step[Job], ...] = (
    Step("sign", "Sign inside out", _sign_needs, paths("app", "signing_plan"), _sign_run),
    Step("image", "Make the disk image", _image_needs, paths("raw_image"), _image_run),
    Step("sign-image", "Sign the disk image", _sign_image_needs, paths("signed_image"), _sign_image_run),
    Step("notarize", "Notarize", _notarize_needs, paths("submission", "notary_log"), _notarize_run),
    Step("staple", "Staple the ticket", _staple_needs, paths("image"), _staple_run),
)
