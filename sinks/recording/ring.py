"""The camera's packets of the last seconds, from which clips are cut.

The thread that reads the source puts packets in; the loop tells by its frames when their media time is; whoever writes
a clip cuts a part out. Nothing is decoded.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from pipeline.sources.decoding.tap import CodedPacket, CodedTracks
from sinks.recording.packet_clock import PacketClock, PlacedPacket

# What comes of a packet is told so long after it, at most.
_LATEST_S = 15.0
_MOST_BYTES = 64_000_000
# Decoded pictures of which it is not known yet whether somebody sees them, and packets that are not decoded yet.
_MOST_UNSEEN = 4096


class _Seen(NamedTuple):
    """A frame that somebody saw: its media time, and where its packet is on the clock of its connection."""

    pts_s: float
    place_s: float


@dataclass(slots=True, eq=False)
class _Connection:
    tracks: CodedTracks
    clock: PacketClock
    seen: list[_Seen] = field(default_factory=list)
    places: OrderedDict[int, float] = field(default_factory=OrderedDict)  # of packets, by their own timestamps

    def media_s(self, place_s: float) -> float:
        """The media time of a place, by the last seen frame before it."""
        known = self._known(bisect_right(self.seen, place_s, key=lambda seen: seen.place_s))
        return known.pts_s + place_s - known.place_s

    def place_s(self, pts_s: float) -> float:
        """The place of a media time, likewise."""
        known = self._known(bisect_right(self.seen, pts_s, key=lambda seen: seen.pts_s))
        return known.place_s + pts_s - known.pts_s

    def _known(self, index: int) -> _Seen:
        """The last frame before an index, as those behind it may be behind a jump; or the first of all."""
        return self.seen[max(0, index - 1)]


@dataclass(slots=True, eq=False)
class _Group:
    connection: _Connection
    packets: list[PlacedPacket]
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ClipPackets:
    """A part of a stream, from a keyframe on.

    Attributes:
        tracks: what the packets are packets of.
        ticks: seconds per tick of their times, of pictures (False) and sound (True).
        packets: in their order; the first is a keyframe.
        from_pts_s, to_pts_s: media times at which the first picture begins and the last one ends.
    """

    tracks: CodedTracks
    ticks: Mapping[bool, Fraction]
    packets: list[PlacedPacket]
    from_pts_s: float
    to_pts_s: float


class PacketRing:
    """Keeps packets for a while.

    Args:
        keep_s: seconds.
        most_bytes: bytes, beyond which the oldest go earlier.
    """

    def __init__(self, keep_s: float, most_bytes: int = _MOST_BYTES) -> None:
        self._keep_s = keep_s + _LATEST_S
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
        self._bytes = 0
        self._end_s = 0.0
        self._connection: _Connection | None = None
        # Frames on their way, by the time of their capture.
        self._unseen: OrderedDict[float, tuple[_Connection, float]] = OrderedDict()

    def begin(self, tracks: CodedTracks) -> None:
        """See ``PacketReceiver``."""
        with self._lock:
            if self._connection is not None:
                self._end_s = max(self._end_s, self._connection.clock.end_s)
            origin_s = 0.0 if tracks.live or tracks.again else self._end_s
            self._connection = _Connection(tracks, PacketClock(tracks, origin_s))

    def take(self, packet: CodedPacket) -> None:
        """See ``PacketReceiver``."""
        with self._lock:
            connection = self._connection
            placed = None if connection is None else connection.clock.place(packet)
            if connection is None or placed is None:
                return
            if not packet.sound:
                if packet.pts is not None:
                    connection.places[packet.pts] = float(placed.pts * connection.clock.ticks[False])
                    if len(connection.places) > _MOST_UNSEEN:
                        connection.places.popitem(last=False)
                if packet.is_keyframe:
                    self._groups.append(_Group(connection, []))
            if not self._groups or self._groups[-1].connection is not connection:
                return
            group = self._groups[-1]
            group.packets.append(placed)
            group.size += len(packet.data)
            self._bytes += len(packet.data)
            self._trim(placed.at_s - self._keep_s)

    def decoded(self, tick: int | None, captured_s: float) -> None:
        """See ``PacketReceiver``."""
        with self._lock:
            connection = self._connection
            if connection is None or tick is None or tick not in connection.places:
                return
            self._unseen[captured_s] = connection, connection.places[tick]
            if len(self._unseen) > _MOST_UNSEEN:
                self._unseen.popitem(last=False)

    def end(self) -> None:
        """See ``PacketReceiver``."""

    def seen(self, captured_s: float, pts_s: float) -> None:
        """The frame that was captured then, by ``time.monotonic()``, has that media time. For one thread, in order."""
        with self._lock:
            found = self._unseen.pop(captured_s, None)
            if found is None:
                return
            connection, place_s = found
            connection.seen.append(_Seen(pts_s, place_s))
            before_s = pts_s - 2 * self._keep_s
            if connection.seen[0].pts_s < before_s - self._keep_s:
                connection.seen = [seen for seen in connection.seen if seen.pts_s >= before_s]

    def cut(
        self, from_pts_s: float, to_pts_s: float, at_pts_s: float, *, after_s: float | None = None
    ) -> ClipPackets | None:
        """The packets from the keyframe at or before one media time to another.

        They are of one connection, so a clip begins later, or ends earlier, where the camera was away; and where it
        gave its pictures another form.

        Args:
            from_pts_s, to_pts_s: what to show, in seconds of media time.
            at_pts_s: what must be in it.
            after_s: a media time from before which no picture may be in it.

        Returns:
            None where there are no such packets any more, or none yet.
        """
        with self._lock:
            connection = self._at(at_pts_s)
            if connection is None:
                return None
            tick_s = connection.clock.ticks[False]
            groups = [group for group in self._groups if group.connection is connection]
            starts = [connection.media_s(float(group.packets[0].pts * tick_s)) for group in groups]
            first = max((place for place, start in enumerate(starts) if start <= from_pts_s + float(tick_s)), default=0)
            while first < len(starts) and after_s is not None and starts[first] <= after_s:
                first += 1
            if first >= len(groups) or starts[first] > at_pts_s:
                return None
            end_s = connection.place_s(to_pts_s)
            packets = _until(
                [placed for group in groups[first:] for placed in group.packets], end_s, connection.clock.ticks
            )
            last_s = max(float(placed.pts * tick_s) for placed in packets if not placed.packet.sound)
            ends_s = connection.media_s(last_s) + (connection.tracks.frame_s or 0.0)
            return ClipPackets(connection.tracks, connection.clock.ticks, packets, starts[first], ends_s)

    def _at(self, pts_s: float) -> _Connection | None:
        """The connection that a media time is in: the last that had begun by then."""
        known = dict.fromkeys(group.connection for group in self._groups if group.connection.seen)
        begun = [connection for connection in known if connection.seen[0].pts_s <= pts_s]
        return begun[-1] if begun else next(iter(known), None)

    def _trim(self, before_s: float) -> None:
        groups = self._groups
        while len(groups) > 1 and (
            (groups[1].packets and groups[1].packets[0].at_s <= before_s) or self._bytes > self._most_bytes
        ):
            self._bytes -= groups.popleft().size


def _until(packets: list[PlacedPacket], end_s: float, ticks: Mapping[bool, Fraction]) -> list[PlacedPacket]:
    """Packets up to a place, or up to where the pictures jump."""
    kept: list[PlacedPacket] = []
    newest = 0
    for number, placed in enumerate(packets):
        late = number and float(placed.dts * ticks[placed.packet.sound]) > end_s
        if placed.packet.sound:
            if not late:
                kept.append(placed)
            continue
        # Pictures that are shown before one that is in come behind it.
        if (number and placed.jumped) or (late and placed.pts > newest):
            break
        newest = max(newest, placed.pts)
        kept.append(placed)
    return kept
