"""The part of the picture that a container says is to be shown: Matroska's PixelCrop, the clean aperture of an MP4.

FFmpeg reads both, but PyAV does not show what it read. So the stream is written out as the header of a Matroska file,
a few hundred bytes in memory, which states it in four elements whatever the container was.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import av

logger = logging.getLogger(__name__)

_CROPPING_CONTAINERS = frozenset({"matroska", "webm", "mov", "mp4"})
# Ids of Matroska's elements (RFC 9559).
_SEGMENT, _TRACKS, _TRACK_ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA


@dataclass(frozen=True, slots=True)
class Crop:
    """Columns and rows of the stored picture that are not shown, in pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what is left of a picture of that size; below 1 where nothing is."""
        return width - self.left - self.right, height - self.top - self.bottom


NO_CROP = Crop()


def crop_of(container: av.container.InputContainer, video: av.VideoStream) -> Crop:
    """What the container says is not to be shown of this stream's pictures."""
    if not _CROPPING_CONTAINERS & set(container.format.name.split(",")):
        return NO_CROP
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as output:
            output.add_stream_from_template(video)
            output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        # A codec that Matroska can't hold, so that this file is none, and in an MP4 hardly cropped.
        logger.debug("can't tell whether the container crops its %s: %s", video.codec_context.name, error)
        return NO_CROP
    found = dict.fromkeys((_LEFT, _TOP, _RIGHT, _BOTTOM), 0)
    for element, value in _video_elements(header.getvalue()):
        if element in found:
            found[element] = int.from_bytes(value, "big")
    return Crop(found[_LEFT], found[_TOP], found[_RIGHT], found[_BOTTOM])


def _video_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Ids and contents of the elements that describe the pictures of the first track."""
    for path in (_SEGMENT, _TRACKS, _TRACK_ENTRY, _VIDEO):
        data = next((content for element, content in _elements(data) if element == path), b"")
    return _elements(data)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The EBML elements (RFC 8794) that lie side by side in ``data``: id, and content as far as it is there."""
    position = 0
    while position + 2 <= len(data):
        id_length = 9 - data[position].bit_length()
        size_at = position + id_length
        if not 1 <= id_length <= 4 or size_at >= len(data):
            return
        size_length = 9 - data[size_at].bit_length()
        start = size_at + size_length
        size = int.from_bytes(data[size_at:start], "big") & ((1 << 7 * size_length) - 1)
        yield int.from_bytes(data[position:size_at], "big"), data[start : start + size]
        position = start + size
