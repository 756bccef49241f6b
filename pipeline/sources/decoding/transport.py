"""MPEG transport streams whose pictures change codec or PID midway, as where a broadcaster or an editor joined two.

FFmpeg goes on reading such a stream, but for the codec that it began with, and loses the picture that it was in the
middle of. So the stream is handed to it in parts: one ends where the programme's table (PMT, ISO/IEC 13818-1, 2.4.4.8)
names other pictures, and the next one is opened anew.
"""

from __future__ import annotations

import io
from typing import Protocol

import numpy as np

_SYNC = 0x47
# Bytes from one packet to the next, and those of a time code in front: plain, .m2ts, with error correction.
_LAYOUTS = ((188, 0), (192, 4), (204, 0))
_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0x42, 0xD1, 0xD2, 0xEA})
_PAT_PID = 0
# Packets in a row that must begin with the sync byte.
_ALIGNED = 3


class ByteReader(Protocol):
    """What a part is read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class TransportPart:
    """A file object for FFmpeg: a transport stream up to where its pictures change. Anything else is read to its end.

    Args:
        file: read on from where it is, or, where ``seekable``, from ``start``. The caller closes it.
        seekable: whether ``file`` has ``seek`` and ``tell``.
        start: place in ``file`` at which the part begins.
        head: bytes to read before those of ``file``.
        name: for FFmpeg, which looks at its ending.
    """

    def __init__(
        self, file: ByteReader, *, seekable: bool = False, start: int = 0, head: bytes = b"", name: str = "pipe"
    ) -> None:
        self.name = name
        self._file = file
        self._seekable = seekable
        self._start = start
        self._head = head
        self._position = 0
        self._scanner = _Scanner()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end of the part."""
        end = self._scanner.change
        if end is not None:
            size = min(size, max(0, end - self._position))
            if not size:
                return b""
        if self._position < len(self._head):
            data = self._head[self._position : self._position + size]
        else:
            data = self._file.read(size)
        self._scanner.feed(data, self._position)
        end = self._scanner.change
        if end is not None:
            data = data[: max(0, end - self._position)]
        self._position += len(data)
        return data

    def seekable(self) -> bool:
        """Whether ``seek`` works."""
        return self._seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place of the part."""
        assert isinstance(self._file, io.RawIOBase), "seekable() says so"
        if whence == io.SEEK_END:
            end = self._scanner.change
            offset += self._file.seek(0, io.SEEK_END) - self._start + len(self._head) if end is None else end
        elif whence == io.SEEK_CUR:
            offset += self._position
        self._position = max(0, offset)
        self._file.seek(self._start + max(0, self._position - len(self._head)))
        return self._position

    def tell(self) -> int:
        """Where it is in the part."""
        return self._position

    def following(self) -> TransportPart | None:
        """The part that begins where this one ended; None where the stream did. Read this one to its end first."""
        end = self._scanner.change
        if end is None:
            return None
        table = self._scanner.association
        if not self._seekable:
            return TransportPart(_Joined(self._scanner.behind, self._file), head=table, name=self.name)
        start = self._start + end - len(self._head)
        part = TransportPart(self._file, seekable=True, start=start, head=table, name=self.name)
        part.seek(0)
        return part


class _Joined:
    """What was read too much, then the rest."""

    def __init__(self, first: bytes, rest: ByteReader) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int) -> bytes:
        data, self._first = self._first[:size], self._first[size:]
        return data or self._rest.read(size)


class _Scanner:
    """Looks for the place at which the pictures of a stream with one programme change.

    Attributes:
        change: that place, in bytes from the beginning; None where there is none so far.
        behind: what was fed from there on.
        association: the packet with the newest programme association table.
    """

    def __init__(self) -> None:
        self.change: int | None = None
        self.behind = b""
        self.association = b""
        self._seen = 0  # bytes that have been fed
        self._carried = b""
        self._layout: tuple[int, int] | None = None
        self._table_pid: int | None = None
        self._pictures: frozenset[tuple[int, int]] | None = None

    def feed(self, data: bytes, position: int) -> None:
        """Look at what was read at ``position``, as far as it was not seen before; nothing behind a gap."""
        fresh = self._seen - position
        if self.change is not None or not 0 <= fresh < len(data):
            return
        data = self._carried + data[fresh:]
        base = self._seen - len(self._carried)
        self._seen = base + len(data)
        while self.change is None:
            aligned = self._aligned(data)
            if aligned is None:
                # What is no transport stream at all is not kept.
                self._carried = data[-4096:]
                return
            data, base = data[aligned:], base + aligned
            taken = self._look(data, base)
            data, base = data[taken:], base + taken
            if len(data) < (self._layout or _LAYOUTS[0])[0]:
                self._carried = data
                return

    def _aligned(self, data: bytes) -> int | None:
        """Where the first packet begins; None where that can't be told yet."""
        for size, front in (self._layout,) if self._layout else _LAYOUTS:
            if self._layout and len(data) > front and data[front] == _SYNC:
                return 0
            for begin in range(min(size, len(data))):
                marks = data[begin + front :: size][:_ALIGNED]
                if len(marks) == _ALIGNED and all(mark == _SYNC for mark in marks):
                    self._layout = (size, front)
                    return begin
        return None

    def _look(self, data: bytes, base: int) -> int:
        """Look at the whole packets at the beginning of ``data``; returns how many bytes they are."""
        assert self._layout is not None
        size, front = self._layout
        packets = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)[:, front:]
        bad = np.flatnonzero(packets[:, 0] != _SYNC)
        packets = packets[: bad[0]] if len(bad) else packets
        starts = np.flatnonzero(packets[:, 1] & 0x40)
        pids = (packets[starts, 1].astype(np.int32) & 0x1F) << 8 | packets[starts, 2]
        for position, pid in zip(starts.tolist(), pids.tolist(), strict=True):
            if pid not in (_PAT_PID, self._table_pid):
                continue
            section = _section(packets[position, :188].tobytes())
            if pid == _PAT_PID:
                self._associate(section, data[position * size : (position + 1) * size])
            elif self._differs(section):
                self.change, self.behind = base + position * size, data[position * size :]
                break
        return len(packets) * size

    def _associate(self, section: bytes, packet: bytes) -> None:
        if section[:1] != b"\0" or len(section) < 12:
            return
        length = (section[1] & 0x0F) << 8 | section[2]
        entries = section[8 : 3 + length - 4]
        programmes = [entries[k : k + 4] for k in range(0, len(entries) - 3, 4) if entries[k : k + 2] != b"\0\0"]
        self.association = packet
        # Of several programmes FFmpeg chooses one; a change in another would tear its pictures.
        self._table_pid = int.from_bytes(programmes[0][2:], "big") & 0x1FFF if len(programmes) == 1 else None

    def _differs(self, section: bytes) -> bool:
        """Whether the programme's table names other pictures than the one before."""
        if len(section) < 12 or section[0] != 2 or not section[5] & 1:
            return False
        end = min(len(section), 3 + ((section[1] & 0x0F) << 8 | section[2]) - 4)
        position = 12 + ((section[10] & 0x0F) << 8 | section[11])
        pictures = set()
        while position + 5 <= end:
            if section[position] in _VIDEO_TYPES:
                pictures.add((section[position], (section[position + 1] & 0x1F) << 8 | section[position + 2]))
            position += 5 + ((section[position + 3] & 0x0F) << 8 | section[position + 4])
        if not pictures:
            return False  # for a while only sound
        before, self._pictures = self._pictures, frozenset(pictures)
        return before is not None and before != self._pictures


def _section(packet: bytes) -> bytes:
    """The table that begins in this packet of 188 bytes, as far as it is in it."""
    start = 4
    if packet[3] & 0x20:
        start += 1 + packet[4]
    if not packet[3] & 0x10 or start >= len(packet):
        return b""
    return packet[start + 1 + packet[start] :]


def is_transport(head: bytes) -> bool:
    """Whether a file that begins so is a transport stream."""
    return any(
        len(marks := head[front::size][:_ALIGNED]) == _ALIGNED and all(mark == _SYNC for mark in marks)
        for size, front in _LAYOUTS
    )
