"""A pending release on its way to another machine: what is refused, with both values named."""

from __future__ import annotations

import base64
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from commands import Subprocess
from errors import Exit, Fault
from release import config as configuration
from release import pending, workflow
from release import submission as submissions
from release.files import sha256
from release.journal import Journal
from release.pending import Manifest, PendingFault
from release.places import Places, places
from release.submission import Note
from release.version import Version
from release.webhook import address, check_token
from signing import dsse, eddsa_keys, secrets

ROOT = Path(__file__).parents[2]
CONFIG = configuration.load(ROOT)
VERSION = Version("1.2.3", "57", 1_795_000_000)
KEY, OTHER = (eddsa_keys.private_key(base64.b64encode(bytes([one]) * 32).decode()) for one in (1, 2))
TRUSTED = (eddsa_keys.public_key(KEY),)
ID = "7e4ea45a-1000-4000-8000-000000000001"
SOURCE = "the source's digest"


@dataclass
class Packed:
    """A pending release of small files, and the checkout that it comes from."""

    folder: Path
    home: Places
    commit: str | None

    def check(self, **change: Any) -> pending.Bundle:
        asked = {"config": CONFIG, "source": SOURCE, "commit": self.commit, "trusted": TRUSTED, **change}
        return pending.check(self.folder, **asked)

    def refused(self, **change: Any) -> Fault:
        with pytest.raises(PendingFault) as caught:
            self.check(**change)
        assert str(self.folder) in str(caught.value)
        return caught.value

    def manifest(self) -> Manifest:
        return pending.peek(self.folder)

    def signed_anew(self, manifest: Manifest, key: Any = KEY) -> None:
        line = dsse.sign(msgspec.json.encode(manifest), pending.PAYLOAD_TYPE, key)
        (self.folder / pending.MANIFEST).write_bytes(line)


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    home = places(CONFIG, VERSION, tmp_path / "dist")
    for name, path in pending._contents(home).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the content of {name}")
    submissions.write(home.submission, Note(ID, sha256(home.signed_image), 1_795_000_000, True))
    services = SimpleNamespace(runner=Subprocess(), signing_key=KEY)
    journal = Journal(home.journal, SOURCE)
    job: Any = SimpleNamespace(
        places=home, services=services, config=CONFIG, version=VERSION, journal=journal, root=ROOT
    )
    overrides = {"feed.channel": "beta", "profiles.rehearsal.publish.site": "http://127.0.0.1:1"}
    folder = pending.pack(job, overrides)
    return Packed(folder, home, pending.peek(folder).commit)


def test_what_is_packed_is_taken_for_what_it_is(packed: Packed) -> None:
    manifest = packed.check().manifest
    assert (manifest.release, manifest.submission, manifest.profile) == (VERSION, ID, "rehearsal")
    assert manifest.overrides == {"feed.channel": "beta"}  # whom we talk to does not travel
    assert {path.name for path in packed.folder.iterdir()} == {*manifest.files, pending.MANIFEST}
    assert manifest.commit and len(manifest.commit) == 40


def test_what_is_no_part_of_it_is_refused(packed: Packed) -> None:
    (packed.folder / "stray").write_text("x")
    assert packed.refused().what.startswith("stray")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"commit": "f" * 40}, "commit"),
        ({"source": "another"}, "source"),
        ({"config": configuration.load(ROOT, overrides={"feed.channel": "beta"})}, "settings"),
        ({"config": configuration.load(ROOT, "production")}, "profile"),
    ],
)
def test_another_checkout_is_refused_and_both_values_are_named(
    packed: Packed, change: dict[str, Any], said: str
) -> None:
    fault = packed.refused(**change)
    assert said in fault.what
    theirs, ours = fault.details
    assert theirs.removeprefix("pending:  ") != ours.removeprefix("checkout: ")
    for value in change.values():
        assert not isinstance(value, str) or value in ours
    assert fault.cure


