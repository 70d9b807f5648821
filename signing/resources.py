"""The resource seal, `_CodeSignature/CodeResources`: what it promises about files, and whether that holds.

The evaluation follows Security's resources.cpp: of the rules that match a path the heaviest counts; folders
with a dot in their name that a `nested` rule matches are code with a signature of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from signing.binary import Malformed
from signing.bundle import Bundle, parse_plist

MAX_RULES, MAX_PATTERN = 256, 256

NESTED = (
    "(Frameworks|SharedFrameworks|PlugIns|Plug-ins|XPCServices|Helpers|MacOS"
    "|Library/(Automator|Spotlight|LoginItems))"
)
STANDARD_RULES: Mapping[str, Any] = {
    "^.*": True,
    "^[^/]+$": {"nested": True, "weight": 10.0},
    f"^{NESTED}/": {"nested": True, "weight": 10.0},
    r".*\.dSYM($|/)": {"weight": 11.0},
    r"^(.*/)?\.DS_Store$": {"omit": True, "weight": 2000.0},
    r"^Info\.plist$": {"omit": True, "weight": 20.0},
    r"^PkgInfo$": {"omit": True, "weight": 20.0},
    r"^version\.plist$": {"weight": 20.0},
    r"^embedded\.provisionprofile$": {"weight": 20.0},
    r"^Resources/": {"weight": 20.0},
    r"^Resources/.*\.lproj/": {"optional": True, "weight": 1000.0},
    r"^Resources/.*\.lproj/locversion.plist$": {"omit": True, "weight": 1100.0},
    r"^Resources/Base\.lproj/": {"weight": 1010.0},
}
"""What codesign seals by, for bundles with a Resources folder."""


Kind = Literal["file", "link", "nested", "omitted"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of rules2. An `omit` rule leaves what it matches unsealed."""

    pattern: re.Pattern[str]
    weight: float
    omit: bool = False
    optional: bool = False
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one path: a hash, or a link's target, or nested code's cdhash and requirement."""

    digest: bytes | None
    algorithm: str
    link: str | None
    cdhash: bytes | None
    requirement: str | None
    optional: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in the bundle, and how the rules want it sealed."""

    name: str
    path: Path
    kind: Kind


@dataclass(frozen=True, slots=True)
class Seal:
    """A parsed CodeResources."""

    rules: tuple[Rule, ...]
    entries: Mapping[str, Entry]

    def rule(self, name: str) -> Rule | None:
        """The rule that decides about the path `name`, or None."""
        matching = [rule for rule in self.rules if rule.pattern.search(name)]
        return max(matching, key=lambda rule: rule.weight, default=None)


def standard_seal() -> Seal:
    """A seal with the standard rules and nothing in it: to ask what would be sealed how."""
    return Seal(_rules(STANDARD_RULES), {})


def parse(data: bytes) -> Seal:
    """Read a CodeResources file; Malformed if it is not one. Old seals have only `rules` and `files`."""
    try:
        plist = parse_plist(data)
    except ValueError as error:
        raise Malformed(f"the resource seal cannot be understood: {error}") from error
    newer = "rules2" in plist
    rules, files = plist.get("rules2" if newer else "rules"), plist.get("files2" if newer else "files")
    if not isinstance(rules, dict) or not isinstance(files, dict) or len(rules) > MAX_RULES:
        raise Malformed("the resource seal has no rules or no files")
    return Seal(_rules(rules), {name: _entry(name, value) for name, value in files.items()})


def _rules(rules: Mapping[str, Any]) -> tuple[Rule, ...]:
    return tuple(_rule(pattern, value) for pattern, value in rules.items())


def _rule(pattern: str, value: Any) -> Rule:
    options = value if isinstance(value, dict) else {"omit": value is not True}
    weight = options.get("weight", 1)
    if not isinstance(weight, int | float):
        raise Malformed(f"the seal's rule {pattern} has a weight that is no number")
    flags = {name: options.get(name) is True for name in ("omit", "optional", "nested")}
    return Rule(_pattern(pattern), float(weight), **flags)


def _pattern(pattern: str) -> re.Pattern[str]:
    """Compile a rule's pattern, refusing those that can take for ever: repeated groups, or many repeats."""
    repeats = len(re.findall(r"[*+{]", pattern))
    if len(pattern) > MAX_PATTERN or repeats > 4 or re.search(r"\)[*+{]", pattern):
        raise Malformed(f"the seal's rule {pattern[:80]} is too complicated")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Malformed(f"the seal's rule {pattern[:80]} is not a pattern") from error


