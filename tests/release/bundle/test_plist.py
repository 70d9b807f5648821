from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from errors import Exit
from release.bundle import plist
from release.bundle.plist import PlistFault
from release.bundle.spec import BundleSpec
from tests.release.bundle import tiny


def spec(source: Path, **changed: object) -> BundleSpec:
    return tiny.spec(source, python="3.11", **changed)


MADE = {
    "CFBundleName": "other",
    "NSMainNibFile": "MainMenu",
    "PyMainFileNames": ["__boot__"],
    "PyOptions": {},
    "PyResourcePackages": [],
    "PyRuntimeLocations": ["@executable_path/../Frameworks/Python.framework/Versions/3.11/Python"],
    "PythonInfoDict": {"PythonExecutable": "/home/someone/bin/python", "PythonShortVersion": "3.1"},
}


def test_has_what_the_system_python_and_sparkle_read(tmp_path: Path) -> None:
    values = plist.info(spec(tmp_path), MADE, "3.11.9")
    assert values["CFBundleExecutable"] == values["CFBundleName"] == "Tiny"
    assert values["CFBundleIdentifier"] == "org.example.tiny"
    assert (values["CFBundleShortVersionString"], values["CFBundleVersion"]) == ("1.2.3", "45")
    assert values["LSMinimumSystemVersion"] == "13.0"
    assert values["LSApplicationCategoryType"] == "public.app-category.developer-tools"
    assert values["NSHumanReadableCopyright"] == "Copyright © 2026"
    assert values["PyRuntimeLocations"] == MADE["PyRuntimeLocations"]
    assert values["PythonInfoDict"] == {"PythonLongVersion": "3.11.9", "PythonShortVersion": "3.11"}
    assert values["SUFeedURL"] == "https://example.org/appcast.xml"
    assert values["SUPublicEDKey"] == "A" * 43 + "="
    assert values["SURequireSignedFeed"] is values["SUVerifyUpdateBeforeExtraction"] is True
    assert values["SUEnableAutomaticChecks"] is True
    assert values["LSMultipleInstancesProhibited"] is True
    assert values["NSAppTransportSecurity"] == {"NSAllowsLocalNetworking": True}
    assert "LSUIElement" not in values, "whether it is in the Dock is the user's choice, at run time"
    assert "NSMainNibFile" not in values
    assert b"/home/" not in plistlib.dumps(values)


def test_an_unsigned_feed_is_not_required_to_be_signed(tmp_path: Path) -> None:
    values = plist.info(spec(tmp_path, signed_feed=False), MADE, "3.11.9")
    assert values["SURequireSignedFeed"] is False
    assert values["SUVerifyUpdateBeforeExtraction"] is True


@pytest.mark.parametrize(
    ("arch", "priority"),
    [("arm64", ["arm64"]), ("x86_64", ["x86_64"]), ("universal2", ["arm64", "x86_64"])],
)
def test_architectures_come_in_order_of_preference(tmp_path: Path, arch: str, priority: list[str]) -> None:
    assert plist.info(spec(tmp_path, arch=arch), MADE, "3.11.9")["LSArchitecturePriority"] == priority


@pytest.mark.parametrize("build", ["1.0-beta", "", "1.", "1.2.3.4.5", "٣", "1 2"])
def test_builds_that_sparkle_would_misread_are_refused(tmp_path: Path, build: str) -> None:
    with pytest.raises(PlistFault) as caught:
        plist.info(spec(tmp_path, build=build), MADE, "3.11.9")
    assert caught.value.status == Exit.PLIST


@pytest.mark.parametrize("content", [b"", b"<plist>", b"bplist00damaged", b"<plist><array/></plist>"])
def test_what_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Info.plist"
    path.write_bytes(content)
    with pytest.raises(PlistFault) as caught:
        plist.read(path)
    assert caught.value.status == Exit.PLIST
    assert caught.value.where == str(path)


def test_same_values_same_bytes(tmp_path: Path) -> None:
    plist.write(tmp_path / "a", {"b": 1, "a": "ä"})
    plist.write(tmp_path / "b", {"a": "ä", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert plist.read(tmp_path / "a") == {"a": "ä", "b": 1}
