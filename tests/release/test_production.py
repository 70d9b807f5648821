"""Production off a Mac, from a tag to a verified public side: only the addresses are stand-ins'.

The profile is production's, its identity a Developer ID in a modern .p12 under an authority like Apple's, its
inputs come by URL and SHA-256 where a stand-in can serve them (Python is the registry's: its publisher's
installer can't be had here, and is read in test_inputs_pkg).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import plistlib
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from commands import Subprocess
from release import config as configuration
from release import run
from release.config import Config
from release.inputs import Cache, parse
from release.inputs.cache import suffix
from release.progress import Plain
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.apple_http import Request, Response, Server
from release.rehearsal.bucket import Bucket
from release.rehearsal.site import Site, route
from release.run import Done, Options
from release.services import Services
from release.steps import STEPS
from signing import eddsa, eddsa_keys, macho, notary, superblob
from signing.certificate import require_chain
from signing.verify import Report, verify_app, verify_image
from tests.checkouts import Checkout, copy_checkout
from tests.standins.authority import PASSWORD, TEAM, Issued, issue
from tests.standins.leaks import CommandLines, files, leaks

pytestmark = [pytest.mark.release, pytest.mark.slow, pytest.mark.xdist_group("own-release")]

SITE = "https://downloads.example.test"
TAG = "v9.9.9"


@dataclass
class Made:
    """A finished production release, and what it was made with."""

    done: Done
    issued: Issued
    apple: AppleStandIn
    bucket: Bucket
    asked: list[str]
    said: str
    secrets: dict[str, str]
    published: Path
    lines: CommandLines

    @property
    def app(self) -> Report:
        return verify_app(self.done.places.app, trust=self.issued.leaf_pem).require()

    @property
    def image(self) -> Report:
        return verify_image(self.done.places.image, trust=self.issued.leaf_pem).require()


class Publishers:
    """Vendors' sites: files by path, over HTTP on loopback."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | Path] = {}
        self.asked: list[str] = []
        self.server = Server(self.answer)

    def answer(self, request: Request) -> Response:
        found = self.files.get(request.path)
        self.asked.append(request.path)
        if found is None:
            return Response(404)
        return Response(200, found.read_bytes() if isinstance(found, Path) else found)

    def offer(self, pin: dict[str, Any], file: bytes | Path, ending: str) -> dict[str, Any]:
        """Give the same input as it looks when its publisher offers it: by URL, with a SHA-256."""
        data = file.read_bytes() if isinstance(file, Path) else file
        path = f"/{hashlib.sha256(data).hexdigest()[:12]}{ending}"
        self.files[path] = file
        rest: dict[str, Any] = {
            name: pin[name] for name in ("version", "team_id", "signed", "only") if name in pin
        }
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return {**rest, "source": "url", "package": f"{self.server.url}{path}", "digest": digest}


def packed_again(archive: Path, name: str) -> bytes:
    """One file of an archive in a new one, whose digest nobody has seen before."""
    out = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
        member = old.getmember(name)
        new.addfile(member, old.extractfile(member))
    return out.getvalue()


def by_url(config: Config, publishers: Publishers, cache: Cache) -> dict[str, Any]:
    pins = parse(config.inputs)
    archives = {name: cache.fetch(pins[name], runner=Subprocess()) for name in ("sparkle", "htmx")}
    bun = "bun-darwin-arm64"
    archives[bun] = cache.fetch(pins[bun], runner=Subprocess())
    htmx = packed_again(archives["htmx"], "package/dist/htmx.min.js")
    return {
        **config.inputs,
        "sparkle": publishers.offer(config.inputs["sparkle"], archives["sparkle"], ".whl"),
        "htmx": publishers.offer(config.inputs["htmx"], htmx, ".tgz"),
        bun: publishers.offer(config.inputs[bun], archives[bun], ".tgz"),
    }


def production(root: Path, apple: AppleStandIn, bucket: Bucket, inputs: dict[str, Any]) -> Config:
    """Return what release.toml says of production, but for the addresses."""
    loaded = configuration.load(root, "production")
    wanted = loaded.profile
    profile = replace(
        wanted,
        signing=replace(wanted.signing, timestamp_url=apple.timestamp_url),
        notary=replace(wanted.notary, url=apple.notary_url, ticket_url=apple.ticket_url),
        publish=replace(
            wanted.publish, site=SITE, endpoint=bucket.endpoint, account=None, bucket=bucket.name
        ),
    )
    return replace(loaded, profile=profile, inputs=inputs)


