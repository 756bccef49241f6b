"""When packets come: the timestamps of one connection on a clock that only rises, whatever the camera's does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pipeline.sources.decoding.tap import CodedPacket, CodedTracks

_FALLBACK_FRAME_S = 1 / 25
# Further back than this is a restart of the clock, not a slip.
_RESTART_S = 1.0
# So far timestamps may run ahead of the arrival of a camera's packets; and so long a pause in a file is believed.
_LARGEST_LEAP_S, _LARGEST_GAP_S = 10.0, 3600.0
# So far the sound may be from the pictures that come with it, in a camera's packets and in those of a file.
_LIVE_STRAY_S, _FILE_STRAY_S = 3.0, 30.0


class PlacedPacket(NamedTuple):
    """A packet with its times.

    Attributes:
        packet: as it came.
        dts, pts: in ticks of its track, from the first picture of the connection on.
        at_s: when it is, in seconds: of a camera when it arrived, by ``time.monotonic()``, of a file the media time.
        jumped: whether the source's clock was set at it.
    """

    packet: CodedPacket
    dts: int
    pts: int
    at_s: float
    jumped: bool = False


@dataclass(slots=True)
class _Track:
    tick_s: Fraction
    offset: int | None = None  # what is added to its timestamps
    last: int | None = None


class PacketClock:
    """Places the packets of one connection.

    Timestamps that rise are kept to the tick. One that is repeated or slips back is put right behind the one before.
    Where they leap, against the arrival of a camera's packets, or start over, as a counter does that wraps, what
    follows is joined on, and said to have jumped. Sound keeps its place by its own timestamps as long as it is near
    the pictures that come with it; else it is put beside them.

    Args:
        tracks: of the connection.
        origin_s: media time at which the first picture is, of a file.
    """

    def __init__(self, tracks: CodedTracks, origin_s: float = 0.0) -> None:
        self._live, self._by_arrival = tracks.live, tracks.by_arrival
        self._origin_s = origin_s
        self._pictures = _Track(tracks.video.time_base or Fraction(1, 90_000))
        self._sound = _Track(tracks.sound.time_base or Fraction(1, 90_000)) if tracks.sound is not None else None
        self._frame = max(1, round((tracks.frame_s or _FALLBACK_FRAME_S) / self._pictures.tick_s))
        self._arrived_s = 0.0

    def place(self, packet: CodedPacket) -> PlacedPacket | None:
        """The packet with its times; None for sound before the first picture."""
        return self._place_sound(packet) if packet.sound else self._place_picture(packet)

    def _place_picture(self, packet: CodedPacket) -> PlacedPacket:
        track, tick_s = self._pictures, self._pictures.tick_s
        stamp = packet.pts if packet.dts is None else packet.dts
        if self._by_arrival:
            stamp = round(packet.arrived_s / tick_s)
        expected = 0 if track.last is None else track.last + (packet.duration or self._frame)
        jumped = False
        if stamp is None:
            dts = expected
        else:
            track.offset = expected - stamp if track.offset is None else track.offset
            dts = stamp + track.offset
        if track.last is not None and stamp is not None:
            ahead_s = (dts - track.last) * tick_s
            most_s = packet.arrived_s - self._arrived_s + _LARGEST_LEAP_S if self._live else _LARGEST_GAP_S
            jumped = not -_RESTART_S < ahead_s <= most_s
            if jumped:
                track.offset, dts = expected - stamp, expected
            dts = max(dts, track.last + 1)
        track.last, self._arrived_s = dts, packet.arrived_s
        shown = dts if packet.pts is None or self._by_arrival or stamp is None else packet.pts + (dts - stamp)
        at_s = packet.arrived_s if self._live else self._origin_s + float(dts * tick_s)
        return PlacedPacket(packet, dts, max(dts, shown), at_s, jumped)

    def _place_sound(self, packet: CodedPacket) -> PlacedPacket | None:
        track, pictures = self._sound, self._pictures
        if track is None or pictures.last is None:
            return None
        stamp = packet.pts if packet.dts is None else packet.dts
        now = round(pictures.last * pictures.tick_s / track.tick_s)
        if stamp is None:
            place = now if track.last is None else track.last + packet.duration
        else:
            beside = round((pictures.offset or 0) * pictures.tick_s / track.tick_s)
            place = stamp + beside + (track.offset or 0)
            if abs(place - now) * track.tick_s > (_LIVE_STRAY_S if self._live else _FILE_STRAY_S):
                track.offset, place = now - stamp - beside, now
        if track.last is not None:
            place = max(place, track.last + 1)
        track.last = place
        at_s = packet.arrived_s if self._live else self._origin_s + float(place * track.tick_s)
        return PlacedPacket(packet, place, place, at_s)

    @property
    def ticks(self) -> dict[bool, Fraction]:
        """Seconds per tick of pictures (False), and of sound (True)."""
        tracks = {False: self._pictures} if self._sound is None else {False: self._pictures, True: self._sound}
        return {sound: track.tick_s for sound, track in tracks.items()}

    @property
    def end_s(self) -> float:
        """Media time at which a further picture of a file would be."""
        last = self._pictures.last
        return self._origin_s + (0.0 if last is None else float((last + self._frame) * self._pictures.tick_s))
