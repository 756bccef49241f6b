"""Groups of pictures that wait: from a keyframe up to the next one, with the sound that came with them."""

from __future__ import annotations

from collections import deque

from sinks.recording.packet_clock import PlacedPacket


class PacketGroups:
    """The groups of the last seconds.

    Args:
        keep_s: seconds.
        most_bytes: bytes, beyond which the oldest go earlier.
    """

    def __init__(self, keep_s: float, most_bytes: int) -> None:
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._groups: deque[list[PlacedPacket]] = deque()
        self._bytes = 0

    def add(self, placed: PlacedPacket) -> None:
        """Keep a packet; one that comes before the first keyframe is of no use."""
        if placed.packet.is_keyframe and not placed.packet.sound:
            self._groups.append([])
        if not self._groups:
            return
        self._groups[-1].append(placed)
        self._bytes += len(placed.packet.data)
        while len(self._groups) > 1 and (
            self._groups[1][0].at_s <= placed.at_s - self._keep_s or self._bytes > self._most_bytes
        ):
            self._bytes -= sum(len(kept.packet.data) for kept in self._groups.popleft())

    def take(self, from_s: float) -> list[PlacedPacket]:
        """Give out all from the keyframe at or before a time on, and keep none."""
        groups = list(self._groups)
        self.clear()
        first = max((place for place, group in enumerate(groups) if group[0].at_s <= from_s), default=0)
        return [placed for group in groups[first:] for placed in group]

    def clear(self) -> None:
        """Let go of all."""
        self._groups.clear()
        self._bytes = 0
