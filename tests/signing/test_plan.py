from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from errors import Exit, Fault
from signing import entitlements
from signing.plan import Plan, canonical_identifier, describe, deviations, plan_app
from signing.verify import verify_app
from tests.signing import machos

SPARKLE = "Contents/Frameworks/Sparkle.framework"


def python_framework(app: Path) -> None:
    machos.framework(app / "Contents/Frameworks/Python.framework", "org.python.python", "3.11")


def test_signs_inside_out_in_sparkles_order(unsigned: Path) -> None:
    python_framework(unsigned)
    assert [item.path for item in plan_app(unsigned).items] == [
        f"{SPARKLE}/Versions/B/XPCServices/Installer.xpc",
        f"{SPARKLE}/Versions/B/XPCServices/Downloader.xpc",
        f"{SPARKLE}/Versions/B/Autoupdate",
        f"{SPARKLE}/Versions/B/Updater.app",
        SPARKLE,
        "Contents/Frameworks/libtiny.3.dylib",
        "Contents/Helpers/bun",
        "Contents/Resources/lib/tiny.cpython-311-darwin.so",
        "Contents/Frameworks/Python.framework",
        "",
    ]


def test_nothing_is_signed_before_what_is_in_it(unsigned: Path) -> None:
    python_framework(unsigned)
    paths = [PurePosixPath(item.path) for item in plan_app(unsigned).items]
    for number, path in enumerate(paths):
        assert not any(later.is_relative_to(path) for later in paths[number + 1 :])


def test_rights_are_the_runtimes_alone(unsigned: Path) -> None:
    rights = {item.path: dict(item.entitlements) for item in plan_app(unsigned).items if item.entitlements}
    assert rights == {"Contents/Helpers/bun": dict(entitlements.JIT)}
    assert set(entitlements.JIT) == {
        "com.apple.security.cs.allow-jit",
        "com.apple.security.cs.allow-unsigned-executable-memory",
        "com.apple.security.cs.disable-executable-page-protection",
        "com.apple.security.cs.allow-dyld-environment-variables",
        "com.apple.security.cs.disable-library-validation",
    }


def test_the_app_gets_what_it_is_given(unsigned: Path) -> None:
    plan = plan_app(unsigned, app_entitlements={"com.apple.security.network.client": True})
    assert plan.items[-1].entitlements == {"com.apple.security.network.client": True}


def test_every_item_has_the_hardened_runtime(unsigned: Path) -> None:
    assert {item.flags for item in plan_app(unsigned).items} == {("runtime",)}


def test_identifiers(unsigned: Path) -> None:
    named = {item.path: item.identifier for item in plan_app(unsigned).items}
    assert named[""] == "com.example.tiny"
    assert named[SPARKLE] == "org.example.Sparkle"
    assert named["Contents/Frameworks/libtiny.3.dylib"] == "libtiny.3"
    assert named["Contents/Helpers/bun"] == "bun"


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("bun", "bun"),
        ("libcrypto.3.dylib", "libcrypto.3"),
        ("libncursesw.5.dylib", "libncursesw.5"),
        ("_heapq.cpython-311-darwin.so", "_heapq.cpython-311-darwin"),
        ("libfrotz7.3.5.dylib", "libfrotz7"),
        ("mumble.77.plugin", "mumble.77"),
        ("rumble.rb", "rumble"),
        ("foo.2.3.4", "foo.2"),
        ("foo2.3", "foo2"),
        ("foo.9", "foo.9"),
        ("7zz", "7zz"),
        ("foo", "foo"),
    ],
)
def test_loose_files_are_named_as_codesign_names_them(name: str, identifier: str) -> None:
    assert canonical_identifier(name) == identifier


def test_a_missing_runtime_is_a_fault(unsigned: Path) -> None:
    with pytest.raises(Fault, match="Contents/Helpers/node") as caught:
        plan_app(unsigned, runtimes=("Contents/Helpers/node",))
    assert caught.value.status == Exit.SIGN


def test_a_bundle_without_identifier_is_a_fault(unsigned: Path) -> None:
    machos.plist(unsigned / "Contents/Info.plist", CFBundleExecutable="Tiny")
    with pytest.raises(Fault, match="CFBundleIdentifier") as caught:
        plan_app(unsigned)
    assert caught.value.status == Exit.PLIST


def test_describes_itself(unsigned: Path) -> None:
    rows = describe(plan_app(unsigned))
    assert rows[-1] == ("9", "(the app)", "com.example.tiny", "runtime", "none")
    (runtime,) = [row for row in rows if row[1] == "Contents/Helpers/bun"]
    assert runtime[4].startswith("allow-dyld-environment-variables, allow-jit, ")


def test_a_signed_app_is_as_planned(unsigned: Path, original: Path) -> None:
    assert deviations(plan_app(unsigned), verify_app(original)) == ()


def test_deviations_are_named(unsigned: Path, original: Path) -> None:
    plan, report = plan_app(unsigned), verify_app(original)
    first, *rest = plan.items
    changed = Plan(
        (replace(first, identifier="other", flags=(), entitlements={"a": True}), *rest[:-2], rest[-1])
    )
    found = deviations(changed, report)
    assert [line.split(": ")[1].split(" of ")[0] for line in found] == [
        "was signed and is not planned",
        "has the identifier org.example.Installer, planned is other",
        "has the flags ('runtime',), planned are ()",
        "has the entitlements [], planned are ['a']",
    ]
    more = Plan((replace(first, path="Contents/more"), *plan.items))
    assert deviations(more, report) == ("Contents/more: is planned and was not signed",)
