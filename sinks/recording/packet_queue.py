"""The packets that wait to be recorded: bounded, so that a disk that stands still never holds up a camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.sources.decoding.tap import CodedPacket, CodedTracks

# Bytes that may wait: half a minute of a camera of 8 Mbit/s.
_MOST_WAITING = 32_000_000
# What it is worth waking up for, other than a keyframe, which may be every picture; and the longest sleep.
_SOME_BYTES, _PAUSE_S, _SLEEP_S = 1_000_000, 0.4, 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something happened: what is from one moment to another is to be kept, in seconds as of ``PlacedPacket.at_s``."""

    from_s: float
    until_s: float


Item = CodedTracks | CodedPacket | Wanted | None
"""What waits; None where a connection is over."""


class PacketQueue:
    """Takes packets from the thread that reads a source, and gives them to one that records them.

    Where too many bytes wait, the packets of a camera are lost up to the next keyframe for which there is room, and
    counted; the source of a file is kept waiting. After ``close`` nothing is taken.

    Args:
        most_waiting: bytes.
        now_wanted: whether pictures that are lost were to be recorded.
    """

    def __init__(self, most_waiting: int = _MOST_WAITING, now_wanted: Callable[[], bool] = lambda: True) -> None:
        self._most_waiting = most_waiting
        self._now_wanted = now_wanted
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._live = True
        self._looked_s = 0.0
        self._gap = self._closed = self._to_look = False
        self.lost = 0

    def begin(self, tracks: CodedTracks) -> None:
        """See ``PacketReceiver``."""
        self._live, self._gap = tracks.live, False
        self.put(tracks)

    def take(self, packet: CodedPacket) -> None:
        """See ``PacketReceiver``."""
        size = len(packet.data)
        with self._changed:
            if self._live:
                full = self._bytes + size > self._most_waiting
                self._gap = full or (self._gap and (packet.sound or not packet.is_keyframe))
                if self._gap:
                    self.lost += not packet.sound and not self._closed and self._now_wanted()
                    return
            while self._bytes + size > self._most_waiting and self._bytes and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            self._items.append(packet)
            self._bytes += size
            whole = packet.is_keyframe and not packet.sound and packet.arrived_s >= self._looked_s + _PAUSE_S
            if whole or self._bytes > _SOME_BYTES:
                self._looked_s, self._to_look = packet.arrived_s, True
                self._changed.notify_all()

    def decoded(self, tick: int | None, captured_s: float) -> None:
        """See ``PacketReceiver``; what becomes of the pictures is no matter here."""

    def end(self) -> None:
        """See ``PacketReceiver``."""
        self.put(None)

    def put(self, item: Item) -> None:
        """Take anything else than a packet; it is always taken."""
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._to_look = True
                self._changed.notify_all()

    def close(self) -> None:
        """Take nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> list[Item] | None:
        """All that waits, after a while; None when it was closed and is empty."""
        with self._changed:
            if not self._to_look and not self._closed:
                self._changed.wait(_SLEEP_S)
            items, self._items, self._bytes, self._to_look = list(self._items), deque(), 0, False
            self._changed.notify_all()
            return None if self._closed and not items else items