def test_a_manifest_by_a_stranger(packed: Packed) -> None:
    packed.signed_anew(packed.manifest(), OTHER)
    fault = packed.refused()
    assert fault.status is Exit.SIGNATURE
    assert TRUSTED[0] in str(fault)
    assert packed.check(trusted=(eddsa_keys.public_key(OTHER),))
    assert packed.check(trusted=(*TRUSTED, eddsa_keys.public_key(OTHER)))


def test_a_manifest_that_was_changed(packed: Packed) -> None:
    path = packed.folder / pending.MANIFEST
    whole = json.loads(path.read_bytes())
    body = json.loads(base64.b64decode(whole["payload"]))
    body["build"] = "58"
    whole["payload"] = base64.b64encode(json.dumps(body).encode()).decode()
    path.write_text(json.dumps(whole))
    assert packed.refused().status is Exit.SIGNATURE


@pytest.mark.parametrize("name", [*pending._contents(places(CONFIG, VERSION))])
def test_every_file_is_held_against_its_digest(packed: Packed, name: str) -> None:
    path, digest = packed.folder / name, packed.manifest().files[name]
    path.unlink()  # it is another name of the release's own file
    path.write_bytes(b"other bytes")
    fault = packed.refused()
    assert name in fault.what
    assert fault.details == (f"signed: {digest}", f"found:  {sha256(path)}")
    path.unlink()
    assert "no such file" in packed.refused().details[1]
    path.symlink_to("/etc/hostname")
    assert "no such file" in packed.refused().details[1]


def test_a_manifest_that_lacks_a_file(packed: Packed) -> None:
    manifest = packed.manifest()
    rest = {name: digest for name, digest in manifest.files.items() if name != "journal.json"}
    packed.signed_anew(replace(manifest, files=rest))
    assert "lacks journal.json" in packed.refused().what


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'{"payload": 1}', b'{"payload": "!"}', b'{"payload": "e30="}', b" " * (2 << 20)],
)
def test_a_manifest_that_is_none(packed: Packed, text: bytes) -> None:
    (packed.folder / pending.MANIFEST).write_bytes(text)
    assert "can't be read" in packed.refused().what


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(PendingFault) as caught:
        pending.peek(tmp_path)
    assert caught.value.status is Exit.INPUT_MISSING


def test_another_format(packed: Packed) -> None:
    packed.signed_anew(replace(packed.manifest(), format=2))
    assert "format 2" in packed.refused().what


@pytest.mark.parametrize(
    "field",
    [{"version": "1.2.3/../x"}, {"image": "../x.dmg"}, {"submission": "a b"}, {"files": {"../x": "0" * 64}}],
)
def test_a_signed_manifest_is_still_held_to_its_form(packed: Packed, field: dict[str, Any]) -> None:
    packed.signed_anew(replace(packed.manifest(), **field))
    assert "can't be read" in packed.refused().what


def as_zip(folder: Path, target: Path, name: Callable[[str], str] = str) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, name(path.name))
    return target


def test_the_zip_that_github_offers(packed: Packed, tmp_path: Path) -> None:
    packed_up = as_zip(packed.folder, tmp_path / "a.zip")
    with pending.opened(packed_up, tmp_path / "dist") as folder:
        assert pending.check(folder, CONFIG, SOURCE, packed.commit, TRUSTED)
    assert not folder.exists()


@pytest.mark.parametrize("prefix", ["../", "/tmp/", "deep/", "..\\"])
def test_a_zip_with_other_names(packed: Packed, tmp_path: Path, prefix: str) -> None:
    bad = as_zip(packed.folder, tmp_path / "a.zip", lambda name: f"{prefix}{name}")
    with pytest.raises(PendingFault), pending.opened(bad, tmp_path / "dist"):
        pass
    assert not (tmp_path / pending.MANIFEST).exists()


