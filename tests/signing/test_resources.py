from __future__ import annotations

import plistlib
import time
from pathlib import Path

import pytest

from signing import bundle as bundles
from signing import resources
from signing.binary import Malformed
from tests.signing import machos


def seal(rules: dict[str, object] | None = None, files: dict[str, object] | None = None) -> resources.Seal:
    return resources.parse(plistlib.dumps({"rules2": rules or {"^.*": True}, "files2": files or {}}))


def kinds(app: Path, it: resources.Seal) -> dict[str, str]:
    return {each.name: each.kind for each in resources.found(bundles.load(app), it)}


def test_the_standard_rules(unsigned: Path) -> None:
    contents = unsigned / "Contents"
    (contents / "Resources/.DS_Store").write_text("x")
    (contents / "version.plist").write_text("x")
    assert kinds(unsigned, resources.standard_seal()) == {
        "Frameworks/Sparkle.framework": "nested",
        "Frameworks/libtiny.3.dylib": "nested",
        "Helpers/bun": "nested",
        "Resources/.DS_Store": "omitted",
        "Resources/data.txt": "file",
        "Resources/en.lproj/tiny.strings": "file",
        "Resources/lib/tiny.cpython-311-darwin.so": "file",
        "Resources/link.txt": "link",
        "version.plist": "file",
    }


def test_standard_rules_are_the_ones_the_engine_seals_by(original: Path) -> None:
    written = plistlib.loads(bundles.load(original).seal.read_bytes())["rules2"]
    assert written == resources.STANDARD_RULES


def test_the_heaviest_rule_decides() -> None:
    it = seal({"^.*": True, "^a": {"omit": True, "weight": 5}, "^ab": {"weight": 6.5, "optional": True}})

    def rule(name: str) -> resources.Rule:
        found = it.rule(name)
        assert found
        return found

    assert (rule("b").omit, rule("a").omit, rule("ab").omit) == (False, True, False)
    assert rule("ab").optional
    assert seal({"^x": True}).rule("b") is None


def test_old_seals_have_plain_hashes(tmp_path: Path) -> None:
    old = resources.parse(plistlib.dumps({"rules": {"^.*": True}, "files": {"a": bytes(20)}}))
    assert (old.entries["a"].algorithm, old.entries["a"].digest) == ("sha1", bytes(20))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        plistlib.dumps([]),
        plistlib.dumps({}),
        plistlib.dumps({"rules2": [], "files2": {}}),
        plistlib.dumps({"rules2": {}, "files2": {"a": 1}}),
        plistlib.dumps({"rules2": {}, "files2": {"a": {}}}),
        plistlib.dumps({"rules2": {}, "files2": {"a": {"hash2": "text"}}}),
        plistlib.dumps({"rules2": {"(": True}, "files2": {}}),
        plistlib.dumps({"rules2": {"^.*": {"weight": "heavy"}}, "files2": {}}),
        plistlib.dumps({"rules2": {f"^{n}": True for n in range(1000)}, "files2": {}}),
        b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aa">]><plist><string>&a;</string></plist>',
        b"<plist>" + b"<array>" * 100_000,
    ],
)
def test_refuses_what_is_no_seal(data: bytes) -> None:
    with pytest.raises(Malformed):
        resources.parse(data)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^((a)?b){9}", "a*" * 9, "x" * 999])
def test_refuses_patterns_that_could_take_for_ever(pattern: str) -> None:
    before = time.monotonic()
    with pytest.raises(Malformed):
        seal({pattern: True}).rule("a" * 60 + "!")
    assert time.monotonic() - before < 1


def test_compares_every_kind(tmp_path: Path) -> None:
    app = machos.bundle(tmp_path / "A.app", "com.example.a")
    base = app / "Contents"
    for name in ("same", "changed", "extra", "wrong-kind"):
        (base / name).write_text(name)
    (base / "link").symlink_to("same")
    (base / "moved").symlink_to("same")
    same = {"hash2": resources.hash_file(base / "same", "sha256")}
    it = seal(
        files={
            "same": same,
            "changed": same,
            "link": {"symlink": "same"},
            "moved": {"symlink": "other"},
            "wrong-kind": {"symlink": "same"},
            "gone": same,
            "gone-but-optional": {**same, "optional": True},
        }
    )
    bundle = bundles.load(app)
    assert dict(resources.problems(bundle, it, list(resources.found(bundle, it)))) == {
        "changed": "is not what was sealed",
        "extra": "is not covered by the seal",
        "moved": "leads to same, not to other",
        "wrong-kind": "is sealed as a link and is not one",
        "gone": "is sealed but missing",
    }
