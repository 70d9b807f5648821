"""What goes wrong with disk images."""

from __future__ import annotations

from errors import Exit, Fault


class ImageFault(Fault):
    """A disk image that cannot be made or read."""

    status = Exit.IMAGE
