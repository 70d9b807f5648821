"""Every way of changing one byte of a file, for asking a verifier whether it notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable

MASKS = (0xFF, 0x01, 0x20)


def unnoticed(
    data: bytes, holds: Callable[[bytes], bool], positions: Iterable[int], masks: Iterable[int] = MASKS
) -> list[tuple[int, int]]:
    """Positions and masks whose change `holds` does not notice. `holds` must be true of `data` itself."""
    assert holds(data), "the unchanged bytes have to hold"
    changed, found = bytearray(data), []
    for position in positions:
        for mask in masks:
            changed[position] ^= mask
            if holds(bytes(changed)):
                found.append((position, mask))
            changed[position] ^= mask
    return found
