"""JPEG files that end before they should: without the marker at the end, or without the last of the picture.

Cameras that lose power, and programs that write too little, leave such files, and viewers show them. What is there is
used here if it is nearly all of the picture. To find out how much that is, the file is decoded twice, with different
continuations: what depends on them was not in the file.

Markers and scans: ITU-T T.81, annexes B and G.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE = 0.9
"""Of the picture's pixels, so many must have been in the file."""

_END = b"\xff\xd9"
# Continues coded data with what no encoder writes after it. Blocks are at most 16 rows high.
_OTHER_CONTINUATION = b"\x55\xaa\x13" * 600
_BLOCK = 16
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_COEFFICIENTS = 64
_MOST_SCANS = 200


class _Scan(NamedTuple):
    """What a scan brings: coefficients ``first`` to ``last`` of components, down to bit ``lowest_bit``."""

    components: bytes
    first: int
    last: int
    lowest_bit: int


def decode_cut(
    data: bytes, decode: Callable[[bytes], NDArray[Any] | None]
) -> tuple[NDArray[Any], float] | tuple[None, float]:
    """The picture of a JPEG file that ends too early.

    Args:
        data: the file.
        decode: makes an array ``(height, width, ...)`` of a whole JPEG file, or None where it can't.

    Returns:
        The picture, and the share of it that was in the file; None in place of the picture where that is less than
        ``LEAST_SHARE``, and where the file does not end too early but is damaged.
    """
    components, scans = _scans(data)
    data = data.rstrip(b"\xff")
    picture = decode(data + _END) if _complete(components, scans) else None
    if picture is None:
        return None, 0.0
    share = 1.0
    # The last scan is the one that was cut. Where those before it bring all but the last bit, it matters little.
    if not _complete(components, scans[:-1]):
        other = decode(data + _OTHER_CONTINUATION + _END)
        if other is None or other.shape != picture.shape:
            return None, 0.0
        share = _share_alike(picture, other)
    return (picture, share) if share >= LEAST_SHARE else (None, share)


def _share_alike(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The share of pixels, row by row of blocks, before the first one that differs."""
    differs = (first != second).reshape(*first.shape[:2], -1).any(axis=2)
    rows = np.flatnonzero(differs.any(axis=1))
    if not len(rows):
        return 1.0
    height, width = differs.shape
    top = int(rows[0])
    bottom = min(height, top + _BLOCK)
    left = int(np.flatnonzero(differs[top:bottom].any(axis=0))[0])
    return float((top * width + (bottom - top) * left) / (height * width))


def _complete(components: bytes, scans: list[_Scan]) -> bool:
    """Whether scans bring every coefficient of every component, but for the last bit."""
    have = {
        (component, coefficient)
        for scan in scans
        if scan.lowest_bit <= 1
        for component in scan.components
        for coefficient in range(scan.first, min(scan.last, _COEFFICIENTS - 1) + 1)
    }
    return bool(components) and len(have) == len(set(components)) * _COEFFICIENTS


def _scans(data: bytes) -> tuple[bytes, list[_Scan]]:
    """The frame's components, and its scans in order; nothing where the file ends before its first scan."""
    components, scans = b"", []
    try:
        for marker, start in _segments(data):
            if marker in _FRAMES:
                count = data[start + 5]
                components = data[start + 6 : start + 6 + 3 * count : 3]
            elif marker == 0xDA:
                count = data[start]
                first, last, bits = data[start + 1 + 2 * count : start + 4 + 2 * count]
                scans.append(_Scan(data[start + 1 : start + 1 + 2 * count : 2], first, last, bits & 15))
            if len(scans) >= _MOST_SCANS:
                break
    except (IndexError, ValueError, struct.error):  # it ends within a header
        pass
    return components, scans


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker that has a segment, and where its contents begin."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 1 < len(data):
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        position += 2
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD9:  # not in a segment: coded data, and what has no contents
            continue
        (length,) = struct.unpack_from(">H", data, position)
        yield marker, position + 2
        position += length
