"""Looks for secrets in whatever a run left: plain, base64 at any offset, hex, URL-encoded, JSON-escaped."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import urllib.parse
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

SHORTEST = 8  # characters: what is shorter turns up by chance


def forms(secret: str) -> dict[bytes, str]:
    """Every way in which a secret is looked for, by its bytes; of a key's many lines those in the middle."""
    lines = [line.strip().encode() for line in secret.splitlines() if not line.startswith("-----")]
    middle = [line for line in lines if len(line) >= SHORTEST]
    middle = middle[max(0, len(middle) // 2 - 1) :][:2]
    return {value: name for raw in middle for name, value in _forms(raw)}


def _forms(raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", raw
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    yield "URL", urllib.parse.quote(raw, safe="").encode()
    yield "JSON", json.dumps(raw.decode()).strip('"').encode()
    yield "UTF-16", raw.decode().encode("utf-16-le")
    for offset in range(3):
        # What stands before and after changes the first and last characters: the middle is the secret's own.
        padded = base64.b64encode(b"\0" * offset + raw)
        middle = padded[(offset * 8 + 5) // 6 : (len(raw) + offset) * 8 // 6]
        yield f"base64 {offset}", middle
        yield f"base64url {offset}", middle.replace(b"+", b"-").replace(b"/", b"_")


def leaks(secrets: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Tell which secret is where: "name (form) in place". `places` are names with bytes."""
    wanted = [(name, form, value) for name, text in secrets.items() for value, form in forms(text).items()]
    found, seen = [], set()
    for place, data in places:
        digest = hashlib.sha256(data).digest()
        if digest not in seen:  # the same file in app and images is read once
            seen.add(digest)
            found += [f"{name} ({form}) in {place}" for name, form, value in wanted if value in data]
    return found


def files(folder: Path, *, without: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder by name; zips and disk images with all that is in them, too."""
    left_out = {path.resolve() for path in without}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            yield f"{path} (link)", os.fsencode(path.readlink())
        elif path.is_file() and not any(path.resolve().is_relative_to(each) for each in left_out):
            data = path.read_bytes()
            yield str(path), data
            yield from _inside(path, data)


def _inside(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    from release.image.reader import DiskImage

    if data[-512:-508] == b"koly":
        with DiskImage.open(path) as image:
            for entry in image.entries():
                if entry.kind == "file":
                    yield f"{path}: {entry.path}", b"".join(image.read(entry.path))
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((f"{path}: {name}", archive.read(name)) for name in archive.namelist())


class CommandLines:
    """The command lines of all processes between enter and exit, as anybody could have read them."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.03):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue

    def places(self) -> list[tuple[str, bytes]]:
        return [(f"a command line, {line.split(bytes(1))[0]!r}", line) for line in self.seen]
