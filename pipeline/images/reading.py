"""Pictures of any kind that a program may hold, read into the one kind that the rest of Sightline takes.

    image = read_image("photo.jpg")        # or bytes, a PIL image, an array: grey, BGR or BGRA, 8 or 16 bits

What is read from a file is turned upright by its EXIF orientation. What is transparent is laid on white. Of 16 bits a
channel the full range is scaled to 8. A header that promises a picture of absurd size is refused before it is decoded.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import struct
import sys
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.images.cut_jpeg import decode_cut
from pipeline.images.header import HEADER_BYTES, read_header
from pipeline.images.heif import open_heif
from pipeline.images.limits import MAX_PIXELS, MAX_SIDE, too_large
from pipeline.images.orientation import UPRIGHT
from pipeline.images.sequences import holds_several
from pipeline.printable import readable
from pipeline.redaction import redact_missing_path
from pipeline.types import Image

if TYPE_CHECKING:
    import PIL.Image

ImageLike: TypeAlias = "str | PathLike[str] | bytes | NDArray[Any] | PIL.Image.Image"
"""A path, a file's bytes, an array ``(height, width)``, ``(height, width, 1)``, ``(height, width, 3)`` BGR or
``(height, width, 4)`` BGRA of uint8 or uint16, or a Pillow image."""

RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"})
"""Endings of what cameras' sensors saw; many begin as TIFF does, with a small preview in place of the picture."""

logger = logging.getLogger(__name__)

_KINDS = "JPEG, PNG, WebP, TIFF, BMP, GIF, JPEG 2000, PNM, HEIC, AVIF"
# MP4 and its relatives, Matroska, AVI, MPEG program streams, and Flash video.
_VIDEO = re.compile(rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI |\0\0\x01\xba|FLV\x01", re.DOTALL)
_ADVICE = {
    errno.EINVAL: "save it as a file first",
    errno.EISDIR: "name the pictures in it, or the folder alone",
    errno.ENAMETOOLONG: "check the path",
    errno.ENXIO: "it is no file",
}
# The largest picture allowed, uncompressed, with four channels of 16 bits.
_MAX_BYTES = MAX_PIXELS * 8
# Rows that are laid on white at a time, so that a large picture needs little memory besides its own.
_BAND = 256
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error)


