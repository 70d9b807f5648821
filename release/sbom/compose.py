"""Compose the document: from an app and what it was built from to CycloneDX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.inputs.bridge import read_lock
from release.sbom import cyclonedx, javascript, native, python
from release.sbom.part import Part


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What an app was built from.

    `site_packages`: the folder of its Python packages; `lock` and `wishes`: requirements/app.txt and app.in;
    `bridge_lock`: the bridge's package-lock.json; `bridge_packages`: those that went into it;
    `inputs_note`: what the inputs step wrote down.
    """

    site_packages: Path
    lock: Path
    wishes: Path
    bridge_lock: Path
    bridge_packages: Sequence[str]
    inputs_note: Path


def compose(app: Path, subject: cyclonedx.Subject, made_from: Ingredients) -> bytes:
    """Return the document for the app at `app` (.app): CycloneDX JSON, the same for the same inputs.

    Raises PartsFault for anything in the app that cannot be accounted for.
    """
    return cyclonedx.render(subject, parts(app, subject.arch, made_from), roots(made_from))


def parts(app: Path, arch: str, made_from: Ingredients) -> tuple[Part, ...]:
    """Return everything in the app that is not ours."""
    note = json.loads(made_from.inputs_note.read_text("utf-8"))
    return (
        *python.parts(app, made_from.site_packages, made_from.lock, arch=arch),
        *javascript.parts(made_from.bridge_packages, read_lock(made_from.bridge_lock)),
        *native.parts(app, note, arch=arch),
    )


def roots(made_from: Ingredients) -> tuple[str, ...]:
    """Return the names that our own code asks for: app.in, the bridge's package.json, and the runtimes."""
    lines = made_from.wishes.read_text("utf-8").splitlines()
    wishes = [line.partition("#")[0].strip() for line in lines]
    asked = [canonicalize_name(Requirement(wish).name) for wish in wishes if wish]
    package = json.loads(made_from.bridge_lock.with_name("package.json").read_bytes())
    runtimes = (native.PYTHON, native.BUN, native.SPARKLE, native.STUB)
    return (*asked, *package["dependencies"], *runtimes)
