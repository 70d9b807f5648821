"""CycloneDX 1.6 JSON (ECMA-424): written for an app and its parts, and read back by who checks it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from release.inputs.pins import Digest
from release.sbom.part import Part, PartsFault

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json; version=1.6"
ROOT: Final = "app"
SPACE: Final = uuid.UUID("2f0d4c9e-5b7a-5e0b-9f64-6d1a5a1b8a11")
_OURS: Final = "api-for-cursor"


@dataclass(frozen=True, slots=True)
class Subject:
    """The app itself. `epoch` (seconds) is the document's time."""

    name: str
    version: str
    build: str
    bundle_id: str
    arch: str
    copyright: str
    epoch: int


def render(subject: Subject, parts: Sequence[Part], roots: Collection[str]) -> bytes:
    """Return the document. `roots` are the purls of the parts that our own code asks for.

    The serial number is made from the content, the time is the release's own, nothing names an address.
    """
    nothing = _document(subject, parts, roots, uuid.UUID(int=0))
    serial = uuid.uuid5(SPACE, sha256(nothing).hexdigest())
    return _document(subject, parts, roots, serial)


def problems(data: bytes) -> list[str]:
    """Return why `data` is no valid CycloneDX 1.6 document, judged by its own strict schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    try:
        found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        return [f"it is not JSON: {error}"]
    return [] if found is None else [str(found)[:500]]


def _document(subject: Subject, parts: Sequence[Part], roots: Collection[str], serial: uuid.UUID) -> bytes:
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    bom = _bom(subject, parts, roots, serial)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False).encode() + b"\n"


def _bom(subject: Subject, parts: Sequence[Part], roots: Collection[str], serial: uuid.UUID) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle

    root = _root(subject)
    components = {part.purl: _component(part) for part in parts}
    if len(components) != len(parts):
        raise PartsFault("a part is listed twice", details=tuple(sorted(part.purl for part in parts)))
    metadata = BomMetaData(
        component=root,
        timestamp=datetime.fromtimestamp(subject.epoch, UTC),
        lifecycles=[PredefinedLifecycle(LifecyclePhase.BUILD)],
    )
    bom = Bom(serial_number=serial, metadata=metadata, components=components.values())
    bom.register_dependency(root, [components[purl] for purl in roots])
    for part in parts:
        bom.register_dependency(components[part.purl], [components[purl] for purl in part.needs])
    return bom


def _root(subject: Subject) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    about = {"build": subject.build, "bundle-id": subject.bundle_id, "arch": subject.arch}
    return Component(
        name=subject.name,
        version=subject.version,
        type=ComponentType.APPLICATION,
        bom_ref=ROOT,
        licenses=[LicenseFactory().make_with_id("MIT")],
        copyright=subject.copyright,
        properties=[Property(name=f"{_OURS}:{key}", value=value) for key, value in about.items()],
    )


def _component(part: Part) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
    from packageurl import PackageURL

    purl = PackageURL.from_string(part.purl)
    return Component(
        name=purl.name if purl.type == "npm" else part.name,
        group=purl.namespace if purl.type == "npm" else None,
        version=part.version,
        type=ComponentType(part.kind),
        bom_ref=part.purl,
        purl=purl,
        cpe=part.cpe,
        description=part.note or None,
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        external_references=[_origin(part)] if part.digests else [],
        evidence=ComponentEvidence(
            occurrences=[Occurrence(location=place, bom_ref=f"{part.purl}#{place}") for place in part.places]
        ),
    )


def _origin(part: Part) -> ExternalReference:
    """Say which files the part may have been taken from. Their purl stands for an address."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashType, XsUri

    hashes = [_hash(text) for text in part.digests]
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(part.origin),
        comment="the file it was taken from"
        if len(hashes) == 1
        else "it was taken from one of the files with these hashes",
        hashes=[HashType(alg=algorithm, content=value) for algorithm, value in hashes],
    )


def _hash(text: str) -> tuple[Any, str]:
    from cyclonedx.model import HashAlgorithm

    digest = Digest.parse(text)
    algorithm = HashAlgorithm.SHA_256 if digest.algorithm == "sha256" else HashAlgorithm.SHA_512
    return algorithm, digest.value.hex()