def read_image(picture: ImageLike, *, name: str = "picture") -> Image:
    """The picture as uint8 ``(height, width, 3)``, BGR, upright; an array that is so already is returned itself.

    Args:
        picture: what to read; an array and a Pillow image are only read.
        name: what to call it in messages where it has no path.

    Raises:
        SourceNotFoundError: no file at that path.
        SourceError: it can't be read, is no picture, is damaged, or is of an absurd size.
        ValueError: an array or a Pillow image of another shape or type.
        TypeError: something else altogether.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture, name)
    if isinstance(picture, bytes):
        return decode_picture(picture, name)
    if isinstance(picture, str | PathLike):
        return decode_picture(_read_file(Path(picture)), readable(picture))
    # A Pillow image can only come from a program that has imported Pillow.
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(picture, pillow.Image):
        return _from_pillow(picture, name)
    raise TypeError(f"{name}: expected a path, bytes, a NumPy array or a Pillow image, got {type(picture).__name__}")


def several_pictures(pictures: ImageLike | Sequence[ImageLike]) -> Sequence[ImageLike] | None:
    """The pictures of a list, or of a stack in one array of four dimensions; None where this is a picture itself."""
    if isinstance(pictures, np.ndarray):
        return list(pictures) if pictures.ndim == 4 else None
    if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes):
        return pictures
    return None


def decode_picture(data: bytes, name: str) -> Image:
    """A file's contents as uint8 ``(height, width, 3)``, BGR, upright.

    Raises:
        SourceError: it is no picture of a kind that is read, is damaged, or is of an absurd size.
    """
    header = read_header(data)
    if header is None:
        raise SourceError(f"{name}: {_what_else(data)}")
    _check_size(header.width, header.height, name)
    if holds_several(data, header.kind):
        advice = "give it to the command run" if header.kind == "gif" else "make a video of it to have all of them"
        logger.warning("%s: holds several pictures, of which only the first is read; %s", name, advice)
    if header.kind == "heif":
        return _from_pillow(open_heif(data, name, partial(_check_size, name=name)), name)
    decoded = _decode(data, header.kind)
    if decoded is None and header.kind == "jpeg":
        decoded = _decode_cut_jpeg(data, name)
    if decoded is None:
        raise SourceError(f"{name}: is damaged and can't be decoded; check that it opens in an image viewer")
    _check_size(decoded.shape[1], decoded.shape[0], name)
    # OpenCV turns a TIFF whatever it is told, and multiplies its 8-bit colours by their alpha.
    orientation = UPRIGHT if header.kind == "tiff" else header.orientation
    premultiplied = header.kind == "tiff" and decoded.dtype == np.uint8
    try:
        return orientation.apply(_from_array(decoded, name, premultiplied=premultiplied))
    except ValueError as error:
        raise SourceError(f"{error}; save it with 8 or 16 bits a channel") from error


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels, upright, by the file's header; None where it can't be read or is no picture."""
    try:
        with _open_regular(path) as file:
            data = file.read(HEADER_BYTES)
            header = read_header(data)
            if header is None and len(data) == HEADER_BYTES:  # a TIFF may tell at its very end
                header = read_header(data + file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return None
    if header is None or too_large(header.width, header.height):
        return None
    return header.displayed_size


def is_video_file(path: Path) -> bool:
    """Whether a file begins as videos do; False where it can't be read."""
    try:
        with _open_regular(path) as file:
            head = file.read(HEADER_BYTES)
    except (OSError, ValueError):
        return False
    return read_header(head) is None and bool(_VIDEO.match(head))


def _decode(data: bytes, kind: str) -> NDArray[Any] | None:
    # All channels and bits, and no turning, except for BMP, whose fourth channel is most often unused and all 0.
    flags = cv2.IMREAD_COLOR if kind == "bmp" else cv2.IMREAD_UNCHANGED
    # What OpenCV has to say of a damaged file it prints itself.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        decoded: cv2.typing.MatLike | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return None if decoded is None else np.asarray(decoded)


def _decode_cut_jpeg(data: bytes, name: str) -> NDArray[Any] | None:
    decoded, share = decode_cut(data, lambda whole: _decode(whole, "jpeg"))
    if decoded is not None:
        logger.warning(
            "%s: the JPEG file ends too early; %.0f%% of the picture is there and is used", name, 100 * share
        )
    elif share > 0:
        raise SourceError(
            f"{name}: the JPEG file ends too early, only {share:.0%} of the picture is there; copy it anew"
        )
    return decoded


def _what_else(data: bytes) -> str:
    """What a file is that is no picture of the kinds that are read, and what to do."""
    if not data:
        return "is empty; copy it anew"
    if _VIDEO.match(data):
        return "is a video, not a picture; give it to the command run"
    return f"is no image that can be decoded ({_KINDS}); check that it opens in an image viewer"


def _read_file(path: Path) -> bytes:
    name = readable(path)
    if path.suffix.lower() in RAW_SUFFIXES:
        raise SourceError(f"{name}: is a camera's raw data, which are not read; save it as JPEG or TIFF")
    try:
        with _open_regular(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise SourceNotFoundError(f"{name}: is a link to what is not there; check where it leads") from error
        raise SourceNotFoundError(f"{redact_missing_path(name)}: no such file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        advice = _ADVICE.get(getattr(error, "errno", None) or 0, "check its permissions")
        raise SourceError(f"{name}: can't be read ({reason}); {advice}") from error
    if len(data) > _MAX_BYTES:
        raise SourceError(f"{name}: is larger than any picture ({_MAX_BYTES // 1_000_000} MB); is it a video?")
    return data


def _open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. A pipe, which would keep the reader waiting for ever, and a device are refused.

    Raises:
        OSError: it can't be opened, or is no regular file.
    """
    # O_NONBLOCK: opening a pipe waits for who writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe or a device, not a file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_size(width: int, height: int, name: str) -> None:
    if too_large(width, height):
        raise SourceError(
            f"{name}: {width}x{height} px is too large (at most {MAX_SIDE} px a side and "
            f"{MAX_PIXELS // 1_000_000} megapixels); scale it down first"
        )


def _from_array(array: NDArray[Any], name: str, *, premultiplied: bool = False) -> Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ValueError(
            f"{name}: expected (height, width), (height, width, 3) or (height, width, 4), got {array.shape}"
        )
    if array.dtype == np.uint16:
        # From [0, 65535] to [0, 255], rounded.
        array = cv2.convertScaleAbs(np.ascontiguousarray(array), alpha=1 / 257).reshape(array.shape)
    elif array.dtype != np.uint8:
        raise ValueError(f"{name}: expected uint8 or uint16, got {array.dtype} {array.shape}")
    if channels == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_GRAY2BGR), np.uint8)
    return on_white(array, premultiplied) if channels == 4 else array


def on_white(image: Image, premultiplied: bool = False) -> Image:
    """BGRA on white; ``premultiplied`` says that the colours are multiplied by their alpha already."""
    if (image[..., 3] == 255).all():
        return np.ascontiguousarray(image[..., :3])
    mixed = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, len(image), _BAND):
        band = image[top : top + _BAND]
        alpha = band[..., 3:].astype(np.uint16)
        color = band[..., :3] if premultiplied else (band[..., :3] * alpha + 127) // 255
        mixed[top : top + _BAND] = np.minimum(color + (255 - alpha), 255)
    return mixed


def _from_pillow(picture: PIL.Image.Image, name: str) -> Image:
    from PIL import ImageOps

    _check_size(*picture.size, name)
    deep = picture.mode.startswith(("I", "F"))
    try:
        upright = ImageOps.exif_transpose(picture)
        if not deep:
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        array = np.asarray(upright)
    except _PILLOW_ERRORS as error:
        raise SourceError(
            f"{name}: Pillow can't decode it ({error}); check that it opens in an image viewer"
        ) from error
    if not deep:
        return _from_array(np.ascontiguousarray(array[..., [2, 1, 0, 3][: array.shape[2]]]), name)
    if picture.mode == "F" or array.min() < 0 or array.max() > 65_535:
        raise ValueError(f"{name}: expected a Pillow image with values of 8 or 16 bits, got mode {picture.mode}")
    return _from_array(array.astype(np.uint16), name)
