"""Names as HFS+ keeps them: decomposed UTF-16, ordered without regard to case (TN1150, "Unicode Subtleties").

Both rules are frozen at the Unicode of the year 2000 or so, so that a volume never changes its order: names
are decomposed as Unicode 3.2 does, but for three ranges left alone, and folded by a table in which letters
that got their other case later have none. Python carries Unicode 3.2; the letters are told apart here.
"""

from __future__ import annotations

import functools
import struct
import unicodedata

from release.image.faults import ImageFault

Units = tuple[int, ...]

MAX_UNITS = 255

_OLD = unicodedata.ucd_3_2_0
_KEPT_COMPOSED = (range(0x2000, 0x3000), range(0xF900, 0xFB00), range(0x2F800, 0x2FAA0))

_IGNORABLE = (range(0x200C, 0x2010), range(0x202A, 0x202F), range(0x206A, 0x2070), range(0xFEFF, 0xFF00))
_GEORGIAN_CAPITALS = range(0x10A0, 0x10C6)  # paired with the modern letters 48 further on
# Capitals in Unicode 3.2 that have no lower case on a volume: Latin, Greek and Cyrillic newcomers.
_PAIRED_LATER = frozenset(
    (
        *(0x1A6, 0x1F6, 0x1F7, 0x21C, 0x220, 0x222, 0x224, 0x3F4),
        *(0x48A, 0x48C, 0x48E, 0x4C0, 0x4C5, 0x4C9, 0x4CD, 0x2183),
        *range(0x3D8, 0x3E2, 2),
        *range(0x500, 0x510, 2),
    )
)


def decompose(name: str) -> str:
    """Return `name` in the volume's canonical decomposition."""
    pieces: list[str] = []
    start = 0
    for i, letter in enumerate(name):
        if any(ord(letter) in kept for kept in _KEPT_COMPOSED):
            pieces += (_OLD.normalize("NFD", name[start:i]), letter)
            start = i + 1
    return "".join((*pieces, _OLD.normalize("NFD", name[start:])))


def encode(name: str) -> Units:
    """A POSIX file name as a volume's UTF-16 units; ":" and "/" change places, as they do on a Mac.

    Raises ImageFault if it is empty, longer than 255 units, or no Unicode.
    """
    try:
        raw = decompose(name.replace(":", "/")).encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise ImageFault("a file name is not valid UTF-8", where=ascii(name)) from error
    if not 0 < len(raw) <= 2 * MAX_UNITS:
        raise ImageFault(f"a name on the image may have 1 to {MAX_UNITS} UTF-16 units", where=name)
    return struct.unpack(f">{len(raw) // 2}H", raw)


def decode(units: Units) -> str:
    """The POSIX file name behind a volume's UTF-16 units, decomposed as it is stored."""
    raw = struct.pack(f">{len(units)}H", *units)
    return raw.decode("utf-16-be", "surrogatepass").replace("/", ":")


def folded(units: Units) -> Units:
    """Sorting key of a name: lower case where the volume's table has one, ignorable characters dropped."""
    table = _fold_table()
    return tuple(folds for unit in units if (folds := table.get(unit, unit)) is not None)


@functools.cache
def _fold_table() -> dict[int, int | None]:
    """Every unit whose key differs from itself; None is ignorable. NUL sorts last."""
    table: dict[int, int | None] = {
        unit: ord(chr(unit).lower()) for unit in range(0x10000) if _has_lower(unit)
    }
    table |= {capital: capital + 0x30 for capital in _GEORGIAN_CAPITALS}
    table |= dict.fromkeys(unit for units in _IGNORABLE for unit in units)
    table[0] = 0xFFFF
    return table


def _has_lower(unit: int) -> bool:
    letter = chr(unit)
    lower = letter.lower()
    if len(lower) != 1 or lower == letter or unit in _PAIRED_LATER:
        return False
    canonical = _OLD.decomposition(letter) and not _OLD.decomposition(letter).startswith("<")
    return _OLD.category(letter) in ("Lu", "Lt", "Nl") and not canonical
