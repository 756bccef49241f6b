"""The clusters of a Matroska file that grows: where each begins, its pictures, and whether a keyframe is first.

RFC 8794 and 9559: an element is its ID, its length and its content; both numbers tell their own length by their leading
zero bits. A file is a header and a segment, which begins with what describes the tracks and goes on with clusters.
"""

from __future__ import annotations

from collections.abc import Iterator

from sinks.steady_file import SteadyFile

_SEGMENT, _CLUSTER, _CUES = 0x18538067, 0x1F43B675, 0x1C53BB6B
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _REFERENCE = 0xA3, 0xA0, 0xA1, 0xFB
_PICTURES = 0x81  # number of their track, 1, as a block begins with it
_KEYFRAME = 0x80


class ClusterWriter:
    """Takes what FFmpeg's muxer writes of a Matroska file, and hands it on in whole clusters.

    Args:
        file: gets the beginning of the file, and then clusters, each with its number of pictures.
    """

    def __init__(self, file: SteadyFile) -> None:
        self._file = file
        self._data = bytearray()
        self._head: bytearray | None = bytearray()

    def write(self, data: bytes) -> int:
        """Take the next bytes of the file; what ``av.open`` calls."""
        self._data += data
        while (found := _header(self._data, 0)) is not None:
            kind, begin, length = found
            # The segment lasts to the end of the file: what is in it comes as elements of its own.
            end = begin if kind == _SEGMENT else begin + length
            if len(self._data) < end:
                break
            self._take(kind, bytes(self._data[:end]), begin)
            del self._data[:end]
        return len(data)

    def _take(self, kind: int, element: bytes, begin: int) -> None:
        if kind == _CLUSTER:
            if self._head is not None:
                self._file.begin_with(bytes(self._head))
                self._head = None
            pictures, keyframe = cluster_pictures(element[begin:])
            self._file.write(element, pictures, alone=keyframe)
        elif self._head is not None and kind != _CUES:
            self._head += element
        # Behind the clusters comes where they are, which is elsewhere if some were lost; players do without.


def cluster_pictures(content: bytes) -> tuple[int, bool]:
    """How many pictures are in the content of a cluster, and whether the first is a keyframe."""
    keyframes = []
    for kind, element in _elements(content):
        if kind == _SIMPLE_BLOCK and element[0] == _PICTURES:
            keyframes.append(bool(element[3] & _KEYFRAME))
        elif kind == _BLOCK_GROUP:
            parts = dict(_elements(element))
            if parts.get(_BLOCK, b"\0")[0] == _PICTURES:
                keyframes.append(_REFERENCE not in parts)
    return len(keyframes), bool(keyframes) and keyframes[0]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while (found := _header(data, position)) is not None:
        kind, begin, length = found
        yield kind, data[begin : begin + length]
        position = begin + length


def _header(data: bytes | bytearray, position: int) -> tuple[int, int, int] | None:
    """ID, place of the content and its length of the element at ``position``; None where that is not all there."""
    numbers = []
    for marked in (True, False):
        if position >= len(data) or not data[position]:
            return None
        size = 9 - data[position].bit_length()
        if position + size > len(data):
            return None
        number = int.from_bytes(data[position : position + size], "big")
        numbers.append(number if marked else number & ~(1 << 7 * size))
        position += size
    return numbers[0], position, numbers[1]