def test_no_zip_and_nothing_at_all(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes((packed.folder / "journal.json").read_bytes())
    for path, status in ((tmp_path / "a.zip", Exit.INPUT_HASH), (tmp_path / "b", Exit.INPUT_MISSING)):
        with pytest.raises(PendingFault) as caught, pending.opened(path, tmp_path / "dist"):
            pass
        assert caught.value.status is status


def test_a_release_that_is_in_the_way(packed: Packed, tmp_path: Path) -> None:
    bundle, dist = packed.check(), tmp_path / "elsewhere"
    home = places(CONFIG, VERSION, dist)
    submissions.write(home.submission, Note("another-one", "0" * 64, 1, True))
    with pytest.raises(PendingFault) as caught:
        pending.take(bundle, CONFIG, dist)
    assert caught.value.status is Exit.CONFLICT
    assert ID in str(caught.value) and "another-one" in str(caught.value)
    submissions.write(home.submission, Note(ID, "0" * 64, 1, True))
    assert pending.take(bundle, CONFIG, dist) == home  # the same one: taken in before


def test_nothing_is_left_half_taken_in(packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(Fault):  # the image is none
        pending.take(packed.check(), CONFIG, tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_waits_is_found(packed: Packed) -> None:
    assert pending.waiting(packed.home.dist, "rehearsal") == [packed.folder]
    assert pending.waiting(packed.home.dist, "production") == []
    shutil.rmtree(packed.folder)
    assert pending.waiting(packed.home.dist, "rehearsal") == []


# the note of a submission, the webhook's address, what a workflow is told


def test_a_note_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    assert submissions.read(path) is None
    path.write_text("{}")
    with pytest.raises(Fault) as caught:
        submissions.read(path)
    assert caught.value.status is Exit.NOTARY_UNKNOWN


def test_only_what_names_the_run_is_kept_of_the_environment() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42", "GITHUB_TOKEN": "secret", "PATH": "x"}
    assert submissions.this_run(environ) == {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42"}
    assert submissions.this_run({"GITHUB_RUN_ID": "42"}) == {}


def test_the_webhooks_address() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42", "GITHUB_REF": "refs/tags/v1.2.3"}
    found = address(CONFIG, VERSION, "a-token-of-its-own", environ)
    assert found == (
        "http://127.0.0.1:8788/api/notary/webhook/a-token-of-its-own?version=1.2.3&build=57&run_id=42"
        "&artifact=pending-1.2.3-57&dmg=API-for-Cursor-1.2.3-57.dmg&ref=refs%2Ftags%2Fv1.2.3"
    )
    assert "a-token" not in secrets.mask(f"could not reach {found}")
    assert address(CONFIG, VERSION, "token", {}) is None  # nobody could finish it from there


@pytest.mark.parametrize(
    "token", ["", "too-brief", "with/a/slash/in/it", "with some spaces", "x" * 20 + "?", "x" * 201]
)
def test_a_token_that_no_address_can_hold(token: str) -> None:
    with pytest.raises(Fault) as caught:
        check_token(token, "env:NOTARY_WEBHOOK_TOKEN")
    assert caught.value.status is Exit.SECRET
    assert not token or token not in str(caught.value)
    assert check_token("x" * 16, "env:X") == "x" * 16


def test_a_workflow_is_told_what_to_keep_and_that_there_is_nothing_more(tmp_path: Path) -> None:
    environ = {
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    workflow.pending(environ, Path("/x/pending"), VERSION)
    workflow.finished(environ)
    secrets.remember("a very secret word")
    workflow.summary(environ, "It has a very secret word in it")
    said = (tmp_path / "output").read_text().splitlines()
    assert said == ["pending=/x/pending", "artifact=pending-1.2.3-57", "pending="]
    assert (tmp_path / "summary").read_text() == "It has •••••• in it\n\n"
    workflow.pending({}, Path("/x"), VERSION)
