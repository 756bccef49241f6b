"""A source file's sound, cut and shifted to go with a new picture track."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from pipeline.sources.timing.file_timeline import FileTimeline
from sinks.video.sound_clock import ClockPart, PictureClock, SoundClock
from sinks.video.sound_encoder import SampleRow

logger = logging.getLogger(__name__)

AudioPacket: TypeAlias = "Packet[av.AudioStream]"

# A picture track that ends this close to the end of the source's has not been cut short.
_WHOLE_WITHIN_S = 0.25
_LATEST_PICTURE_S = 10
# What MP4 holds and browsers play. Everything else is encoded to AAC.
_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
# Codecs whose packets have a checksum, by which damage is told.
_CHECKED = frozenset({"flac", "ac3", "eac3"})
_AAC_BITS_PER_CHANNEL = 96_000
_AAC_FRAME = 1024
# A longer silence is taken for a clock that was set.
_LONGEST_PAUSE_S = 3600.0
_MOST_READ_ERRORS = 100
# Made for a part of the audience: not what is played unless somebody asks for it.
_SPECIAL = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired | Disposition.descriptions


class SoundError(Exception):
    """The sound can't be read, encoded or written; the pictures are not to blame."""


class SourceAudio:
    """The sound track of a file that a player would play: the default one, or else the first that can be decoded.

    Time zero is the start of the file's pictures, as in the media time of frames; sound from before it is left out.
    Packets that can't be decoded are left out too, and the others stay where they belong.

    Args:
        path: the file.
        clock: what the file's pictures said of its clock; None finds their start in the file.

    Attributes:
        left_out: packets that can't be decoded, so far.

    Raises:
        av.FFmpegError: it can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str], clock: PictureClock | None = None) -> None:
        # Absolute, because FFmpeg takes what stands before a colon in a relative name for a protocol.
        self._path = str(Path(path).absolute())
        self._container: InputContainer = av.open(self._path, metadata_errors="replace")
        self._stream = _played(self._container.streams.audio)
        if self._stream is not None and self._stream.codec_context.codec.canonical_name in _CHECKED:
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._cut_end_s = 0.0
        self.left_out = 0
        if clock is not None and clock.parts:
            self._parts = clock.parts
            self._cut_end_s = 0.0 if clock.ended else float("inf")
        elif self._stream is not None:
            start_s, length_s = _picture_times(self._path)
            self._parts = [ClockPart(-float(start_s), float(start_s), float("inf"))]
            self._cut_end_s = float("inf") if length_s is None else float(length_s) - _WHOLE_WITHIN_S

    @property
    def present(self) -> bool:
        """Whether there is any sound."""
        return self._stream is not None

    @property
    def can_be_copied(self) -> bool:
        """Whether its packets may stay as they are."""
        return self._stream is not None and self._stream.codec_context.codec.canonical_name in _COPIED

    def add_to(self, output: OutputContainer, end_s: float, *, copy: bool) -> Iterator[AudioPacket]:
        """Add a track to ``output`` and return its packets from time zero on, in order, made while they are read.

        They stop at ``end_s``, where the pictures of ``output`` end, if the source's own pictures go on; otherwise
        the sound is as long as in the source. No track is added where there is no sound in that time.

        Args:
            copy: keep the packets, which ``can_be_copied`` allows; otherwise they are encoded to AAC.

        Raises:
            SoundError: also from the iterator.
        """
        stream = self._stream
        assert stream is not None
        make = self._copy_into if copy else self._encode_into
        return _guarded(make(stream, output, end_s if end_s < self._cut_end_s else None))

    def close(self) -> None:
        """Close the source."""
        self._container.close()

    def _copy_into(self, stream: av.AudioStream, output: OutputContainer, end_s: float | None) -> Iterator[AudioPacket]:
        packets = self._copied(stream, end_s)
        first = next(packets, None)
        if first is None:
            return
        track = output.add_stream_from_template(stream)
        for packet in itertools.chain([first], packets):
            packet.stream = track
            yield packet

    def _copied(self, stream: av.AudioStream, end_s: float | None) -> Iterator[AudioPacket]:
        last: int | None = None
        for packet, start_s in self._placed(stream):
            if self._decoded(stream, packet) is None:
                continue
            span_s = float((packet.duration or 0) * packet.time_base)
            if end_s is not None and start_s + span_s > end_s:
                return
            tick = round(start_s / packet.time_base)
            # One packet from before time zero stays: the decoder needs it to build up the first samples. What begins
            # before half of the last one is over lies over it, as where files were joined.
            if start_s + 2 * span_s <= 0 or (last is not None and tick < last + max(1, (packet.duration or 0) // 2)):
                continue
            packet.pts = packet.dts = last = tick
            yield packet

    def _encode_into(
        self, stream: av.AudioStream, output: OutputContainer, end_s: float | None
    ) -> Iterator[AudioPacket]:
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        rate = min(max(stream.codec_context.sample_rate, 8_000), 48_000)
        frames = self._samples(stream, SampleRow(rate, layout, end_s, _AAC_FRAME))
        first = next(frames, None)
        if first is None:
            return
        track = output.add_stream("aac", rate=rate, layout=layout)
        assert isinstance(track, av.AudioStream)
        track.bit_rate = _AAC_BITS_PER_CHANNEL * (1 if layout == "mono" else 2)
        for frame in itertools.chain([first], frames, [None]):
            yield from track.encode(frame)

    def _samples(self, stream: av.AudioStream, row: SampleRow) -> Iterator[av.AudioFrame]:
        placed: Iterator[tuple[AudioPacket | None, float]] = self._placed(stream)
        for packet, start_s in itertools.chain(placed, [(None, 0.0)]):
            if packet is not None:
                # The decoder passes it on, corrected by what it delays or leaves out.
                packet.pts = packet.dts = round(start_s / packet.time_base)
            for piece in self._decoded(stream, packet) or ():
                if piece.pts is not None and piece.time_base is not None:
                    start_s = float(piece.pts * piece.time_base)
                yield from row.add(piece, start_s)
        yield from row.end()

    def _decoded(self, stream: av.AudioStream, packet: AudioPacket | None) -> list[av.AudioFrame] | None:
        """What is in a packet, or (for None) still in the decoder; None where it is damaged, which is counted."""
        try:
            return stream.decode(packet)
        except av.FFmpegError as error:
            logger.debug("sound of %s: packet at %s: %s", self._path, packet and packet.pts, error)
            self.left_out += 1
            return None

    def _placed(self, stream: av.AudioStream) -> Iterator[tuple[AudioPacket, float]]:
        """The packets, each with the media time at which it begins."""
        assert stream.time_base is not None
        context = stream.codec_context
        frame_s = (context.frame_size or _AAC_FRAME) / context.sample_rate
        # The rule by which pictures get their time, too.
        timeline = FileTimeline(None, stream.time_base, frame_s, largest_gap_s=_LONGEST_PAUSE_S)
        clock = SoundClock(self._parts)
        offset_s: float | None = None
        for timed in timeline.place(self._packets(stream), lambda packet: (packet.pts, None)):
            was_set = offset_s not in (None, timed.offset_s)
            offset_s = timed.offset_s
            yield timed.item, clock.at(timed.pts_s - offset_s, was_set=was_set)

    def _packets(self, stream: av.AudioStream) -> Iterator[AudioPacket]:
        """Packets that hold data. Reading goes on behind damage."""
        errors = 0
        while errors <= _MOST_READ_ERRORS:
            try:
                for packet in self._container.demux(stream):
                    errors = 0
                    if packet.size:
                        yield packet
                return
            except av.FFmpegError as error:
                errors += 1
                logger.debug("sound of %s: reading: %s", self._path, error)


def _played(streams: tuple[av.AudioStream, ...]) -> av.AudioStream | None:
    """The track that a player would choose, of those that can be decoded."""
    usable = [stream for stream in streams if stream.codec_context is not None and stream.codec_context.sample_rate]
    return min(
        usable,
        key=lambda stream: (not stream.disposition & Disposition.default, bool(stream.disposition & _SPECIAL)),
        default=None,
    )


def _guarded(packets: Iterator[AudioPacket]) -> Iterator[AudioPacket]:
    try:
        yield from packets
    except (av.FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else str(error)
        raise SoundError(reason or type(error).__name__) from error


def _picture_times(path: str) -> tuple[Fraction, Fraction | None]:
    """When the pictures start, in the file's own time, and how long they last.

    They start when the file says so, if its first picture that can be decoded follows within ten seconds, or else with
    that picture. Sources have the same rule.

    Zero and None where there are none, or where the file does not say.
    """
    with av.open(path, metadata_errors="replace") as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            return Fraction(0), None
        length_s = None
        if stream.duration is not None and stream.time_base is not None:
            length_s = stream.duration * stream.time_base
        elif container.duration is not None:
            length_s = Fraction(container.duration, av.time_base)
        first = next((frame for frame in container.decode(stream)), None)
        if first is None or first.pts is None or first.time_base is None:
            return Fraction(0), length_s
        first_s = first.pts * first.time_base
        if stream.start_time is not None and stream.time_base is not None:
            stated_s = stream.start_time * stream.time_base
            if 0 <= first_s - stated_s <= _LATEST_PICTURE_S:
                return stated_s, length_s
        return first_s, length_s
