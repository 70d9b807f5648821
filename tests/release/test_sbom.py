"""The bill of materials: what is found in an app, how it is written down, and what does not add up."""

import json
import os
import plistlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release.sbom import Ingredients, compose, cyclonedx, javascript, native, python
from release.sbom.inside import differences
from release.sbom.part import PartsFault

LIBRARY = "Contents/Resources/lib"
DYNLOAD = f"{LIBRARY}/python3.11/lib-dynload"
SUBJECT = cyclonedx.Subject("Tiny", "1.2.0", "7", "com.example.tiny", "arm64", "© Nobody", 1_767_225_600)
HASH = f"sha256:{'a' * 64}"
INTEGRITY = "sha512-" + "A" * 86 + "=="


def write(path: Path, data: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def package(folder: Path, name: str, version: str, files: list[str], **metadata: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    fields = {"Metadata-Version": "2.4", "Name": name, "Version": version, **metadata}
    lines = [f"{key.replace('_', '-')}: {each}" for key, value in fields.items() for each in value.split("|")]
    write(info / "METADATA", "\n".join(lines) + "\n")
    write(info / "RECORD", "".join(f"{file},,\n" for file in files))
    for file in files:
        write(folder / file)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app with Python, C libraries, Bun, Sparkle, a bridge and packages of every shape."""
    app = tmp_path / "Tiny.app"
    info = {"CFBundleExecutable": "Tiny", "CFBundleShortVersionString": "1.2.0", "CFBundleVersion": "7"}
    write(app / "Contents/Info.plist", plistlib.dumps(info))
    write(app / "Contents/MacOS/Tiny")
    write(app / "Contents/Resources/__boot__.py")
    write(app / "Contents/Resources/bridge.js")
    write(app / "Contents/Helpers/bun", b"\0Bun/1.4.5\0")
    write(app / "Contents/Frameworks/Python.framework/Versions/3.11/Python", b"\x003.11.9\0")
    plist = plistlib.dumps({"CFBundleShortVersionString": "2.9.4"})
    write(app / "Contents/Frameworks/Sparkle.framework/Resources/Info.plist", plist)
    write(app / DYNLOAD / "libcrypto.3.dylib", b"\0OpenSSL 3.0.13 30 Jan 2024\0")
    write(app / DYNLOAD / "pyexpat.so", b"\0expat_2.6.0\0")
    write(app / DYNLOAD / "_decimal.so", b"\x002.5.1\0")
    write(app / DYNLOAD / "fast/core.cpython-311-darwin.so")
    write(app / f"{LIBRARY}/python3.11/certs/__init__.pyc")
    write(app / f"{LIBRARY}/python3.11/certs/all.pem")
    write(app / f"{LIBRARY}/python3.11/app/main.pyc")
    with zipfile.ZipFile(app / LIBRARY / "python311.zip", "w") as archive:
        for name in (
            "json/__init__",
            "fast/__init__",
            "fast/core",
            "single",
            "ns/__init__",
            "ns/a/x",
            "ns/b/y",
        ):
            archive.writestr(f"{name}.pyc", b"")
    return app


@pytest.fixture
def made_from(tmp_path: Path) -> Ingredients:
    site = tmp_path / "site"
    package(
        site, "fast", "2.0", ["fast/__init__.py", "fast/core.cpython-311-darwin.so"], License_Expression="MIT"
    )
    package(site, "certs", "2026.1", ["certs/__init__.py", "certs/all.pem"], License="MPL-2.0")
    package(
        site,
        "Single.File",
        "1",
        ["single.py"],
        Classifier="License :: OSI Approved :: Python Software Foundation License|Topic :: Software",
        Requires_Dist='fast>=1|certs; sys_platform == "darwin"|absent|winonly; sys_platform == "win32"',
    )
    package(site, "ns-a", "1", ["ns/a/x.py"])
    package(site, "ns-b", "2", ["ns/b/y.py"])
    package(site, "left-out", "1", ["left_out.py"])
    lock = [
        f"{name} \\\n    --hash={HASH}" for name in ("fast==2.0 ; sys_platform != 'win32'", "certs==2026.1")
    ]
    packages = {
        "": {"name": "bridge"},
        "node_modules/zod": {"version": "3.25.76", "integrity": INTEGRITY, "license": "MIT"},
        "node_modules/@cursor/sdk": {
            "version": "1.0.31",
            "integrity": INTEGRITY,
            "license": "SEE LICENSE IN LICENSE.md",
            "dependencies": {"zod": "^3", "undici": "^5"},
        },
        "node_modules/undici": {"version": "5.29.0", "integrity": INTEGRITY, "license": "MIT"},
    }
    pin = {"version": "1", "source": "pypi", "package": "holder", "digest": HASH}
    pins = {
        "python-3.11": {**pin, "name": "python-3.11", "package": "panda3d"},
        "sparkle": {**pin, "name": "sparkle", "source": "url", "package": "https://example.test/s.zip"},
        "bun-darwin-arm64": {
            **pin,
            "name": "bun",
            "source": "npm",
            "package": "@oven/bun",
            "digest": INTEGRITY,
        },
    }
    facts = {"libpython": "3.11.9", "stdlib": "3.11.7", "stdlib_sha256": "f" * 64, "stdlib_from": "host"}
    write(tmp_path / "bridge/package.json", json.dumps({"dependencies": {"@cursor/sdk": "1.0.31"}}))
    return Ingredients(
        site_packages=site,
        lock=write(tmp_path / "app.txt", "\n".join(lock) + "\n"),
        wishes=write(tmp_path / "app.in", "# ours\nSingle_File>=1  # why\nns-a; sys_platform == 'darwin'\n"),
        bridge_lock=write(tmp_path / "bridge/package-lock.json", json.dumps({"packages": packages})),
        bridge_packages=("node_modules/@cursor/sdk", "node_modules/zod"),
        inputs_note=write(tmp_path / "inputs.json", json.dumps({"python": facts, "pins": pins})),
    )


def composed(app: Path, made_from: Ingredients) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compose(app, SUBJECT, made_from))
    return found


def by_name(document: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in document["components"]}


def places(component: Mapping[str, Any]) -> list[str]:
    return [one["location"] for one in component["evidence"]["occurrences"]]


def test_the_document_is_valid_and_the_same_twice(app, made_from):
    data = compose(app, SUBJECT, made_from)
    assert cyclonedx.problems(data) == []
    assert data == compose(app, SUBJECT, made_from)
    later = compose(app, replace(SUBJECT, build="8"), made_from)
    assert json.loads(later)["serialNumber"] != json.loads(data)["serialNumber"]


def test_it_names_no_address_and_no_path_of_this_machine(app, made_from, tmp_path):
    text = compose(app, SUBJECT, made_from).decode()
    assert str(tmp_path) not in text and os.environ["HOME"] not in text
    assert [line for line in text.splitlines() if "://" in line] == [
        ' "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",'
    ]


def test_only_what_is_in_the_app_is_listed(app, made_from):
    assert set(by_name(composed(app, made_from))) == {
        *("fast", "certs", "single-file", "ns-a", "ns-b"),
        *("sdk", "zod"),
        *("Python", "OpenSSL", "Expat", "mpdecimal", "Bun", "Sparkle", "py2app"),
    }


def test_versions_places_licences_and_digests(app, made_from):
    parts = by_name(composed(app, made_from))
    assert places(parts["fast"]) == [f"{DYNLOAD}/fast", f"{LIBRARY}/python311.zip/fast"]
    assert places(parts["ns-b"]) == [f"{LIBRARY}/python311.zip/ns/b"]
    assert places(parts["certs"]) == [f"{LIBRARY}/python3.11/certs"]
    assert places(parts["sdk"]) == ["Contents/Resources/bridge.js"]
    assert parts["fast"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["certs"]["licenses"] == [{"license": {"id": "MPL-2.0"}}]
    assert parts["single-file"]["licenses"] == [{"license": {"name": "Python Software Foundation License"}}]
    assert parts["sdk"]["licenses"] == [{"license": {"name": "the licence in @cursor/sdk"}}]
    assert (parts["sdk"]["group"], parts["sdk"]["purl"]) == ("@cursor", "pkg:npm/%40cursor/sdk@1.0.31")
    assert parts["fast"]["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert parts["Sparkle"]["externalReferences"][0]["url"] == "pkg:generic/sparkle@1"
    assert parts["Python"]["version"] == "3.11.9" and "3.11.7" in parts["Python"]["description"]
    assert parts["OpenSSL"]["cpe"] == "cpe:2.3:a:openssl:openssl:3.0.13:*:*:*:*:*:*:*"
    assert {name: parts[name]["version"] for name in ("Bun", "Sparkle", "Expat", "mpdecimal")} == {
        "Bun": "1.4.5",
        "Sparkle": "2.9.4",
        "Expat": "2.6.0",
        "mpdecimal": "2.5.1",
    }


def test_the_graph_begins_at_the_app(app, made_from):
    document = composed(app, made_from)
    names = {each["bom-ref"]: each["name"] for each in document["components"]} | {"app": "Tiny"}
    graph = {
        names[one["ref"]]: {names[each] for each in one.get("dependsOn", ())}
        for one in document["dependencies"]
    }
    assert graph["Tiny"] == {"single-file", "ns-a", "sdk", "Python", "Bun", "Sparkle", "py2app"}
    assert graph["single-file"] == {"fast", "certs"}
    assert graph["sdk"] == {"zod"}
    assert graph["Python"] == {"OpenSSL", "Expat", "mpdecimal"}


def test_a_module_of_no_package_is_refused(app, made_from):
    write(app / f"{LIBRARY}/python3.11/stray/__init__.pyc")
    with pytest.raises(PartsFault) as caught:
        compose(app, SUBJECT, made_from)
    assert caught.value.status == Exit.AUDIT and "stray/__init__" in caught.value.details


def test_a_bridge_package_that_is_not_locked_is_refused(app, made_from):
    strange = replace(made_from, bridge_packages=("node_modules/left-pad",))
    with pytest.raises(Fault, match="not in its lock") as caught:
        compose(app, SUBJECT, strange)
    assert caught.value.status == Exit.BUNDLE


def test_nested_packages_keep_their_own_version():
    path = "node_modules/a/node_modules/@b/c"
    part = javascript.parts([path], {path: {"version": "2", "integrity": INTEGRITY}})[0]
    assert (part.name, part.purl) == ("@b/c", "pkg:npm/%40b/c@2")


def test_two_parts_of_one_name_are_both_listed_by_version(app, made_from):
    lock = json.loads(made_from.bridge_lock.read_text())
    nested = "node_modules/@cursor/sdk/node_modules/zod"
    lock["packages"][nested] = {"version": "4.0.0", "integrity": INTEGRITY, "license": "MIT"}
    made_from.bridge_lock.write_text(json.dumps(lock))
    both = replace(made_from, bridge_packages=(*made_from.bridge_packages, nested))
    document = composed(app, both)
    sdk = next(one for one in document["dependencies"] if "sdk@" in one["ref"])
    assert sdk["dependsOn"] == ["pkg:npm/zod@4.0.0"]  # the one in its own folder
    purls = {each["purl"] for each in document["components"] if each["name"] == "zod"}
    assert purls == {"pkg:npm/zod@3.25.76", "pkg:npm/zod@4.0.0"}


def test_bun_that_does_not_tell_its_version_is_refused(app, made_from):
    write(app / "Contents/Helpers/bun", b"")
    with pytest.raises(PartsFault, match="does not tell its version"):
        compose(app, SUBJECT, made_from)


def test_an_app_agrees_with_its_own_document(app, made_from):
    assert differences(compose(app, SUBJECT, made_from), app) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{DYNLOAD}/fast/core.cpython-311-darwin.so", "fast 2.0 is not at"),
        ("Contents/Resources/bridge.js", "sdk 1.0.31 is not at"),
        (f"{LIBRARY}/python311.zip", "single-file 1 is not at"),
    ],
)
def test_what_has_left_the_app_is_noticed(app, made_from, name, said):
    document = compose(app, SUBJECT, made_from)
    path = app / name
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
    assert any(line.startswith(said) for line in differences(document, app))


def test_what_came_into_the_app_or_changed_there_is_noticed(app, made_from):
    document = compose(app, SUBJECT, made_from)
    write(app / f"{LIBRARY}/python3.11/stray/__init__.pyc")
    write(app / "Contents/Helpers/bun", b"\0Bun/1.4.6\0")
    write(app / DYNLOAD / "_lzma.so", b"\x005.2.3\0")
    info = {"CFBundleShortVersionString": "1.2.0", "CFBundleVersion": "8"}
    write(app / "Contents/Info.plist", plistlib.dumps(info))
    assert differences(document, app) == [
        "the app's build is 8, not 7",
        "XZ in the app is 5.2.3, not listed",
        "Bun in the app is 1.4.6, not 1.4.5",
        "the module stray is not listed",
    ]


def test_a_place_outside_of_the_app_is_nowhere(app, made_from):
    text = compose(app, SUBJECT, made_from).decode()
    outside = text.replace('"location": "Contents/Resources/bridge.js"', '"location": "../site/single.py"')
    assert any("is not at ../site/single.py" in line for line in differences(outside.encode(), app))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"bomFormat":"CycloneDX"}'])
def test_what_is_no_document_is_told(data):
    assert cyclonedx.problems(data)


def test_lock_files_are_read_whole(tmp_path):
    text = f"# about\na==1 \\\n    --hash={HASH} \\\n    --hash=sha256:{'b' * 64}\n    # via x\n"
    text += f"B_c==2 --hash={HASH}\n"
    locked = python.locked(write(tmp_path / "lock.txt", text))
    assert locked == {("a", "1"): (HASH, f"sha256:{'b' * 64}"), ("b-c", "2"): (HASH,)}


def test_every_library_is_found_by_its_own_sign():
    signs = {
        "OpenSSL": b"\0OpenSSL 3.5.0 8 Apr 2025\0",
        "Expat": b"\0expat_2.7.1\0",
        "mpdecimal": b"\x004.0.0\0",
        "XZ": b"\x005.6.4\0",
        "SQLite": b"\x003.50.4\0",
    }
    found = {one.name: one.version.search(signs[one.name]) for one in native.LIBRARIES}
    assert all(found.values()) and set(found) == set(signs)
