"""What third-party file is meant, exactly: its version, where it comes from and its digest.

Pins are written in release.toml under `[inputs.<profile>.<name>]`; `parse` turns such a table into values.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import fnmatch
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from errors import Exit, Fault

Source = Literal["pypi", "npm", "url"]
SOURCES: Final[tuple[Source, ...]] = ("pypi", "npm", "url")
TEAM_ID: Final = re.compile(r"[A-Z0-9]{10}")


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum, and the way it is written: `sha256:<hex>` or npm's `sha512-<base64>`."""

    algorithm: Literal["sha256", "sha512"]
    value: bytes

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read either way of writing; raises ValueError if it is neither, or of the wrong length."""
        found = re.fullmatch(r"(sha256|sha512)([:-])(\S+)", text)
        if found is None:
            raise ValueError(f"{text!r} is neither sha256:<hex> nor sha512-<base64>")
        raw = _decode(found[3], base16=found[2] == ":")
        if len(raw) != hashlib.new(found[1]).digest_size:
            raise ValueError(f"{text!r} has {len(raw)} bytes, which is not {found[1]}'s length")
        return cls(cast('Literal["sha256", "sha512"]', found[1]), raw)

    @classmethod
    def of_file(cls, path: Path, algorithm: Literal["sha256", "sha512"]) -> Digest:
        """Hash a file's content."""
        with path.open("rb") as stream:
            return cls(algorithm, hashlib.file_digest(stream, algorithm).digest())

    @property
    def key(self) -> str:
        """A name for files: algorithm and hex digits."""
        return f"{self.algorithm}-{self.value.hex()}"

    def __str__(self) -> str:
        if self.algorithm == "sha256":
            return f"sha256:{self.value.hex()}"
        return f"sha512-{base64.b64encode(self.value).decode()}"


def _decode(value: str, *, base16: bool) -> bytes:
    try:
        return bytes.fromhex(value) if base16 else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"{value!r} cannot be decoded: {error}") from error


@dataclass(frozen=True, slots=True)
class Pin:
    """One third-party file.

    `package` is the registry's name for it, or the URL. `digest` is `sha256:<hex>` or `sha512-<base64>`; an
    empty one marks a pin that still has to be made, and nothing is downloaded for it. `tag` is a wheel's
    tag: its platform alone (`macosx_11_0_arm64`, for a py3-none wheel) or all three parts
    (`cp311-cp311-macosx_11_0_universal2`). `signed` names, relative to the unpacked archive, the Mach-O that
    must carry `team_id`'s Developer ID signature; shell wildcards may name several. `only`
    (wildcards, too) limits what is unpacked. `rehearsal_only` marks what no user gets.
    """

    name: str
    version: str
    source: Source
    package: str
    digest: str
    tag: str = ""
    team_id: str | None = None
    signed: str = ""
    only: str = ""
    rehearsal_only: bool = False

    def keeps(self, name: str) -> bool:
        """Whether a file of the archive is to be unpacked."""
        return not self.only or fnmatch.fnmatchcase(name, self.only)

    @property
    def expected(self) -> Digest:
        """The digest as a value; raises Fault CONFIG if the pin has none yet."""
        if not self.digest:
            raise unpinned(self)
        return Digest.parse(self.digest)

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.name} ({self.package.rpartition('/')[2]} {self.version})"


Pins = Mapping[str, Pin]


def unpinned(pin: Pin) -> Fault:
    """The fault for a pin without a digest."""
    return Fault(
        f"{pin.title} has no digest",
        where=pin.package,
        cure=f"pin it: take the file's SHA-256 from its publisher and write it as `digest` of {pin.name} "
        "in release.toml",
        status=Exit.CONFIG,
    )


def find(pins: Pins, name: str) -> Pin:
    """Look up a pin by name; raises Fault CONFIG naming those that there are."""
    if name not in pins:
        raise Fault(
            f"no input is pinned as {name!r}",
            where="release.toml [inputs]",
            cure=f"add it; there are: {', '.join(sorted(pins)) or 'none'}",
            status=Exit.CONFIG,
        )
    return pins[name]


def require_pinned(pins: Pins, needed: Collection[str] | None = None) -> None:
    """Raise Fault CONFIG naming every pin (of those `needed`) without a digest.

    For production, so that it refuses before any work.
    """
    open_pins = [
        pin for name, pin in sorted(pins.items()) if not pin.digest and (not needed or name in needed)
    ]
    if open_pins:
        raise Fault(
            f"{len(open_pins)} of the inputs are not pinned",
            where="release.toml [inputs]",
            details=tuple(f"pin it: {pin.title} from {pin.package}" for pin in open_pins),
            cure="write each file's SHA-256, as its publisher gives it, into its `digest`",
            status=Exit.CONFIG,
        )


def parse(table: Mapping[str, object], *, where: str = "inputs") -> dict[str, Pin]:
    """Read the tables of one profile, `{name: {version, source, package, digest, …}}`.

    Raises Fault CONFIG that names the key, what is wrong with it and what is allowed.
    """
    return {name: _pin(name, entry, f"{where}.{name}") for name, entry in table.items()}


def _pin(name: str, entry: object, where: str) -> Pin:
    if not isinstance(entry, Mapping):
        raise _wrong(where, f"must be a table, not {entry!r}")
    fields = {field.name for field in dataclasses.fields(Pin)} - {"name"}
    required = {"version", "source", "package", "digest"}
    for key, value in entry.items():
        if key not in fields:
            raise _wrong(f"{where}.{key}", f"is not known; allowed: {', '.join(sorted(fields))}")
        if key == "rehearsal_only":
            if not isinstance(value, bool):
                raise _wrong(f"{where}.{key}", f"must be true or false, not {value!r}")
        elif not isinstance(value, str):
            raise _wrong(f"{where}.{key}", f"must be a string, not {value!r}")
    for key in sorted(required - entry.keys()):
        raise _wrong(f"{where}.{key}", "is missing")
    pin = Pin(name=name, **cast("dict[str, str]", dict(entry)))  # type: ignore[arg-type]
    _check(pin, where)
    return pin


def _check(pin: Pin, where: str) -> None:
    if pin.source not in SOURCES:
        raise _wrong(f"{where}.source", f"is {pin.source!r}; allowed: {', '.join(SOURCES)}")
    if pin.source == "pypi" and not pin.tag:
        raise _wrong(f"{where}.tag", "is missing: a wheel is named by its tag")
    if pin.source == "url" and not safe_url(pin.package):
        raise _wrong(f"{where}.package", f"is {pin.package!r}; allowed: an https URL")
    if bool(pin.team_id) != bool(pin.signed):
        raise _wrong(where, "needs both team_id and signed, or neither")
    if pin.team_id and not TEAM_ID.fullmatch(pin.team_id):
        raise _wrong(f"{where}.team_id", f"is {pin.team_id!r}; ten capital letters or digits are meant")
    try:
        _ = pin.digest and Digest.parse(pin.digest)
    except ValueError as error:
        raise _wrong(f"{where}.digest", str(error)) from error


def safe_url(url: str) -> bool:
    """Whether a URL may be downloaded from: https, or plain http on this machine."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    return bool(parts.hostname) and (parts.scheme == "https" or local)


def _wrong(where: str, what: str) -> Fault:
    return Fault(f"{where} {what}", where="release.toml", cure="correct it", status=Exit.CONFIG)
