"""eddsa → notes → appcast → publish → verify: from a stapled image to what users are offered."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from errors import Exit, Fault
from release.files import write_atomic, write_json
from release.pipeline import Advance, Needs, Step
from release.steps.job import Facts, Job, paths, tools

if TYPE_CHECKING:
    from appcast.feed import Feed, Item
    from appcast.lint import AppFacts
    from release.notes import Page
    from release.objects import Attachment

EMBEDDED = "embedded"


def _eddsa_needs(job: Job) -> Needs:
    return Needs(settings={"key": _signing_key(job)}, after=["staple"])


def _signing_key(job: Job) -> str:
    """The public half of what signs this release: what its signatures depend on."""
    from signing import eddsa

    return eddsa.public_key(job.services.signing_key)


def _eddsa_run(job: Job, advance: Advance) -> Facts:
    from signing import eddsa

    image = job.places.image
    signature = eddsa.sign_file(image, job.services.signing_key)
    if not eddsa.verify_file(image, signature, _signing_key(job)):
        raise Fault("the EdDSA signature does not verify", where=image, status=Exit.SIGN)
    note = "with the key that retires" if job.services.hand_over else ""
    return {"signature": signature, "length": image.stat().st_size, "note": note}


def _notes_needs(job: Job) -> Needs:
    from release.notes import CHANGELOG, translations

    return Needs(
        files=[job.root / CHANGELOG, *translations(job.root).values()],
        settings={
            "version": asdict(job.version),
            "app": job.config.app.name,
            "notes": msgspec.to_builtins(job.config.notes),
            "key": _signing_key(job),
        },
        tools=tools("markdown-it-py", "nh3"),
        code=["release/notes.py"],
    )


def _notes_run(job: Job, advance: Advance) -> Facts:
    from release.notes import compose

    made = compose(
        job.root,
        job.config.notes,
        app_name=job.config.app.name,
        version=job.version.version,
        build=job.version.build,
        allow_unreleased=job.config.rehearsal,
    )
    shutil.rmtree(job.places.pages, ignore_errors=True)
    write_atomic(job.places.notes, made.html.encode())
    write_atomic(job.places.pages / EMBEDDED, made.embedded.encode())
    pages = [_write_page(job, page) for page in made.pages]
    return {"pages": pages, "note": f"{len(made.html)} characters, {len(pages)} pages"}


def _write_page(job: Job, page: Page) -> dict[str, Any]:
    """Write a page as it is published, one version's notes with their signature: Sparkle asks for that."""
    from signing import eddsa

    about: dict[str, Any] = {"name": page.name, "kind": page.kind, "language": page.language}
    data = page.data
    if page.kind == "notes":
        signed = eddsa.sign_notes(page.data, job.services.signing_key)
        data = signed.data
        about |= {"signature": signed.signature, "length": signed.length}
    write_atomic(job.places.pages / page.name, data)
    return {**about, "type": page.content_type}


def _appcast_needs(job: Job) -> Needs:
    return Needs(
        settings={
            "site": job.config.site,
            "app": job.config.app.name,
            "version": asdict(job.version),
            "feed": msgspec.to_builtins(job.config.feed),
            "key": job.services.sparkle_public_key,
        },
        code=["appcast", "release/feed.py", "release/continuity.py"],
        after=["eddsa", "notes"],
    )


def _appcast_run(job: Job, advance: Advance) -> Facts:
    from appcast import xml
    from release import feed
    from signing import eddsa

    found = job.services.public_side.read()
    before = None if found is None else found.feed
    now = datetime.fromtimestamp(job.version.epoch if job.config.rehearsal else int(time.time()), UTC)
    app = _app(job)
    after = _merge(job, _item(job, app, now))(before)
    if not job.allow_regression:
        feed.require_no_regression(before, after, datetime.now(UTC))
    data = eddsa.sign_feed(xml.render(after), job.services.signing_key)
    warnings = feed.require_sound(data, job.config.feed_url, app, before)
    write_atomic(job.places.feed_draft, data)
    note = f"{len(after.items)} items" + "".join(f"; {one.what}" for one in warnings[:3])
    return {"etag": None if found is None else found.etag, "note": note}


def _app(job: Job) -> AppFacts:
    """Return what the app says of itself; its key is that of installed apps while it retires."""
    from release import feed

    return replace(feed.app_facts(job.places.app), public_key=_signing_key(job))


def _merge(job: Job, item: Item) -> Callable[[Feed | None], Feed]:
    """Return how the release gets into the feed that is public, if installed apps would take it there."""
    from release import continuity, feed
    from signing.verify import verify_image

    signed = continuity.signed_by(verify_image(job.places.image), job.services)
    build, now = job.version.build, item.published or datetime.now(UTC)

    def merge(before: Feed | None) -> Feed:
        continuity.require_continuity(continuity.installed_before(before, build), signed)
        return feed.feed_with(before, item, signed.identity(build), job.config, now)

    return merge


