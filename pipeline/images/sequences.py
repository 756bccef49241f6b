"""Whether a picture's file holds further pictures, of which only the first is read: animations, and pages.

By the formats' public descriptions (GIF89a; PNG 3 for APNG; WebP container; TIFF 6.0; ISO/IEC 23008-12 for
AVIF and HEIC).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

# Blocks, chunks or bytes' groups looked at before giving up: the first picture of a GIF has one per 255 bytes.
_MOST_PARTS = 300_000
_SUBFILE_TYPE_TAG = 254


def holds_several(data: bytes, kind: str) -> bool:
    """Whether there are further pictures in a file; False where that can't be told.

    Args:
        data: the whole file.
        kind: as ``PictureHeader`` has it.
    """
    look = _LOOKS.get(kind)
    try:
        return look is not None and look(data)
    except (struct.error, IndexError):  # it ends too early
        return False


def _gif(data: bytes) -> bool:
    position = 13 + _colour_table(data[10])
    pictures = 0
    for _ in range(_MOST_PARTS):
        introducer = data[position]
        if introducer == 0x2C:
            pictures += 1
            if pictures == 2:
                return True
            position += 11 + _colour_table(data[position + 9])
        elif introducer == 0x21:
            position += 2
        else:
            return False
        for _ in range(_MOST_PARTS):
            length = data[position]
            position += 1 + length
            if not length:
                break
    return False


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _png(data: bytes) -> bool:
    position = 8
    for _ in range(_MOST_PARTS):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"acTL":
            return bool(struct.unpack_from(">I", data, position + 8)[0] > 1)
        if name == b"IDAT":
            return False
        position += 12 + length
    return False


def _webp(data: bytes) -> bool:
    position, pictures = 12, 0
    for _ in range(_MOST_PARTS):
        name, length = struct.unpack_from("<4sI", data, position)
        pictures += name == b"ANMF"
        if pictures == 2:
            return True
        position += 8 + length + length % 2
    return False


def _tiff(data: bytes) -> bool:
    """Whether there is a second directory, of a page: smaller copies of the first picture are none."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, entries, size = (order + "Q", order + "Q", 20) if big else (order + "I", order + "H", 12)
    (start,) = struct.unpack_from(offset, data, 8 if big else 4)
    for number in range(100):
        (count,) = struct.unpack_from(entries, data, start)
        first = start + struct.calcsize(entries)
        if number and not _is_smaller_copy(data, order, first, count, size):
            return True
        (start,) = struct.unpack_from(offset, data, first + count * size)
        if not start:
            return False
    return False


def _is_smaller_copy(data: bytes, order: str, first: int, count: int, size: int) -> bool:
    for position in range(first, first + min(count, 1000) * size, size):
        if struct.unpack_from(order + "H", data, position)[0] == _SUBFILE_TYPE_TAG:
            return bool(struct.unpack_from(order + "I", data, position + size // 2 + 2)[0] & 1)
    return False


def _heif(data: bytes) -> bool:
    position = 0
    for _ in range(100):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"moov":
            return True
        if length < 8:
            return False
        position += length
    return False


_LOOKS: dict[str, Callable[[bytes], bool]] = {"gif": _gif, "png": _png, "webp": _webp, "tiff": _tiff, "heif": _heif}
