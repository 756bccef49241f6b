"""Accounts of packets: which frame came out of which, and the last ones in case the end must be decoded again."""

from __future__ import annotations

import itertools
from collections import deque

import av
from av.packet import Packet

_TAIL_BYTES = 64_000_000
# A VOP that is not coded: type, time (seconds in unary, then up to 16 bits) and the marks between them.
_MOST_NOT_CODED_BYTES = 8


class PacketLedger:
    """Pairs each packet sent to a decoder with the frame that comes out, by timestamp; the rest is lost.

    Decoders swallow damage in several ways: an error, an error some packets later, or no sign at all. A packet whose
    frame has not come out after ``patience`` more packets went in never will.

    Args:
        patience: most packets that a decoder holds back.
        pairs: False for codecs with packets that are never shown; then only errors count.
        believes_flags: whether a packet that the container calls corrupt makes a damaged frame.
        frame_ticks: nominal duration of a frame in the stream's ticks, to tell the second field of a frame.
        mpeg4: MPEG-4 part 2, whose packets may say that nothing changed; decoders give no frame for those.
    """

    def __init__(
        self, patience: int, *, pairs: bool, believes_flags: bool, frame_ticks: float, mpeg4: bool = False
    ) -> None:
        self._patience = patience
        self._pairs = pairs
        self._believes_flags = believes_flags
        self._frame_ticks = frame_ticks
        self._mpeg4 = mpeg4
        self._unchanged: set[int] = set()
        self._sent = 0
        self._waiting: dict[int, int] = {}
        self._damaged: set[int] = set()
        self.lost = 0
        self.newest: int | None = None  # timestamp of the packet sent last

    @property
    def waiting(self) -> frozenset[int]:
        """Timestamps of the packets whose frames have not come out yet."""
        return frozenset(self._waiting)

    def sent(self, packet: Packet[av.VideoStream]) -> None:
        """A packet goes into the decoder."""
        self._sent += 1
        self.newest = packet.pts
        if packet.pts is None or packet.is_discard:
            return
        if self._mpeg4 and is_not_coded(packet):
            # It may also fill the place of a picture that came with the packet before ("packed"): then that comes out.
            self._unchanged.add(packet.pts)
            return
        if self._pairs:
            self._waiting.setdefault(packet.pts, self._sent)
        if packet.is_corrupt and self._believes_flags:
            self._damaged.add(packet.pts)
        while self._waiting:
            oldest = next(iter(self._waiting))
            if self._sent - self._waiting[oldest] <= self._patience:
                break
            del self._waiting[oldest]
            self._damaged.discard(oldest)
            self.lost += 1

    def refused(self, packet: Packet[av.VideoStream]) -> bool:
        """The decoder reported an error; returns whether nothing else will tell of the missing frame."""
        return not self._pairs or packet.pts is None

    def received(self, frame: av.VideoFrame) -> bool:
        """A frame came out; returns whether it is whole."""
        if frame.pts is not None:
            self._waiting.pop(frame.pts, None)
            self._unchanged.discard(frame.pts)
            if frame.interlaced_frame:
                for pts in [pts for pts in self._waiting if 0 < pts - frame.pts < 0.75 * self._frame_ticks]:
                    del self._waiting[pts]
        if frame.pts in self._damaged:
            self._damaged.remove(frame.pts)
            return False
        return not frame.is_corrupt

    def unchanged(self, before: int | None = None) -> list[int]:
        """Timestamps before that one (None: all) at which the picture stays, each once, in order."""
        if not self._unchanged:
            return []
        due = sorted(pts for pts in self._unchanged if before is None or pts < before)
        self._unchanged.difference_update(due)
        return due

    def forget_newest(self) -> None:
        """Wait no longer for the frame of the packet that was sent last."""
        if self.newest is not None:
            self._waiting.pop(self.newest, None)

    def start_from(self, first: av.VideoFrame) -> None:
        """Forget what was lost before the first frame."""
        self.lost = 0
        if first.pts is not None:
            self._waiting = {pts: sent for pts, sent in self._waiting.items() if pts >= first.pts}
            self._unchanged = {pts for pts in self._unchanged if pts > first.pts}

    def close(self) -> None:
        """The decoder is empty: what is still waiting is lost."""
        self.lost += len(self._waiting)
        self._waiting.clear()


def is_not_coded(packet: Packet[av.VideoStream]) -> bool:
    """Whether an MPEG-4 packet only says that the picture stays (ISO/IEC 14496-2, 6.2.5: ``vop_coded`` is 0).

    After that bit comes nothing but the stuffing up to the next byte, a 0 and as many 1 as it takes, and perhaps whole
    bytes of it.
    """
    if packet.size > 4 + _MOST_NOT_CODED_BYTES:
        return False
    _, start, picture = bytes(packet).rpartition(b"\0\0\1\xb6")
    stuffed = picture.rstrip(b"\x7f")
    if not start or not stuffed:
        return False
    bits = f"{int.from_bytes(stuffed, 'big'):0{8 * len(stuffed)}b}"
    # The mark before ``vop_coded``, and that; before the stuffing, which may be a whole byte.
    return bits.rstrip("1")[:-1].endswith("10") or (stuffed != picture and bits.endswith("10"))


class PacketTail:
    """The last packets of a stream, from a keyframe on, so that its end can be decoded a second time.

    Args:
        at_least: packets to keep; more are kept back to a keyframe, and fewer where they would fill memory.
    """

    def __init__(self, at_least: int) -> None:
        self._at_least = at_least
        self._groups: deque[list[Packet[av.VideoStream]]] = deque()
        self._bytes = 0

    def append(self, packet: Packet[av.VideoStream]) -> None:
        """Keep one more, and let go of what is no longer needed."""
        if packet.is_keyframe:
            self._groups.append([])
        if not self._groups:
            return
        self._groups[-1].append(packet)
        self._bytes += packet.size
        while self._bytes > _TAIL_BYTES or len(self) - len(self._groups[0]) >= self._at_least:
            self._bytes -= sum(kept.size for kept in self._groups.popleft())

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def clear(self) -> None:
        """Let go of all packets that are kept."""
        self._groups.clear()
        self._bytes = 0

    def packets(self) -> list[Packet[av.VideoStream]]:
        """What was kept, in decoding order; it begins with a keyframe."""
        return list(itertools.chain(*self._groups))