def _item(job: Job, app: AppFacts, now: datetime) -> Item:
    from release import feed

    return feed.item_for(
        job.config,
        job.version,
        app,
        image_name=job.places.image_name,
        signature=job.fact("eddsa", "signature"),
        length=job.fact("eddsa", "length"),
        notes=(job.places.pages / EMBEDDED).read_text("utf-8"),
        now=int(now.timestamp()),
        links=feed.links(job.config, job.fact("notes", "pages")),
    )


def _publish_needs(job: Job) -> Needs:
    wanted = job.config.profile.publish
    bucket = [job.places.rehearsal / "bucket"] if job.config.rehearsal else []
    return Needs(
        files=bucket,
        settings={"endpoint": wanted.endpoint, "bucket": wanted.bucket},
        code=[f"release/{name}.py" for name in ("publish", "change", "latest", "manifest", "objects")],
        after=["staple", "sbom", "provenance", "notes", "appcast"],
    )


def _publish_run(job: Job, advance: Advance) -> Facts:
    from appcast import xml
    from appcast.feed import find
    from release import genuine
    from release.publish import Publication, publish
    from signing.verify import verify_image

    genuine.require(job.config, job.places.app, verify_image(job.places.image))
    draft = xml.parse(job.places.feed_draft.read_bytes(), base_url=job.config.feed_url)
    item = find(draft, job.version.build)
    if item is None:
        raise Fault("the feed lacks this build", cure="--from appcast", status=Exit.APPCAST)
    publication = Publication(
        version=job.version.version,
        build=job.version.build,
        dmg=job.places.image,
        item=item,
        app=_app(job),
        merge=_merge(job, item),
        feed_etag=job.fact("appcast", "etag"),
        attachments=_attachments(job),
        key=job.services.signing_key,
        allow_regression=job.allow_regression,
    )
    job.journal.published = True  # from here on, other bytes need another build number
    job.journal.save()
    try:
        published = publish(job.services.public_side, publication, on_progress=advance)
    except Fault as fault:
        if fault.status == Exit.CONFLICT:
            job.journal.forget("appcast")  # the next run looks again at what is public by then
        raise
    write_atomic(job.places.appcast, published.appcast)
    return {"note": published.note}


def _attachments(job: Job) -> tuple[Attachment, ...]:
    """Return notes, and what tells those who ask what the image is made of and where it comes from."""
    from release.objects import Attachment
    from release.provenance import MEDIA_TYPE
    from release.sbom.cyclonedx import MEDIA_TYPE as SBOM_TYPE

    pages, places = job.fact("notes", "pages"), job.places
    notes = (
        Attachment(
            page["name"], (places.pages / page["name"]).read_bytes(), page["type"], page["kind"] == "notes"
        )
        for page in pages
    )
    kinds = ((places.sbom, SBOM_TYPE), (places.provenance, MEDIA_TYPE))
    return (*notes, *(Attachment(path.name, path.read_bytes(), kind, versioned=True) for path, kind in kinds))


def _verify_needs(job: Job) -> Needs:
    code = ["release/verify", "release/sbom", "release/provenance.py"]
    return Needs(settings={"site": job.config.site}, code=code, after=["publish", "staple"])


def _verify_run(job: Job, advance: Advance) -> Facts:
    from release import verify_mac
    from release.verify import Expected, verify_site

    expected = Expected(
        version=job.version.version,
        build=job.version.build,
        app_name=job.config.app.name,
        trust=job.services.trust,
        key=job.services.sparkle_public_key,
        signed_by=_signing_key(job) if job.services.hand_over else None,
    )
    verification = verify_site(
        job.config.site,
        session=job.services.public_session(),
        workdir=job.places.work / "verify",
        expected=expected,
        mac=verify_mac.here(job.services.runner, apple=not job.config.rehearsal),
    )
    write_json(job.places.verification, verification.as_json())
    verification.require()
    shutil.rmtree(job.places.work / "verify", ignore_errors=True)  # a copy of everything public
    passed = sum(row.ok is True for row in verification.rows)
    return {"note": f"{passed} checks passed, {len(verification.rows) - passed} could not be made"}


STEPS: tuple[Step[Job], ...] = (
    Step("eddsa", "Sign for Sparkle", _eddsa_needs, paths(), _eddsa_run),
    Step("notes", "Write the release notes", _notes_needs, paths("notes", "pages"), _notes_run),
    Step("appcast", "Write and sign the feed", _appcast_needs, paths("feed_draft"), _appcast_run),
    Step("publish", "Publish", _publish_needs, paths("appcast"), _publish_run),
    Step("verify", "Verify as a client", _verify_needs, paths("verification"), _verify_run),
)
