"""The size and the orientation of a picture from the first bytes of its file, before anything is decoded.

A small file can decompress to any size, so a picture's size is looked at before a decoder is. Only what is needed is
read, by the formats' public descriptions (JPEG: ITU-T T.81; PNG: W3C; TIFF 6.0 and Exif 2.32 for the orientation; WebP
container; JPEG 2000: ITU-T T.800; HEIC and AVIF: ``pipeline.images.heif``), and no more than a fixed number of steps is
taken.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.images.heif import SIGNATURE, heif_size
from pipeline.images.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation

HEADER_BYTES = 256 * 1024
"""A header that is not told by so much of a file is rare: previews and colour profiles may come before it."""

# Segments, chunks and boxes looked at before giving up. Real files have dozens.
_MOST_PARTS = 10_000
_ORIENTATION_TAG, _WIDTH_TAG, _HEIGHT_TAG = 274, 256, 257
# What begins with letters as any text may.
_PLAIN_BEGINNINGS = frozenset({"bmp", "pnm"})
# TIFF's types of whole numbers, and how each is written.
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_NETPBM = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")
_PAM_SIDE = re.compile(rb"^(WIDTH|HEIGHT)[ \t]+(\d{1,9})\s*$", re.MULTILINE)
# Start-of-frame markers; C4, C8 and CC are other things.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture's file says of itself.

    Attributes:
        kind: ``bmp``, ``gif``, ``heif`` (HEIC and AVIF), ``jp2``, ``jpeg``, ``png``, ``pnm``, ``tiff`` or ``webp``.
        width, height: in pixels as stored, at least 1.
        orientation: how it is turned for display.
    """

    kind: str
    width: int
    height: int
    orientation: Orientation = UPRIGHT

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height in pixels once it is turned upright."""
        return self.orientation.displayed_size(self.width, self.height)


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a picture, or None where it is of another kind, damaged, or not told by so few bytes.

    Args:
        data: the file, or its beginning.
    """
    for signature, kind, read in _KINDS:
        if signature.match(data):
            try:
                found = read(data)
            except (struct.error, IndexError):  # it ends within the header
                return None
            if found is None or min(found[:2]) < 1:
                return None
            width, height, orientation = found
            return PictureHeader(kind, width, height, orientation)
    return None


def looks_like_picture(data: bytes) -> bool:
    """Whether a file begins as a picture does whose kind can't be mistaken.

    Args:
        data: the first 32 bytes of the file, or more.
    """
    return any(kind not in _PLAIN_BEGINNINGS and signature.match(data) for signature, kind, _ in _KINDS)


_Found = tuple[int, int, Orientation]


def _jpeg(data: bytes) -> _Found | None:
    orientation = UPRIGHT
    position = 2
    for _ in range(_MOST_PARTS):
        position = data.find(b"\xff", position) + 1
        if not position:
            return None
        marker = data[position]
        if marker in (0x00, 0xFF) or marker in _JPEG_ALONE:
            position += marker != 0xFF
            continue
        if marker in (0xD9, 0xDA):  # the end, or pixels: no frame was announced
            return None
        (length,) = struct.unpack_from(">H", data, position + 1)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 4)
            return width, height, orientation
        if marker == 0xE1 and data[position + 3 : position + 9] == b"Exif\0\0":
            orientation = _exif_orientation(data[position + 9 : position + 1 + length])
        position += 1 + length
    return None


def _png(data: bytes) -> _Found | None:
    width, height = struct.unpack_from(">II", data, 16)
    orientation = UPRIGHT
    position = 8
    for _ in range(_MOST_PARTS):
        if position + 8 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
            break
        position += 12 + length
    return width, height, orientation


def _webp(data: bytes) -> _Found | None:
    name = data[12:16]
    if name == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return width, height, UPRIGHT
    if name == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, UPRIGHT
    if name != b"VP8X" or len(data) < 30:
        return None
    width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
    orientation = UPRIGHT
    position = 12
    for _ in range(_MOST_PARTS):
        if position + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, position)
        if name == b"EXIF":
            exif = data[position + 8 : position + 8 + length]
            orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0"))
            break
        position += 8 + length + length % 2
    return width, height, orientation


def _bmp(data: bytes) -> _Found | None:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return width, abs(height), UPRIGHT


def _gif(data: bytes) -> _Found | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height, UPRIGHT


def _netpbm(data: bytes) -> _Found | None:
    if found := _NETPBM.match(data):
        return int(found[2]), int(found[3]), UPRIGHT
    end = data.find(b"ENDHDR", 0, 4096)
    sides = {name: int(number) for name, number in _PAM_SIDE.findall(data[: max(0, end)])}
    return sides.get(b"WIDTH", 0), sides.get(b"HEIGHT", 0), UPRIGHT


def _jp2(data: bytes) -> _Found | None:
    position = 0
    for name, start in _boxes(data):
        if name == b"jp2c":
            position = start
    if data[position : position + 4] != b"\xff\x4f\xff\x51":
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, position + 8)
    return right - left, bottom - top, UPRIGHT


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and first byte of the contents of each box of a JPEG 2000 file."""
    position = 0
    for _ in range(_MOST_PARTS):
        if position + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        yield name, start
        if length < 8:  # 0: to the end of the file
            return
        position += length


def _tiff(data: bytes) -> _Found | None:
    tags = _tiff_tags(data)
    orientation = EXIF_ORIENTATIONS.get(tags.get(_ORIENTATION_TAG, 1), UPRIGHT)
    return tags.get(_WIDTH_TAG, 0), tags.get(_HEIGHT_TAG, 0), orientation


def _exif_orientation(exif: bytes) -> Orientation:
    """The orientation that a block of EXIF states; upright where it states none or is damaged."""
    try:
        return EXIF_ORIENTATIONS.get(_tiff_tags(exif).get(_ORIENTATION_TAG, 1), UPRIGHT)
    except struct.error:
        return UPRIGHT


def _tiff_tags(data: bytes) -> dict[int, int]:
    """The tags of the first directory whose value is one whole number."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return {}
    (version,) = struct.unpack_from(order + "H", data, 2)
    big = version == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    start += 8 if big else 2
    size, places = (20, "HHQ") if big else (12, "HHI")
    tags: dict[int, int] = {}
    for position in range(start, start + min(count, _MOST_PARTS) * size, size):
        tag, kind, values = struct.unpack_from(order + places, data, position)
        if kind in _TIFF_NUMBERS and values == 1:
            place = position + struct.calcsize(order + places)
            tags[tag] = struct.unpack_from(order + _TIFF_NUMBERS[kind], data, place)[0]
    return tags


_KINDS: tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], _Found | None]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "jpeg", _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR", re.DOTALL), "png", _png),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "webp", _webp),
    (re.compile(rb"BM"), "bmp", _bmp),
    (re.compile(rb"GIF8[79]a"), "gif", _gif),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "tiff", _tiff),
    (re.compile(rb"P[1-7]\s"), "pnm", _netpbm),
    (SIGNATURE, "heif", heif_size),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "jp2", _jp2),
)
