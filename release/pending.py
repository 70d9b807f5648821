"""A release that waits for Apple, as a folder that any machine can finish: `dist/<version>-<build>/pending/`.

It holds the image as it was submitted, the journal up to there, the submission's note, and the small files
that later steps read; the signed app comes out of the image again. `pending.json` names them all by digest,
says from which commit, with which settings and for which profile they were made, and is signed with the
release's EdDSA key (signing/dsse.py): whoever finishes a release signs what is in it, so it takes nothing
from strangers. No secret is in it.

As a folder it becomes an artifact of a workflow and comes back as one, and as the zip that GitHub offers
people.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from errors import Exit, Fault
from release import submission as submissions
from release.config import Build, Config, ProfileName
from release.files import sha256, write_atomic
from release.places import Places, places
from release.submission import Hex, Id
from release.version import Version

if TYPE_CHECKING:
    from release.steps.job import Job

FOLDER: Final = "pending"
MANIFEST: Final = "pending.json"
PAYLOAD_TYPE: Final = "application/vnd.api-for-cursor.pending+json"
FORMAT: Final = 1
MOST: Final = 1 << 20  # bytes of a manifest
CARRIED: Final = ("app.", "image.", "feed.", "notes.")  # overrides of what is shipped, not of whom we talk to

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,180}$")]
Number = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){1,2}$")]


class PendingFault(Fault):
    """A pending release that can't be taken in."""

    status = Exit.INPUT_HASH


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a pending release says of itself. `files`: names in the folder → SHA-256 (hex)."""

    format: int
    profile: ProfileName
    version: Number
    build: Build
    epoch: int
    commit: str | None
    source: str
    config: Hex
    overrides: dict[str, str]
    submission: Id
    image: Name
    files: dict[Name, Hex]

    @property
    def release(self) -> Version:
        """Version, build and time as a release has them."""
        return Version(self.version, self.build, self.epoch)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A pending release that was opened and whose manifest's signature holds."""

    folder: Path
    manifest: Manifest


def _contents(home: Places) -> dict[str, Path]:
    """Names in the folder → where they belong in a release."""
    found = (
        (home.image_name, home.signed_image),
        ("journal.json", home.journal),
        ("submission.json", home.submission),
        (home.sbom.name, home.sbom),
        ("inputs.json", home.inputs_note),
        ("runtime.json", home.runtime_note),
        ("audit.json", home.audit),
        ("signing-plan.json", home.signing_plan),
    )
    return dict(found)


# making one


def folder_of(home: Places) -> Path:
    """Where a release's pending folder lies."""
    return home.folder / FOLDER


def pack(job: Job, overrides: Mapping[str, str]) -> Path:
    """Write the pending folder of a release that was submitted, in place of an older one; return it."""
    from signing import dsse

    home, note = job.places, submissions.read(job.places.submission)
    if note is None:
        raise Fault("nothing was submitted yet", cure="./invoke release", status=Exit.USAGE)
    target = folder_of(home)
    with _made_beside(target) as folder:
        for name, path in _contents(home).items():
            _link(path, folder / name)
        manifest = _manifest(job, note, overrides, folder)
        payload = msgspec.json.encode(manifest, order="sorted")
        write_atomic(folder / MANIFEST, dsse.sign(payload, PAYLOAD_TYPE, job.services.signing_key) + b"\n")
    return target


def _manifest(job: Job, note: submissions.Note, overrides: Mapping[str, str], folder: Path) -> Manifest:
    from release.version import Git

    return Manifest(
        format=FORMAT,
        profile=job.config.profile_name,
        version=job.version.version,
        build=job.version.build,
        epoch=job.version.epoch,
        commit=Git(job.services.runner, job.root).head(),
        source=job.journal.source,
        config=config_digest(job.config),
        overrides={key: value for key, value in overrides.items() if key.startswith(CARRIED)},
        submission=note.id,
        image=job.places.image_name,
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
    )


def config_digest(config: Config) -> str:
    """Return a digest of all settings that are in what is shipped: not of endpoints or secrets."""
    import hashlib

    shipped: list[Any] = [config.app, config.image, config.feed, config.notes, config.inputs]
    shipped += [config.bundle_id, config.feed_url]
    return hashlib.sha256(msgspec.json.encode(shipped, order="sorted")).hexdigest()


