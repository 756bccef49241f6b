"""One segment in the making."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from msgspec import structs

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from sinks.output_files import commit, keep_partial, partial_path, write_error
from sinks.recording.muxer import Container, PacketMuxer
from sinks.recording.packet_clock import PlacedPacket
from sinks.steady_file import SteadyFile

logger = logging.getLogger(__name__)

# Sound that comes behind a keyframe may be from before it by this much; then the pictures begin that much later.
_LONGEST_LEAD_S = 1


class SegmentFile:
    """Grows under a partial name, where it can be played up to the last fragment, and gets its own when it is complete.

    Args:
        path: the final name, which nothing has.
        container: what it is.
        first: the keyframe that it begins with; its time becomes 0.
        ticks: seconds per tick of packets, of pictures (False) and sound (True).
        patient: wait out what keeps it from being written: see ``sinks.steady_file``.
        mount: where a disk must be mounted for that; None for where one is now.
        extradata: as for ``PacketMuxer``.

    Raises:
        SinkError: it can't be made; not where it is patient.
    """

    def __init__(
        self,
        path: Path,
        container: Container,
        first: PlacedPacket,
        ticks: Mapping[bool, Fraction],
        *,
        patient: bool,
        mount: Path | None = None,
        extradata: bytes | None = None,
    ) -> None:
        self.path = path
        self.partial = partial_path(path)
        self.first = first
        self.end_s = first.at_s
        self._refused = self._given = 0
        self._steady = SteadyFile(self.partial, lambda error: write_error(path, error), patient=patient, mount=mount)
        self._ticks = ticks
        self._origins = {False: first.dts}
        if container.tracks.sound is not None:
            self._origins[True] = round(first.dts * ticks[False] / ticks[True])
        self._muxer = PacketMuxer(container, self._steady, ticks, extradata)

    def length_s(self, placed: PlacedPacket) -> float:
        """What it is long when it ends before that picture, in seconds."""
        return float((placed.dts - self.first.dts) * self._ticks[False])

    @property
    def counts(self) -> OutputCounts:
        """Its pictures; for any thread."""
        counts = self._steady.counts
        return structs.replace(counts, given=self._given, lost=counts.lost + self._refused)

    @property
    def waits(self) -> bool:
        """Whether something of it could not be written yet."""
        return self._steady.waits

    def add(self, placed: PlacedPacket) -> None:
        """Add a packet, which comes behind all before; sound from long before the first picture is left out.

        Raises:
            SinkError: it can't be written; not where it is patient.
        """
        packet = placed.packet
        origin = self._origins.get(packet.sound)
        if origin is None or (placed.dts - origin) * self._ticks[packet.sound] < -_LONGEST_LEAD_S:
            return
        self._given += not packet.sound
        self.end_s = max(self.end_s, placed.at_s)
        try:
            self._muxer.add(
                packet.data,
                sound=packet.sound,
                dts=placed.dts - origin,
                pts=placed.pts - origin,
                duration=packet.duration,
                is_keyframe=packet.is_keyframe,
            )
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            if not self._refused:
                logger.warning("%s: a packet is left out: %s", self.path, error.strerror)
            self._refused += not packet.sound

    def finish(self) -> bool:
        """Complete it under its final name; returns whether that was possible. What was written of it stays anyway.

        Raises:
            SinkError: the disk is full, or another failure; not where it is patient.
        """
        try:
            self._close_muxer()
            self._steady.flush()
            self._steady.close()
            commit(self.partial, self.path)
        except SinkError as error:
            self.give_up()
            if not self._steady.patient:
                raise
            logger.warning("%s", error)
            return False
        return True

    def give_up(self) -> None:
        """Leave it under its partial name; what still waits to be written is lost."""
        for close in (self._close_muxer, self._steady.close):
            try:
                close()
            except SinkError as error:
                logger.debug("%s", error)  # it is told already
        keep_partial(self.partial, self.path)

    def _close_muxer(self) -> None:
        try:
            self._muxer.close()
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise write_error(self.path, error) from error
            logger.warning("%s: the end of it is left out: %s", self.path, error.strerror)
