"""A source file's sound, cut and shifted to go with a new picture track."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

logger = logging.getLogger(__name__)

AudioPacket: TypeAlias = "Packet[av.AudioStream]"

# A picture track that ends this close to the end of the source's has not been cut short.
_WHOLE_WITHIN_S = Fraction(1, 4)
_LATEST_PICTURE_S = 10
# What MP4 holds and browsers play. Everything else is encoded to AAC.
_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
_AAC_BITS_PER_CHANNEL = 96_000


class SourceAudio:
    """The first sound track of a file.

    Time zero is the start of the file's pictures, as in the media time of frames.

    Args:
        path: the file.

    Raises:
        av.FFmpegError: it can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Absolute, because FFmpeg takes what stands before a colon in a relative name for a protocol.
        self._path = str(Path(path).absolute())
        self._container: InputContainer = av.open(self._path, metadata_errors="replace")
        streams = self._container.streams.audio
        self._stream: av.AudioStream | None = next((stream for stream in streams if stream.codec_context.name), None)
        self._start_s, self._pictures_end_s = _picture_times(self._path)

    @property
    def present(self) -> bool:
        """Whether there is any sound."""
        return self._stream is not None

    def add_to(self, output: OutputContainer, end_s: float) -> Iterator[AudioPacket]:
        """Add a track to ``output`` and return its packets from time zero on, in order.

        They stop at ``end_s``, where the pictures of ``output`` end, if that is before the end of the source's own
        pictures; otherwise the sound is as long as in the source. The packets are made while they are read. Damage in
        the source ends them early with a warning.
        """
        stream = self._stream
        assert stream is not None
        copied = stream.codec_context.codec.canonical_name in _COPIED
        make = self._copy_into if copied else self._encode_into
        cut_short = self._pictures_end_s is None or end_s < self._pictures_end_s - _WHOLE_WITHIN_S
        return self._guarded(make(stream, output, Fraction(end_s) if cut_short else None))

    def close(self) -> None:
        """Close the source."""
        self._container.close()

    def _copy_into(
        self, stream: av.AudioStream, output: OutputContainer, end_s: Fraction | None
    ) -> Iterator[AudioPacket]:
        track = output.add_stream_from_template(stream)

        def packets() -> Iterator[AudioPacket]:
            for packet in self._container.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                shift = round(self._start_s / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                span = (packet.duration or 0) * packet.time_base
                start_s = packet.pts * packet.time_base
                if end_s is not None and start_s + span > end_s:
                    return
                # One packet from before time zero stays: the decoder needs it to build up the first samples.
                if start_s + 2 * span > 0:
                    packet.stream = track
                    yield packet

        return packets()

    def _encode_into(
        self, stream: av.AudioStream, output: OutputContainer, end_s: Fraction | None
    ) -> Iterator[AudioPacket]:
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        rate = min(max(stream.codec_context.sample_rate, 8_000), 48_000)
        track = output.add_stream("aac", rate=rate, layout=layout)
        assert isinstance(track, av.AudioStream)
        track.bit_rate = _AAC_BITS_PER_CHANNEL * (1 if layout == "mono" else 2)
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=1024)

        def frames() -> Iterator[av.AudioFrame]:
            for decoded in self._container.decode(stream):
                if decoded.pts is not None and decoded.time_base is not None:
                    decoded.pts -= round(self._start_s / decoded.time_base)
                yield from resampler.resample(decoded)
            yield from resampler.resample(None)

        def packets() -> Iterator[AudioPacket]:
            for frame in frames():
                start_s = (frame.pts or 0) * Fraction(1, rate)
                span = Fraction(frame.samples, rate)
                if end_s is not None and start_s + span > end_s:
                    break
                if start_s + span > 0:
                    yield from track.encode(frame)
            yield from track.encode(None)

        return packets()

    def _guarded(self, packets: Iterator[AudioPacket]) -> Iterator[AudioPacket]:
        try:
            yield from packets
        except av.FFmpegError as error:
            logger.warning("the sound of %s is damaged and ends early: %s", self._path, error.strerror)


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
