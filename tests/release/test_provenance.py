"""Statements: what is in them, that others can check them, and what is no statement."""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from release import provenance
from release.provenance import Build, Resource, StatementFault
from release.rehearsal.site import Site
from signing import dsse, eddsa
from signing.dsse import EnvelopeFault
from signing.eddsa_expanded import ExpandedKey
from tests.standins import shipped
from tests.standins.store import MemoryStore

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = eddsa.public_key(KEY)
OTHER = eddsa.public_key(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
ZEROS = "0" * 64
BUILD = Build(
    parameters={"version": "1.2.0"},
    environment={"python": "3.11"},
    resources=[Resource("source", {"gitCommit": "c" * 40}, annotations={"clean": True})],
    builder="tag:example.test:builder",
    invocation="urn:uuid:0",
    started=None,
    finished=1_767_225_600,
)


def test_the_statement_is_slsa_provenance():
    made = provenance.provenance({"a.dmg": ZEROS}, BUILD)
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["subject"] == [{"name": "a.dmg", "digest": {"sha256": ZEROS}}]
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert made["predicate"]["buildDefinition"] == {
        "buildType": provenance.BUILD_TYPE,
        "externalParameters": {"version": "1.2.0"},
        "internalParameters": {"python": "3.11"},
        "resolvedDependencies": [
            {"name": "source", "digest": {"gitCommit": "c" * 40}, "annotations": {"clean": True}}
        ],
    }
    assert made["predicate"]["runDetails"] == {
        "builder": {"id": "tag:example.test:builder"},
        "metadata": {"invocationId": "urn:uuid:0", "finishedOn": "2026-01-01T00:00:00Z"},
    }


def test_what_is_signed_can_be_read_with_the_key_alone():
    lines = provenance.sign(
        [
            provenance.provenance({"a": ZEROS}, BUILD),
            provenance.bill_of_materials({"a": ZEROS}, b'{"bomFormat": "CycloneDX"}'),
        ],
        KEY,
    )
    assert lines.count(b"\n") == 2
    found = provenance.read(lines, PUBLIC)
    assert set(found) == {provenance.PREDICATE, provenance.SBOM_PREDICATE}
    assert found[provenance.SBOM_PREDICATE].predicate == {"bomFormat": "CycloneDX"}
    assert found[provenance.PREDICATE].about(ZEROS) and not found[provenance.PREDICATE].about("1" * 64)
    origin = provenance.origin_of(found[provenance.PREDICATE])
    assert (origin.builder, origin.kind, len(origin.inputs)) == (BUILD.builder, provenance.BUILD_TYPE, 1)
    assert lines == provenance.sign(list(map(_payload, lines.splitlines())), KEY)
    with pytest.raises(EnvelopeFault, match="does not fit"):
        provenance.read(lines, OTHER)


def _payload(line: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.b64decode(json.loads(line)["payload"]))
    return found


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "no statement"),
        (b"[]", "no statement"),
        (b"[" * 100_000, "no statement"),
        (b'{"_type":"x","subject":[],"predicateType":"p","predicate":{}}', "this is a x"),
        (b'{"_type":"x","subject":[{"name":1}],"predicateType":"p","predicate":{}}', "no statement"),
    ],
)
def test_what_is_signed_and_no_statement_is_refused(payload, said):
    with pytest.raises(StatementFault, match=said):
        provenance.read(dsse.sign(payload, provenance.PAYLOAD_TYPE, KEY), PUBLIC)


def test_two_statements_of_a_kind_are_refused():
    line = provenance.sign([provenance.provenance({"a": ZEROS}, BUILD)], KEY)
    with pytest.raises(StatementFault, match="two statements"):
        provenance.read(line * 2, PUBLIC)


def test_a_predicate_that_is_none_is_refused():
    made = provenance.provenance({"a": ZEROS}, BUILD) | {"predicate": {"buildDefinition": 1}}
    found = provenance.read(provenance.sign([made], KEY), PUBLIC)
    with pytest.raises(StatementFault, match="no SLSA provenance"):
        provenance.origin_of(found[provenance.PREDICATE])


