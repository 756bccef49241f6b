"""Motion JPEG over HTTP, however a camera writes it.

FFmpeg's reader of multipart answers hands out a picture as soon as it is there, but wants a boundary first, a content
type with each part, and lengths that are right. What it can't read, and JPEGs without anything between them, is read by
FFmpeg's other reader, which looks for the pictures' own markers and skips all else; it knows that a picture is whole
when the next one begins, so it hands each out that much later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import av

from pipeline.errors import SourceRefusedError

Opener = Callable[[str | None, dict[str, str]], av.container.InputContainer]
"""Opens an address as a format (None: FFmpeg's guess) with these options, or raises ``SourceError``."""

MULTIPART = "mpjpeg"
"""FFmpeg's name for its reader of multipart answers."""

_RAW = "mjpeg"
# Of what FFmpeg has no clear idea it would read a megabyte or more, which may be minutes of small pictures; a format
# that isn't bare JPEGs shows in a few thousand bytes.
_GUESS_BYTES = "16384"
# As these it would read on for seconds, to know how many pictures there are in one.
_NEVER_GUESSED = frozenset({"jpeg_pipe", _RAW})
# Nothing has to be found out of such a stream but its pictures, each of which tells its size. (Microseconds; 0 would
# be the default of some seconds.)
_RAW_OPTIONS = {"analyzeduration": "1", "fpsprobesize": "0"}
# Cameras fill up behind the end marker.
_LONGEST_FILLING = 256


class UnknownFormatError(SourceRefusedError):
    """What an address gives is in no format that FFmpeg knows."""


def open_guessed(open_as: Opener) -> av.container.InputContainer:
    """Open what may be anything; as bare JPEGs where FFmpeg knows no format for it.

    Raises:
        SourceError: it can't be opened, or is not known and holds no JPEG either.
    """
    known = ",".join(sorted(av.formats_available - _NEVER_GUESSED))
    with contextlib.suppress(UnknownFormatError):
        return open_as(None, {"formatprobesize": _GUESS_BYTES, "format_whitelist": known})
    container = open_as(_RAW, _RAW_OPTIONS)
    if container.streams.video and container.streams.video[0].codec_context.width:
        return container
    container.close()
    return open_as(None, {})


def open_raw(open_as: Opener) -> av.container.InputContainer:
    """Open what is known to be Motion JPEG by the pictures' own markers."""
    return open_as(_RAW, _RAW_OPTIONS)


def is_whole(picture: bytes) -> bool:
    """Whether a JPEG has its end marker, as it has not where a camera states wrong lengths."""
    return b"\xff\xd9" in picture[-_LONGEST_FILLING:]