def tagged(folder: Path) -> Checkout:
    made = copy_checkout(folder)
    changes = "# Changelog\n\n## [9.9.9] - 2026-06-01\n\n### Added\n\n- Everything.\n"
    (made.root / "CHANGELOG.md").write_text(changes)
    for extra in made.root.glob("CHANGELOG.*.md"):
        extra.unlink()
    git = ["git", "-C", str(made.root), "-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "Prepare 9.9.9"], check=True)
    subprocess.run([*git, "tag", TAG], check=True)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("production")
    checkout, issued, cache = tagged(folder / "checkout"), issue(), Cache()
    key_file = folder / "ed25519.key"
    eddsa.generate(key_file)
    seed = key_file.read_text().strip()
    publishers = Publishers()
    said = io.StringIO()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        apple = stack.enter_context(AppleStandIn(folder / "apple"))
        bucket = stack.enter_context(Bucket(folder / "bucket", "production-releases"))
        site = stack.enter_context(Site(bucket.store()))
        stack.callback(publishers.server.close)
        inputs = by_url(configuration.load(checkout.root), publishers, cache)
        secrets = {
            "MACOS_DEVELOPER_ID_CERTIFICATE_BASE64": base64.b64encode(issued.p12()).decode(),
            "MACOS_DEVELOPER_ID_CERTIFICATE_PASSWORD": PASSWORD,
            "APPLE_NOTARY_PRIVATE_KEY": apple.api_key.private_key_pem.decode(),
            "SPARKLE_PRIVATE_KEY": seed,
            "R2_SECRET_ACCESS_KEY": bucket.secret_key,
        }
        plain = {
            "MACOS_CODE_SIGN_IDENTITY": issued.name,
            "APPLE_TEAM_ID": TEAM,
            "APPLE_NOTARY_ISSUER": apple.api_key.issuer,
            "APPLE_NOTARY_KEY_ID": apple.api_key.key_id,
            "SPARKLE_PUBLIC_ED_KEY": eddsa_keys.public_key(eddsa_keys.private_key(seed)),
            "R2_ACCESS_KEY_ID": bucket.access_key,
        }
        for name, value in (secrets | plain).items():
            patch.setenv(name, value)
        config = production(checkout.root, apple, bucket, inputs)

        class Client(notary.NotaryClient):
            """Uploads to the stand-in where the real one would to Amazon."""

            def __init__(self, *given: Any, **named: Any) -> None:
                super().__init__(*given, **{**named, "s3_endpoint": apple.s3_url})

        def session(self: Services) -> requests.Session:
            opened = requests.Session()
            route(opened, SITE, site.url)
            return opened

        patch.setattr(notary, "NotaryClient", Client)
        patch.setattr(Services, "public_session", session)
        patch.setattr(configuration, "load", lambda *_, **__: config)
        with CommandLines() as lines:
            done = run.release(checkout.root, Options("production"), Plain(said))
        published = folder / "bucket"
        yield Made(done, issued, apple, bucket, publishers.asked, said.getvalue(), secrets, published, lines)
        fresh = parse(inputs)["htmx"]
        (cache.root / "archives" / f"{fresh.expected.key}{suffix(fresh)}").unlink(missing_ok=True)


def test_every_step_runs(made: Made) -> None:
    assert [one.name for one in made.done.outcomes] == [step.name for step in STEPS]
    assert made.done.complete, made.said
    summary = json.loads(made.done.places.summary.read_text())
    assert (summary["profile"], summary["version"]) == ("production", "9.9.9")
    rows = json.loads(made.done.places.verification.read_text())["rows"]
    assert all(row["ok"] is not False for row in rows)


def test_inputs_come_by_url_and_digest(made: Made) -> None:
    assert any(path.endswith(".tgz") for path in made.asked)
    noted = made.done.places.inputs_note.read_text()
    assert "sha256:" in noted and TEAM not in noted


def test_signatures_carry_the_whole_chain_and_a_time(made: Made) -> None:
    chain = [
        each.public_bytes(Encoding.DER)
        for each in (made.issued.leaf, made.issued.intermediate, made.issued.root)
    ]
    for report in (made.app, made.image):
        assert report.team_id == TEAM
        assert all(list(each.certificates) == chain for each in report.walk())
        assert all(each.timestamped for each in report.walk())
    require_chain(made.issued.leaf, [made.issued.intermediate])


def test_openssl_agrees(made: Made, tmp_path: Path) -> None:
    """OpenSSL checks the CMS up to the authority's root; -ignore_critical for Apple's own extensions."""
    (tmp_path / "root.pem").write_bytes(made.issued.root_pem)
    program = next(path for path in (made.done.places.app / "Contents" / "MacOS").iterdir())
    for part in macho.read(program):
        at, size = part.signature() or (0, 0)
        blobs = superblob.parse(part.data[at : at + size])
        (tmp_path / "cms.der").write_bytes(blobs.payload(superblob.SLOT_CMS) or b"")
        (tmp_path / "directory.bin").write_bytes(bytes(blobs.blobs[superblob.SLOT_DIRECTORY]))
        words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms.der"]
        words += ["-content", "directory.bin", "-CAfile", "root.pem", "-purpose", "any", "-ignore_critical"]
        done = subprocess.run([*words, "-out", "/dev/null"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_nothing_of_a_rehearsal_is_in_it(made: Made) -> None:
    info = plistlib.loads((made.done.places.app / "Contents" / "Info.plist").read_bytes())
    assert info["CFBundleIdentifier"] == "ai.standardagents.apiforcursor"
    assert info["SUFeedURL"] == f"{SITE}/appcast.xml"
    assert not made.done.places.rehearsal.exists()
    feed = made.done.places.appcast.read_text()
    assert "127.0.0.1" not in feed and "rehearsal" not in feed.lower()


def test_no_secret_is_written_or_said(made: Made) -> None:
    left = [*files(made.done.places.dist), *files(made.published), ("what was said", made.said.encode())]
    assert any(".dmg: " in name for name, _ in left) and any("journal.json" in name for name, _ in left)
    assert leaks(made.secrets, [*left, *made.lines.places()]) == []