def test_another_type_in_the_envelope_is_refused():
    with pytest.raises(EnvelopeFault, match="text/plain"):
        provenance.read(dsse.sign(b"{}", "text/plain", KEY), PUBLIC)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"payload":1,"payloadType":"t","signatures":[]}',
        b'{"payload":"!","payloadType":"t","signatures":[{}]}',
        b'{"payload":"","payloadType":"t","signatures":[{"keyid":"a","sig":""},{"keyid":"a","sig":""}]}',
    ],
)
def test_what_is_no_envelope_is_refused(line):
    with pytest.raises(EnvelopeFault):
        dsse.verify(line, "t", PUBLIC)


def test_any_changed_bit_of_an_envelope_is_noticed():
    line = dsse.sign(b'{"a": 1}', "t", KEY)
    for at in range(len(line) * 8):
        changed = bytearray(line)
        changed[at // 8] ^= 1 << at % 8
        try:
            payload = dsse.verify(bytes(changed), "t", PUBLIC)
        except EnvelopeFault:
            continue
        assert payload == b'{"a": 1}'  # base64 has spare bits


def test_a_key_from_before_there_were_seeds_signs_too():
    digest = bytearray(hashlib.sha512(b"k" * 32).digest())
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    old = ExpandedKey(bytes(digest) + base64.b64decode(PUBLIC))
    assert dsse.verify(dsse.sign(b"{}", "t", old), "t", PUBLIC) == b"{}"


def test_the_key_id_is_the_sha256_of_the_raw_key():
    assert dsse.key_id(PUBLIC) == hashlib.sha256(base64.b64decode(PUBLIC)).hexdigest()


def test_a_workflow_names_itself_and_its_run():
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://example.test",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_WORKFLOW_REF": "a/b/.github/workflows/release.yml@refs/tags/v1",
        "GITHUB_RUN_ID": "7",
        "GITHUB_RUN_ATTEMPT": "2",
    }
    builder = provenance.builder(actions, rehearsal=False)
    assert builder == "https://example.test/a/b/.github/workflows/release.yml@refs/tags/v1"
    assert provenance.invocation(actions, ZEROS) == "https://example.test/a/b/actions/runs/7/attempts/2"
    assert provenance.builder(actions, rehearsal=True).endswith("/builder/rehearsal")
    assert provenance.builder({}, rehearsal=False).endswith("/builder/maintainer")
    assert provenance.invocation({}, ZEROS) == provenance.invocation({}, ZEROS)


def test_pins_are_named_by_digest_and_purl():
    pins = {"bun": {"digest": f"sha256:{ZEROS}"}, "a": {"digest": "sha512-" + "A" * 86 + "=="}}
    made = provenance.pinned(pins, {"bun": "pkg:npm/bun@1", "a": "pkg:npm/a@1"})
    assert [(one.name, one.uri, dict(one.digest)) for one in made] == [
        ("a", "pkg:npm/a@1", {"sha512": "0" * 128}),
        ("bun", "pkg:npm/bun@1", {"sha256": ZEROS}),
    ]


def test_the_commands_in_the_documentation_work(tmp_path):
    """All shell blocks of docs/verify.md but the first, which names site, image and key."""
    text = (ROOT / "docs/verify.md").read_text("utf-8")
    given, *blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4 and all(f"{name}=" in given for name in ("site", "image", "key"))
    release = shipped.make(tmp_path / "made")
    folder = tmp_path / "work"
    folder.mkdir()
    with Site(shipped.publish(MemoryStore(), release), latest=shipped.LATEST) as site:
        names = {"site": site.url, "image": release.name, "key": eddsa.public_key(shipped.KEY)}
        script = "".join(f"{name}='{value}'\n" for name, value in names.items()) + "\n".join(blocks)
        good = _run(script, folder)
        assert good.returncode == 0, good.stderr
        assert good.stdout.count("Signature Verified Successfully") == 2
        assert good.stdout.count('"sha256":') == 2
        other = script.replace(names["key"], OTHER)
        assert _run(other, folder).returncode != 0


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        ["sh", "-eu"], input=script, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
