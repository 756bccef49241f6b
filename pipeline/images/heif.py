"""HEIC and AVIF pictures: their size by the header, and their pixels by libraries that are an extra.

Both are HEIF containers (ISO/IEC 23008-12): boxes as in MP4, one of which tells the properties of each picture in the
file. Which picture is meant, how large it is and how it is turned is read here; Pillow decodes AVIF, pillow-heif HEIC.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.errors import SourceError
from pipeline.images.limits import too_large
from pipeline.images.orientation import UPRIGHT, Orientation

if TYPE_CHECKING:
    import PIL.Image

SIGNATURE = re.compile(rb".{4}ftyp(?:heic|heix|hevc|hevx|heim|heis|hevm|hevs|mif1|msf1|avif|avis)", re.DOTALL)
"""How such a file begins."""

_MOST_BOXES = 10_000
# Quarter turns against the clock, as transposing and mirroring.
_TURNS = {
    0: UPRIGHT,
    1: Orientation(transposed=True, mirrored_y=True),
    2: Orientation(mirrored_x=True, mirrored_y=True),
    3: Orientation(transposed=True, mirrored_x=True),
}
_ERRORS = (OSError, ValueError, EOFError, SyntaxError, RuntimeError, IndexError)
_ADVICE = "pip install 'sightline[images]'"


def is_avif(data: bytes) -> bool:
    """Whether the file, which begins with ``SIGNATURE``, says that it is AVIF."""
    (length,) = struct.unpack_from(">I", data)
    brands = data[8 : min(length, 256)]
    return any(brands[start : start + 4] in (b"avif", b"avis") for start in range(0, len(brands), 4))


def heif_size(data: bytes) -> tuple[int, int, Orientation] | None:
    """Width and height of what is shown of the main picture, before it is turned, and its quarter turns; or None.

    Args:
        data: the file, or its beginning.

    Raises:
        struct.error, IndexError: it ends within the header.
    """
    meta = _inside(data, (0, len(data)), b"meta")
    if meta is None:
        return None
    # A "full box": version and flags come before its contents.
    meta = (meta[0] + 4, meta[1])
    properties = _inside(data, meta, b"iprp")
    container = properties and _inside(data, properties, b"ipco")
    if properties is None or container is None:
        return None
    told = list(_boxes(data, container))
    size: tuple[int, int] | None = None
    shown: tuple[int, int] | None = None
    turned = UPRIGHT
    for number in _associated(data, _inside(data, properties, b"ipma"), _main_picture(data, meta)):
        if not 1 <= number <= len(told):
            continue
        name, start, _ = told[number - 1]
        if name == b"ispe":
            size = struct.unpack_from(">II", data, start + 4)
        elif name == b"clap":  # what is shown of it, as two fractions
            numbers = struct.unpack_from(">4I", data, start)
            shown = (numbers[0] // max(1, numbers[1]), numbers[2] // max(1, numbers[3]))
        elif name == b"irot":
            turned = _TURNS[data[start] & 3]
    if size is None:
        return None
    # All of it is decoded, also where little of it is shown.
    return (*(size if shown is None or too_large(*size) else shown), turned)


def open_heif(data: bytes, name: str, check_size: Callable[[int, int], None]) -> PIL.Image.Image:
    """The main picture of a HEIC or AVIF file as a Pillow image; AVIF is still to be turned by its EXIF orientation.

    Args:
        data: the file.
        name: what to call it in messages.
        check_size: raises what is to be raised where a picture of that width and height is not wanted.

    Raises:
        SourceError: the library is not installed, or can't decode it.
    """
    avif = is_avif(data)
    try:
        import PIL.features
        import PIL.Image

        if avif and not PIL.features.check("avif"):
            raise ImportError
        if not avif:
            import pillow_heif
    except ImportError:
        kind, library = ("AVIF", "Pillow 11.3 or later") if avif else ("HEIC", "pillow-heif")
        raise SourceError(f"{name}: is {kind}, which is read with {library}: {_ADVICE}") from None
    try:
        if avif:
            return PIL.Image.open(io.BytesIO(data), formats=["AVIF"])  # its pixels are decoded when they are asked for
        found = pillow_heif.open_heif(io.BytesIO(data))
        check_size(*found.size)
        return found.to_pillow()
    except SourceError:
        raise
    except (*_ERRORS, PIL.Image.DecompressionBombError) as error:
        raise SourceError(f"{name}: is damaged and can't be decoded; check that it opens in an image viewer") from error


_Span = tuple[int, int]


def _boxes(data: bytes, span: _Span) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the contents of each box in a part of the file."""
    position, end = span
    for _ in range(_MOST_BOXES):
        if position + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        last = end if length == 0 else position + length
        if last < start:
            return
        yield name, start, min(last, end)
        position = last


def _inside(data: bytes, span: _Span, wanted: bytes) -> _Span | None:
    return next(((start, end) for name, start, end in _boxes(data, span) if name == wanted), None)


def _main_picture(data: bytes, meta: _Span) -> int:
    place = _inside(data, meta, b"pitm")
    if place is None:
        return 0
    return int(struct.unpack_from(">I" if data[place[0]] else ">H", data, place[0] + 4)[0])


def _associated(data: bytes, ipma: _Span | None, picture: int) -> list[int]:
    """The numbers, from 1, of the properties that belong to a picture."""
    if ipma is None:
        return []
    position = ipma[0]
    version, wide = data[position], data[position + 3] & 1
    (entries,) = struct.unpack_from(">I", data, position + 4)
    position += 8
    for _ in range(min(entries, _MOST_BOXES)):
        (item,) = struct.unpack_from(">I" if version else ">H", data, position)
        position += 4 if version else 2
        count = data[position]
        position += 1
        if item == picture:
            numbers = struct.unpack_from(f">{count}{'H' if wide else 'B'}", data, position)
            return [number & (0x7FFF if wide else 0x7F) for number in numbers]
        position += count * (2 if wide else 1)
    return []