def _entry(name: str, value: Any) -> Entry:
    if isinstance(value, bytes):
        value = {"hash": value}
    if not isinstance(value, dict):
        raise Malformed(f"the seal's entry for {name} cannot be understood")
    strong = value.get("hash2")
    entry = Entry(
        digest=strong if strong is not None else value.get("hash"),
        algorithm="sha256" if strong is not None else "sha1",
        link=value.get("symlink"),
        cdhash=value.get("cdhash"),
        requirement=value.get("requirement"),
        optional=value.get("optional") is True,
    )
    _check_types(name, entry)
    return entry


def _check_types(name: str, entry: Entry) -> None:
    kinds = ((entry.digest, bytes), (entry.link, str), (entry.cdhash, bytes), (entry.requirement, str))
    if any(value is not None and not isinstance(value, kind) for value, kind in kinds):
        raise Malformed(f"the seal's entry for {name} cannot be understood")
    if entry.digest is None and entry.link is None and entry.cdhash is None and entry.requirement is None:
        raise Malformed(f"the seal's entry for {name} promises nothing")


def found(bundle: Bundle, seal: Seal) -> Iterator[Found]:
    """Everything below the bundle's base, but for what `_excluded` names."""
    yield from _scan(bundle.base, "", seal, _excluded(bundle))
    signature = bundle.seal.parent
    for path in sorted(signature.iterdir()) if signature.is_dir() else ():
        if path != bundle.seal:
            yield Found(path.relative_to(bundle.base).as_posix(), path, "omitted")


def _excluded(bundle: Bundle) -> frozenset[str]:
    """What no rule is asked about, because it is checked otherwise.

    The signature, a stapled ticket, a store's receipt, the main executable; Info.plist is in special slot 1,
    and PkgInfo has to repeat it.
    """
    own = {"_CodeSignature", "CodeResources", "_MASReceipt"}
    if not bundle.is_framework:
        own |= {"Info.plist", "PkgInfo"}
    if bundle.executable is not None:
        own.add(bundle.executable.relative_to(bundle.base).as_posix())
    return frozenset(own)


def _scan(folder: Path, prefix: str, seal: Seal, excluded: frozenset[str]) -> Iterator[Found]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        name = prefix + unicodedata.normalize("NFC", entry.name)
        if name in excluded:
            continue
        rule = seal.rule(name)
        folder_like = entry.is_dir(follow_symlinks=False)
        if folder_like and not (rule and rule.omit) and not (rule and rule.nested and "." in entry.name):
            yield from _scan(Path(entry.path), f"{name}/", seal, excluded)
        else:
            yield Found(name, Path(entry.path), _kind(entry, rule))


def _kind(entry: os.DirEntry[str], rule: Rule | None) -> Kind:
    if rule is None or rule.omit:
        return "omitted"
    if entry.is_symlink():
        return "link"
    return "nested" if rule.nested else "file"


def problems(bundle: Bundle, seal: Seal, things: list[Found]) -> Iterator[tuple[str, str]]:
    """Path and what is wrong, for every file and link not as sealed. Nested code is left to the caller."""
    names = {each.name for each in things if each.kind != "omitted"}
    for thing in things:
        if thing.kind == "omitted":
            continue
        entry = seal.entries.get(thing.name)
        what = "is not covered by the seal" if entry is None else _compare(thing, entry)
        if what:
            yield thing.name, what
    for name, entry in seal.entries.items():
        if name not in names and not entry.optional:
            yield (
                name,
                "is sealed but missing" if not _exists(bundle, name) else "is sealed against its own rules",
            )


def _exists(bundle: Bundle, name: str) -> bool:
    return os.path.lexists(bundle.base / name)


def _compare(thing: Found, entry: Entry) -> str | None:
    if thing.kind == "link" or entry.link is not None:
        return _compare_link(thing, entry)
    if thing.kind == "nested" and entry.digest is None:
        return None
    if entry.digest is None:
        return "is sealed as code and is not"
    if not thing.path.is_file():  # opening a pipe would wait for ever
        return "is sealed as a file and is none"
    return None if hash_file(thing.path, entry.algorithm) == entry.digest else "is not what was sealed"


def _compare_link(thing: Found, entry: Entry) -> str | None:
    if thing.kind != "link":
        return "is sealed as a link and is not one"
    if entry.link is None:
        return "is a link and was not sealed as one"
    target = str(thing.path.readlink())
    return None if target == entry.link else f"leads to {target}, not to {entry.link}"


def hash_file(path: Path, algorithm: str) -> bytes:
    """A file's digest, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).digest()