@contextmanager
def _made_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `target` when all is well, and is gone otherwise."""
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that can't be."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


# taking one in


def waiting(dist: Path, profile: str) -> list[Path]:
    """Pending folders of a profile below `dist`, by the unverified word of their manifests."""
    found = []
    for path in sorted(dist.glob(f"*/{FOLDER}/{MANIFEST}")):
        with suppress(Fault):
            if _read(path).profile == profile:
                found.append(path.parent)
    return [folder for folder in found if folder.parent.name != "current"]


@contextmanager
def opened(source: Path, dist: Path) -> Iterator[Path]:
    """Give the folder that `source` is or, if it is a zip, unpacks to; raises PendingFault."""
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise PendingFault(
            "there is no pending release",
            where=source,
            cure="name its folder or zip",
            status=Exit.INPUT_MISSING,
        )
    dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pending-", dir=dist) as folder:
        _unzip(source, Path(folder))
        yield Path(folder)


def _unzip(source: Path, folder: Path) -> None:
    """Unpack plain names only; every byte's digest is checked afterwards."""
    try:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                if not msgspec.convert(info.filename, Name):
                    continue
                with archive.open(info) as packed, (folder / info.filename).open("xb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, msgspec.ValidationError, OSError, EOFError, RuntimeError) as error:
        raise PendingFault(
            f"this is no pending release: {error}",
            where=source,
            cure="give the folder or the zip as it was made",
        ) from None


def peek(folder: Path) -> Manifest:
    """Read the manifest without asking who signed it; raises PendingFault if it is none."""
    return _read(folder / MANIFEST)


def _read(path: Path) -> Manifest:
    import base64
    import json

    try:
        if path.stat().st_size > MOST:
            raise ValueError("it is too long")
        payload = base64.b64decode(json.loads(path.read_bytes())["payload"])
        manifest = msgspec.json.decode(payload, type=Manifest)
    except FileNotFoundError:
        raise PendingFault(
            "this is no pending release: it has no manifest", where=path, status=Exit.INPUT_MISSING
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise PendingFault(f"the manifest of a pending release can't be read: {error}", where=path) from None
    if manifest.format != FORMAT:
        raise PendingFault(
            f"the pending release has format {manifest.format}, this understands {FORMAT}",
            where=path,
            cure="finish it with the commit it was made from",
        )
    return manifest


def check(folder: Path, config: Config, source: str, commit: str | None, trusted: tuple[str, ...]) -> Bundle:
    """Hold a pending release against this checkout: profile, commit, source, settings, signature, every file.

    Raises PendingFault naming both values. `trusted`: public keys of which one must have signed the manifest.
    """
    manifest = _signed(folder / MANIFEST, trusted)
    require_profile(folder, manifest, config)
    same = (
        ("commit", manifest.commit, commit, "git checkout {}"),
        ("source", manifest.source, source, "undo what was changed since: the release was made from {}"),
        (
            "settings",
            manifest.config,
            config_digest(config),
            "give the same --set: the release was made with {}",
        ),
    )
    for what, theirs, ours, cure in same:
        _require_same(folder, what, theirs, ours, cure)
    _check_files(folder, manifest)
    return Bundle(folder, manifest)


def require_profile(folder: Path, manifest: Manifest, config: Config) -> None:
    """PendingFault if a pending release, signed or not, is another profile's."""
    _require_same(folder, "profile", manifest.profile, config.profile_name, "--profile {}")


def _require_same(folder: Path, what: str, theirs: str | None, ours: str | None, cure: str) -> None:
    if theirs != ours:
        raise PendingFault(
            f"the pending release has another {what} than this checkout",
            where=folder,
            details=(f"pending:  {theirs}", f"checkout: {ours}"),
            cure=cure.format(theirs),
            status=Exit.GIT if what == "commit" else Exit.CONFIG,
        )


def _signed(path: Path, trusted: tuple[str, ...]) -> Manifest:
    from signing import dsse

    peeked, line = _read(path), path.read_bytes()
    for number, key in enumerate(trusted, 1):
        try:
            return msgspec.json.decode(dsse.verify(line, PAYLOAD_TYPE, key), type=Manifest)
        except Fault as fault:
            if number == len(trusted):
                raise PendingFault(
                    "the pending release was not signed with this project's key",
                    where=path,
                    details=(fault.what, *fault.details),
                    cure="take the one that the release's own run left, unchanged",
                    status=Exit.SIGNATURE,
                ) from None
    return peeked


def _check_files(folder: Path, manifest: Manifest) -> None:
    wanted = set(_contents(_anywhere(manifest)))
    if lacking := sorted(wanted - set(manifest.files)):
        raise PendingFault(f"the pending release lacks {lacking[0]}", where=folder)
    if strange := sorted({path.name for path in folder.iterdir()} - {*manifest.files, MANIFEST}):
        raise PendingFault(f"{strange[0]} is not part of the pending release", where=folder, cure="remove it")
    for name, digest in manifest.files.items():
        path = folder / name
        found = sha256(path) if path.is_file() and not path.is_symlink() else "no such file"
        if found != digest:
            raise PendingFault(
                f"{name} of the pending release was changed or lost",
                where=path,
                details=(f"signed: {digest}", f"found:  {found}"),
                cure="get it again, unchanged",
            )


def _anywhere(manifest: Manifest) -> Places:
    return Places(Path(), Path(), "", manifest.image)


def take(bundle: Bundle, config: Config, dist: Path) -> Places:
    """Make the release's folder in `dist` from a pending one, whole or not at all; return its places.

    A release of the same name is left alone if it is the same submission, and in the way otherwise.
    """
    manifest = bundle.manifest
    home = places(config, manifest.release, dist)
    note = submissions.read(home.submission)
    if note is not None and note.id == manifest.submission:
        return home
    if home.folder.exists():
        raise PendingFault(
            f"{home.folder.name} was begun in this checkout already",
            where=home.folder,
            details=(f"pending: {manifest.submission}", f"here:    {note.id if note else 'not submitted'}"),
            cure="remove that folder if it is of no use, or finish it instead",
            status=Exit.CONFLICT,
        )
    home.dist.mkdir(parents=True, exist_ok=True)
    with _made_beside(home.folder) as folder:
        _fill(bundle, folder, home)
    return home


def _fill(bundle: Bundle, folder: Path, home: Places) -> None:
    staged = Places(folder.parent, folder, home.app_name, home.image_name)
    for name, path in _contents(staged).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, path)
    _unpack_app(staged)


def _unpack_app(home: Places) -> None:
    """Take the signed app out of the image, and see that it is the one that was signed."""
    from release.digests import content_digest
    from release.image.reader import DiskImage
    from release.journal import load

    unpacked = home.work / "unpacked"
    with DiskImage.open(home.signed_image) as image:
        image.extract(unpacked)
    (unpacked / home.app.name).replace(home.app)
    shutil.rmtree(unpacked)
    signed = load(home.journal).entries["sign"].outputs[os.path.relpath(home.app, home.folder)]
    found = content_digest(home.app)
    if found != signed:
        raise PendingFault(
            "the app in the image is not the one that was signed",
            where=home.signed_image,
            details=(f"signed: {signed}", f"found:  {found}"),
        )
