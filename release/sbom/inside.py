"""Hold a bill of materials against an app: is what it lists really there, and is everything there listed?"""

from __future__ import annotations

import json
import plistlib
import sys
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from release.sbom import native, python


def differences(document: bytes, app: Path) -> list[str]:
    """Return what does not agree; `document` is valid CycloneDX, `app` an unpacked .app.

    Looked at: the app's own version and build, every place that a component is said to be at, the versions
    that files in the app carry themselves (Python, Bun, Sparkle, C libraries), and whose every Python module
    is.
    """
    bill = json.loads(document)
    components = bill.get("components", [])
    return [
        *_root(bill, app),
        *(line for each in components for line in _places(each, app)),
        *_versions({each["name"]: each for each in components}, app),
        *_unlisted(components, app),
    ]


def _root(bill: Mapping[str, Any], app: Path) -> Iterator[str]:
    info = plistlib.loads((app / "Contents/Info.plist").read_bytes())
    root = bill.get("metadata", {}).get("component", {})
    noted = {str(one.get("name")).rpartition(":")[2]: one.get("value") for one in root.get("properties", [])}
    for what, said, is_ in (
        ("version", root.get("version"), info.get("CFBundleShortVersionString")),
        ("build", noted.get("build"), info.get("CFBundleVersion")),
    ):
        if said != is_:
            yield f"the app's {what} is {is_}, not {said}"


def _places(component: Mapping[str, Any], app: Path) -> Iterator[str]:
    places = [one["location"] for one in component.get("evidence", {}).get("occurrences", [])]
    if not places:
        yield f"{component['name']} is said to be nowhere"
    for place in places:
        if not _exists(app, place):
            yield f"{component['name']} {component.get('version')} is not at {place}"


def _exists(app: Path, place: str) -> bool:
    path = (app / place).resolve()
    if not path.is_relative_to(app.resolve()):
        return False
    archive, inside = place.partition(".zip/")[::2]
    if inside and (app / f"{archive}.zip").is_file():
        with zipfile.ZipFile(app / f"{archive}.zip") as opened:
            return any(name.startswith((f"{inside}/", f"{inside}.")) for name in opened.namelist())
    return path.exists() or any(path.parent.glob(f"{path.name}.*"))


def _versions(components: Mapping[str, Mapping[str, Any]], app: Path) -> Iterator[str]:
    for name, version in native.versions(app):
        said = components.get(name, {}).get("version")
        if said != version:
            yield f"{name} in the app is {version}, not {said or 'listed'}"


def _unlisted(components: list[Mapping[str, Any]], app: Path) -> list[str]:
    """Name the top levels of modules at no place that is listed, and not the standard library's or ours."""
    listed = {
        one["location"] for each in components for one in each.get("evidence", {}).get("occurrences", [])
    }
    known = sys.stdlib_module_names | python.OURS
    lost = {
        stem.partition("/")[0]
        for stem, places in python.modules(app).items()
        if stem.partition("/")[0] not in known and not any(_listed(place, stem, listed) for place in places)
    }
    return [f"the module {name} is not listed" for name in sorted(lost)]


def _listed(place: str, stem: str, listed: Collection[str]) -> bool:
    """Tell whether a module's package is listed; one that only makes a namespace need not be."""
    top, *rest = stem.split("/")
    if f"{place}/{top}" in listed or (rest and f"{place}/{top}/{rest[0]}" in listed):
        return True
    return rest == ["__init__"] and any(one.startswith(f"{place}/{top}/") for one in listed)
