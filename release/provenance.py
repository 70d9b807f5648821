"""Where a release comes from, as statements that anybody can check.

Two statements go out with every image, one signed envelope (signing/dsse.py) a line, `<image>.intoto.jsonl`:

- SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance): who built image and bill of materials (named by
  their digests), from which commit, with which parameters and pinned inputs.
- The bill of materials itself, with the image as its subject, so that it is signed too.

Both are in-toto Statements v1 (https://github.com/in-toto/attestation/blob/v1.0/spec/v1.0/statement.md).
docs/verify.md tells how to check them, and what BUILD_TYPE's parameters mean.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from errors import Exit, Fault
from release.inputs.pins import Digest
from signing import dsse
from signing.eddsa_keys import PrivateKey

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
SBOM_PREDICATE: Final = "https://cyclonedx.org/bom"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MEDIA_TYPE: Final = "application/jsonl"
AUTHORITY: Final = "tag:standardagents.ai,2026:api-for-cursor"
BUILD_TYPE: Final = f"{AUTHORITY}/release/v1"
SPACE: Final = uuid.UUID("5b4a1c0e-8f7b-5d61-8a3e-0f8e6b2c7d95")


class StatementFault(Fault):
    """A statement that is none, or not the one that should be there."""

    status = Exit.VERIFY


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a build takes in. `digest` maps an algorithm (sha256, sha512, gitCommit) to hex digits."""

    name: str
    digest: Mapping[str, str]
    uri: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Build:
    """One build. `parameters` were chosen, `environment` was found; `started` and `finished` are epochs."""

    parameters: Mapping[str, str]
    environment: Mapping[str, str]
    resources: Sequence[Resource]
    builder: str
    invocation: str
    started: int | None
    finished: int


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, rename={"kind": "_type", "predicate_type": "predicateType"}):
    """An in-toto statement as read."""

    kind: str
    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]

    def about(self, sha256: str) -> Subject | None:
        """Return the subject with this digest (hex), None if the statement is not about it."""
        return next((one for one in self.subject if one.digest.get("sha256") == sha256), None)


class _Builder(msgspec.Struct):
    id: str


class _Run(msgspec.Struct):
    builder: _Builder


class _Definition(msgspec.Struct, rename="camel"):
    build_type: str
    resolved_dependencies: list[dict[str, Any]] = []


class _Predicate(msgspec.Struct, rename="camel"):
    build_definition: _Definition
    run_details: _Run


@dataclass(frozen=True, slots=True)
class Origin:
    """What SLSA provenance says, in short: the build's type, who built, and from which inputs."""

    kind: str
    builder: str
    inputs: Sequence[Mapping[str, Any]]


def origin_of(statement: Statement) -> Origin:
    """Read the predicate of an SLSA statement; raises StatementFault if it is none."""
    try:
        found = msgspec.convert(statement.predicate, _Predicate)
    except msgspec.MsgspecError as error:
        raise StatementFault(f"this is no SLSA provenance: {error}") from error
    definition = found.build_definition
    return Origin(definition.build_type, found.run_details.builder.id, definition.resolved_dependencies)


def provenance(subjects: Mapping[str, str], build: Build) -> dict[str, Any]:
    """Return the SLSA statement; `subjects` maps file names to SHA-256 (hex)."""
    times = {"startedOn": build.started, "finishedOn": build.finished}
    run = {key: _time(value) for key, value in times.items() if value is not None}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": dict(build.parameters),
            "internalParameters": dict(build.environment),
            "resolvedDependencies": [_descriptor(one) for one in build.resources],
        },
        "runDetails": {
            "builder": {"id": build.builder},
            "metadata": {"invocationId": build.invocation, **run},
        },
    }
    return _statement(subjects, PREDICATE, predicate)


def bill_of_materials(subjects: Mapping[str, str], document: bytes) -> dict[str, Any]:
    """Return the statement that `document` (CycloneDX JSON) tells what the subjects are made of."""
    return _statement(subjects, SBOM_PREDICATE, json.loads(document))


def sign(statements: Sequence[Mapping[str, Any]], key: PrivateKey) -> bytes:
    """Return signed envelopes, one a line."""
    payloads = (json.dumps(one, sort_keys=True, separators=(",", ":")).encode() for one in statements)
    return b"".join(dsse.sign(payload, PAYLOAD_TYPE, key) + b"\n" for payload in payloads)


def read(data: bytes, public: str) -> dict[str, Statement]:
    """Return the statements by their predicate's type, each signed by the owner of `public` (base64).

    Raises EnvelopeFault for a signature that does not hold, StatementFault for what is no statement.
    """
    found: dict[str, Statement] = {}
    for line in data.splitlines():
        statement = _parse(dsse.verify(line, PAYLOAD_TYPE, public))
        if statement.predicate_type in found:
            raise StatementFault(f"there are two statements of the type {statement.predicate_type}")
        found[statement.predicate_type] = statement
    return found


def pinned(pins: Mapping[str, Mapping[str, str]], origins: Mapping[str, str]) -> list[Resource]:
    """Return the pinned inputs as resources; `origins` maps their names to purls."""
    resources = []
    for name, pin in sorted(pins.items()):
        digest = Digest.parse(pin["digest"])
        resources.append(Resource(name, {digest.algorithm: digest.value.hex()}, origins[name]))
    return resources


def builder(environ: Mapping[str, str], *, rehearsal: bool) -> str:
    """Name the machine that builds: a workflow of GitHub's, a maintainer's own, or a rehearsal on any."""
    if rehearsal:
        return f"{AUTHORITY}/builder/rehearsal"
    if environ.get("GITHUB_ACTIONS") == "true":
        return f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_WORKFLOW_REF']}"
    return f"{AUTHORITY}/builder/maintainer"


def invocation(environ: Mapping[str, str], image_sha256: str) -> str:
    """Name the run: its address on GitHub, elsewhere a name made from what came out."""
    if environ.get("GITHUB_ACTIONS") == "true":
        server, repository = environ["GITHUB_SERVER_URL"], environ["GITHUB_REPOSITORY"]
        run, attempt = environ["GITHUB_RUN_ID"], environ.get("GITHUB_RUN_ATTEMPT", "1")
        return f"{server}/{repository}/actions/runs/{run}/attempts/{attempt}"
    return uuid.uuid5(SPACE, image_sha256).urn


def _statement(subjects: Mapping[str, str], kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": kind,
        "predicate": predicate,
    }


def _descriptor(resource: Resource) -> dict[str, Any]:
    made: dict[str, Any] = {"name": resource.name, "digest": dict(resource.digest)}
    made |= {"uri": resource.uri} if resource.uri else {}
    return made | ({"annotations": dict(resource.annotations)} if resource.annotations else {})


def _parse(payload: bytes) -> Statement:
    try:
        statement = msgspec.json.decode(payload, type=Statement)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StatementFault(f"this is no statement: {error}") from error
    if statement.kind != STATEMENT:
        raise StatementFault(f"this is a {statement.kind}, not {STATEMENT}")
    return statement


def _time(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
