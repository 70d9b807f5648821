"""The app's Info.plist: what Finder, Launch Services, py2app's launcher and Sparkle read."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping
from pathlib import Path
from xml.parsers.expat import ExpatError

from errors import Exit, Fault
from release.bundle.spec import BundleSpec

ICON = "icon.icns"
# What py2app's launcher reads; the only keys taken over from its plist.
LAUNCHER_KEYS = ("PyMainFileNames", "PyOptions", "PyResourcePackages", "PyRuntimeLocations")
# First the architecture that runs without translation on a new Mac.
PRIORITY = {"arm64": ["arm64"], "x86_64": ["x86_64"], "universal2": ["arm64", "x86_64"]}
BUILD = re.compile(r"[0-9]+(\.[0-9]+){0,3}")  # any other character is a trap for Sparkle's comparator


class PlistFault(Fault):
    """An Info.plist can't be read, or something in it can't be right."""

    status = Exit.PLIST


def read(path: Path) -> dict[str, object]:
    """Read a property list; raises PlistFault."""
    try:
        values = plistlib.loads(path.read_bytes())
    except (OSError, ValueError, ExpatError, plistlib.InvalidFileException) as error:
        raise PlistFault(
            "This property list can't be read",
            where=path,
            details=(str(error),),
            cure="build the bundle again: ./invoke release --from bundle",
        ) from error
    if not isinstance(values, dict):
        raise PlistFault("This property list is no dictionary", where=path)
    return values


def write(path: Path, values: Mapping[str, object]) -> None:
    """Write a property list as XML with its keys in order."""
    path.write_bytes(plistlib.dumps(dict(values), sort_keys=True))


def info(spec: BundleSpec, made: Mapping[str, object], python_version: str) -> dict[str, object]:
    """Give the whole Info.plist of the app.

    `made` is what py2app wrote, `python_version` that of the packed interpreter in full, such as "3.11.9".
    Raises PlistFault for a build number that Sparkle would misread.
    """
    if not BUILD.fullmatch(spec.build):
        raise PlistFault(
            f"The build number {spec.build} is not made of numbers and dots",
            where="CFBundleVersion",
            cure="give up to four numbers with dots between them",
        )
    return {**_identity(spec), **_system(spec), **_python(spec, made, python_version), **_sparkle(spec)}


def _identity(spec: BundleSpec) -> dict[str, object]:
    return {
        "CFBundleDevelopmentRegion": "en",
        "CFBundleDisplayName": spec.name,
        "CFBundleExecutable": spec.name,
        "CFBundleIconFile": ICON,
        "CFBundleIdentifier": spec.bundle_id,
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleName": spec.name,
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": spec.version,
        "CFBundleSignature": "????",
        "CFBundleSupportedPlatforms": ["MacOSX"],
        "CFBundleVersion": spec.build,
        "NSHumanReadableCopyright": spec.copyright,
    }


def _system(spec: BundleSpec) -> dict[str, object]:
    return {
        "LSApplicationCategoryType": spec.category,
        "LSArchitecturePriority": PRIORITY[spec.arch],
        "LSMinimumSystemVersion": spec.minimum_system,
        # One copy serves; Sparkle, the login item and a second click all mean the one that runs.
        "LSMultipleInstancesProhibited": True,
        # The app's pages come from the app itself over plain HTTP, from this machine alone.
        "NSAppTransportSecurity": {"NSAllowsLocalNetworking": True},
        "NSHighResolutionCapable": True,
        "NSPrincipalClass": "NSApplication",
    }


def _python(spec: BundleSpec, made: Mapping[str, object], version: str) -> dict[str, object]:
    """Take py2app's own keys over. Its PythonInfoDict names the builder's Python and a version "3.1"."""
    kept = {key: made[key] for key in LAUNCHER_KEYS if key in made}
    return {**kept, "PythonInfoDict": {"PythonLongVersion": version, "PythonShortVersion": spec.python}}


def _sparkle(spec: BundleSpec) -> dict[str, object]:
    """Have updates checked before anything in them is opened; the feed as well, where it is signed.

    Sparkle refuses SURequireSignedFeed without SUVerifyUpdateBeforeExtraction.
    """
    return {
        "SUEnableAutomaticChecks": True,
        "SUFeedURL": spec.feed_url,
        "SUPublicEDKey": spec.public_ed_key,
        "SURequireSignedFeed": spec.signed_feed,
        "SUVerifyUpdateBeforeExtraction": True,
    }
