"""The fragments of an MP4 that grows: where each begins, how many pictures it holds and whether a keyframe is first.

ISO/IEC 14496-12: a box is its length (32 bits), its type (4 letters) and its content. A fragmented file is "ftyp" and
"moov", then a "moof" with the index of a fragment and an "mdat" with its pictures, again and again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from sinks.steady_file import SteadyFile

# Flags of a "tfhd" (what is given for all samples), of a "trun" (what is given for each), and of a sample.
_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS, _EACH_DURATION, _EACH_SIZE, _EACH_FLAGS = 0x1, 0x4, 0x100, 0x200, 0x400
_NOT_A_KEYFRAME = 0x10000
_PICTURES = 1  # number of their track


class FragmentWriter:
    """Takes what FFmpeg's muxer writes of a fragmented MP4, and hands it on in whole fragments.

    Args:
        file: gets the beginning of the file, and then fragments, each with its number of pictures.
    """

    def __init__(self, file: SteadyFile) -> None:
        self._file = file
        self._data = bytearray()
        self._boxes: list[bytes] = []
        self._begun = False

    def write(self, data: bytes) -> int:
        """Take the next bytes of the file; what ``av.open`` calls."""
        self._data += data
        while len(self._data) >= 16:
            length, kind = struct.unpack_from(">I4s", self._data)
            if length == 1:
                (length,) = struct.unpack_from(">Q", self._data, 8)
            if len(self._data) < length:
                break
            self._take(kind, bytes(self._data[:length]))
            del self._data[:length]
        return len(data)

    def _take(self, kind: bytes, box: bytes) -> None:
        if kind == b"mfra":
            return  # the places of fragments, which are others where some were lost; players do without
        self._boxes.append(box)
        if kind == b"moov" and not self._begun:
            self._begun = True
            self._file.begin_with(self._taken())
        elif kind == b"mdat" and self._begun:
            pictures, keyframe = fragment_pictures(self._boxes[-2])
            self._file.write(self._taken(), pictures, alone=keyframe)

    def _taken(self) -> bytes:
        boxes, self._boxes = self._boxes, []
        return b"".join(boxes)


def fragment_pictures(moof: bytes) -> tuple[int, bool]:
    """How many pictures a fragment holds, and whether the first is a keyframe, by its "moof" box.

    They are the samples of track 1; a fragment may hold none, but only sound.
    """
    tracks = (_find(track, b"tfhd", b"trun") for track in _boxes(moof[8:], b"traf"))
    pictures = next((boxes for boxes in tracks if struct.unpack_from(">I", boxes[0], 4) == (_PICTURES,)), None)
    if pictures is None:
        return 0, False
    defaults, run = pictures
    flags = int.from_bytes(run[1:4], "big")
    (count,) = struct.unpack_from(">I", run, 4)
    position = 8 + 4 * bool(flags & _DATA_OFFSET)
    if flags & _FIRST_FLAGS:
        (first,) = struct.unpack_from(">I", run, position)
    elif flags & _EACH_FLAGS:
        (first,) = struct.unpack_from(
            ">I", run, position + 4 * bool(flags & _EACH_DURATION) + 4 * bool(flags & _EACH_SIZE)
        )
    else:
        first = _default_flags(defaults)
    return count, not first & _NOT_A_KEYFRAME


def _default_flags(defaults: bytes) -> int:
    flags = int.from_bytes(defaults[1:4], "big")
    position = 8 + 8 * bool(flags & _BASE_OFFSET)
    position += 4 * sum(bool(flags & given) for given in (_DESCRIPTION, _DURATION, _SIZE))
    return int(struct.unpack_from(">I", defaults, position)[0]) if flags & _FLAGS else 0


def _find(boxes: bytes, *wanted: bytes) -> list[bytes]:
    """The content of the first box of each type."""
    return [next(_boxes(boxes, kind)) for kind in wanted]


def _boxes(boxes: bytes, wanted: bytes) -> Iterator[bytes]:
    """The content of each box of that type."""
    position = 0
    while position + 8 <= len(boxes):
        length, kind = struct.unpack_from(">I4s", boxes, position)
        if kind == wanted:
            yield boxes[position + 8 : position + length]
        position += max(length, 8)
