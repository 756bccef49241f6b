"""How large an image may be."""

from __future__ import annotations

MAX_SIDE = 16_384
MAX_PIXELS = 100_000_000


def too_large(width: int, height: int) -> bool:
    """Whether a picture is larger than anything a camera makes: a damaged or hostile header."""
    return width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS
