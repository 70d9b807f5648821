"""Every way of changing one byte of a file, for asking a verifier whether it notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable

MASKS = (0xFF, 0x01, 0x20)


def unnoticed(
    data: bytes,
    holds: Callable[[bytes], bool],
    positions: Iterable[int],
    masks: Callable[[int], Iterable[int]] = lambda position: MASKS[position % 3 :][:1],
) -> list[tuple[int, int]]:
    """Positions and masks whose change `holds` does not notice. `holds` must be true of `data` itself.

    `masks` gives what to change at a position: one bit or several, in turns.
    """
    assert holds(data), "the unchanged bytes have to hold"
    changed, found = bytearray(data), []
    for position in positions:
        for mask in masks(position):
            changed[position] ^= mask
            if holds(bytes(changed)):
                found.append((position, mask))
            changed[position] ^= mask
    return found
