"""The statements beside an image: what it is made of, where it comes from, and who says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import Fault
from release import provenance
from release.objects import IMMUTABLE
from release.provenance import Statement
from release.sbom import cyclonedx
from release.sbom.inside import differences
from release.verify.rows import Rows, Wrong
from release.verify.web import Answer, Web

SBOM = ".cdx.json"
STATEMENTS = ".intoto.jsonl"


@dataclass(frozen=True, slots=True)
class Statements:
    """The bill of materials and the signed statements as they came; `url` is the image's."""

    url: str
    document: bytes
    document_sha256: str
    lines: bytes

    @classmethod
    def fetch(cls, web: Web, url: str, folder: Path, rows: Rows) -> Statements | None:
        """Fetch both; None, and rows that say so, if either is not there."""
        document = rows.run("bill of materials", lambda: _fetched(web, url + SBOM, folder), url + SBOM)
        lines = rows.run("statements", lambda: _fetched(web, url + STATEMENTS, folder), url + STATEMENTS)
        if document is None or lines is None:
            return None
        rows.run("valid CycloneDX", lambda: _valid(document.body), url + SBOM)
        digest = hashlib.sha256(document.body).hexdigest()
        return cls(url, document.body, digest, lines.body)

    def check_inside(self, app: Path, rows: Rows) -> None:
        """Hold the bill of materials against the app in the image."""
        rows.run("materials in the app", lambda: self._inside(app), self.url + SBOM)

    def check_signed(self, image_sha256: str, keys: Sequence[str], rows: Rows) -> None:
        """Check who signed the statements, and that they are about this image and this bill of materials."""
        url = self.url + STATEMENTS
        found = rows.run("statements' signature", lambda: self._read(keys), url)
        if found is None:
            rows.skip("provenance", "nobody known has signed it")
            return
        rows.run("provenance", lambda: self._provenance(found, image_sha256), url)
        rows.run("signed bill of materials", lambda: self._bill(found, image_sha256), url)

    def _inside(self, app: Path) -> tuple[None, str]:
        try:
            wrong = differences(self.document, app)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
            raise Wrong(f"it cannot be held against the app: {type(error).__name__}") from error
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise Wrong(
                "; ".join(wrong[:5]) + more, cure="publish a bill of materials made from this very app"
            )
        return None, "every part is there, every module is listed"

    def _read(self, keys: Sequence[str]) -> tuple[dict[str, Statement], str]:
        fault: Fault | None = None
        for key in keys:
            try:
                return provenance.read(self.lines, key), f"DSSE, EdDSA, key {key[:12]}…"
            except Fault as one:
                fault = fault or one
        raise fault or Wrong("no key is known that could judge it")

    def _provenance(self, found: dict[str, Statement], image_sha256: str) -> tuple[None, str]:
        statement = found.get(provenance.PREDICATE)
        if statement is None:
            raise Wrong("there is no SLSA provenance", expected=provenance.PREDICATE, found=", ".join(found))
        for what, digest in (("image", image_sha256), ("bill of materials", self.document_sha256)):
            if statement.about(digest) is None:
                said = ", ".join(f"{one.name} {one.digest.get('sha256')}" for one in statement.subject)
                raise Wrong(f"it is not about this {what}", expected=f"sha256 {digest}", found=said)
        made = provenance.origin_of(statement)
        if made.kind != provenance.BUILD_TYPE:
            raise Wrong("another way of building", expected=provenance.BUILD_TYPE, found=made.kind)
        return None, f"built by {made.builder}, {len(made.inputs)} inputs named"

    def _bill(self, found: dict[str, Statement], image_sha256: str) -> tuple[None, str]:
        statement = found.get(provenance.SBOM_PREDICATE)
        if statement is None:
            raise Wrong("there is none", expected=provenance.SBOM_PREDICATE, found=", ".join(found))
        if statement.about(image_sha256) is None:
            raise Wrong("it is about another image", expected=f"sha256 {image_sha256}")
        try:
            same = statement.predicate == json.loads(self.document)
        except (ValueError, RecursionError):
            same = False
        if not same:
            raise Wrong("what was signed is not what is published beside the image")
        return None, "the same as beside the image"


def _fetched(web: Web, url: str, folder: Path) -> tuple[Answer, str]:
    answer = web.get(url).expect(200, cache_control=IMMUTABLE)
    (folder / Path(url).name).write_bytes(answer.body)
    return answer, f"{len(answer.body)} bytes"


def _valid(document: bytes) -> tuple[None, str]:
    if problems := cyclonedx.problems(document):
        raise Wrong(problems[0])
    return None, "1.6, by its strict schema"
