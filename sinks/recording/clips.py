"""Clips: a few seconds of a stream as a file of their own, as the camera sent them, or with parts of them hidden."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.errors import SinkError
from pipeline.sources.decoding.conversion import PictureConverter
from pipeline.sources.decoding.display import DisplayReader
from pipeline.types import Image
from sinks.output_files import write_error
from sinks.recording.muxer import PacketMuxer, choose_container
from sinks.recording.packet_clock import PlacedPacket
from sinks.recording.parameter_sets import PictureForms
from sinks.recording.ring import ClipPackets

logger = logging.getLogger(__name__)

MEDIA_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".mov": "video/quicktime"}
_TICK_S = Fraction(1, 90_000)
# As for the video of a run: see docs/video.md.
_PRESET, _CRF = "superfast", "23"

Hide = Callable[[float, Image], Image | None]
"""Given a media time in seconds and a picture, uint8 BGR, the same with parts hidden; None where nobody knows which."""


class Clip:
    """A clip that can be written.

    Args:
        name: of the stream, for the log.
        part: its packets.

    Raises:
        SinkError: no container holds them.

    Attributes:
        suffix: what a file of it ends in.
        from_pts_s, to_pts_s: media times at which its first picture begins and its last one ends.
    """

    def __init__(self, name: str, part: ClipPackets) -> None:
        self._name = name
        self._packets, video = _of_one_form(part)
        self._part = part
        self.from_pts_s, self.to_pts_s = part.from_pts_s, part.to_pts_s
        self._container = choose_container(name, replace(part.tracks, video=video))
        self.suffix = self._container.suffix

    def write(self, path: Path) -> None:
        """Write it as it came.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        try:
            self._mux(str(path))
        except av.FFmpegError as error:
            raise _failure(path, error) from error

    def write_masked(self, path: Path, hide: Hide) -> None:
        """Write it with parts of its pictures hidden, encoded anew as MP4; its sound stays, where MP4 holds it.

        Args:
            path: the file.
            hide: hides them; a picture of which it does not know what to hide is left out.

        Raises:
            SinkError: the disk is full, no picture can be shown, or another failure.
        """
        whole = io.BytesIO()
        try:
            self._mux(whole)
            whole.seek(0)
            with av.open(whole, "r") as given, av.open(str(path), "w", format="mp4", options=_FASTSTART) as output:
                shown = self._encode(given, output, hide)
        except av.FFmpegError as error:
            raise _failure(path, error) from error
        if not shown:
            raise SinkError(f"cannot write {path}: nobody knows what to hide in its pictures")

    def _mux(self, target: str | io.BytesIO) -> None:
        muxer = PacketMuxer(self._container, target, self._part.ticks)
        try:
            ticks, first = self._part.ticks, self._packets[0]
            origins = {sound: round(first.dts * ticks[False] / ticks[sound]) for sound in ticks}
            for placed in self._packets:
                origin, packet = origins[placed.packet.sound], placed.packet
                if placed.dts < origin or (packet.sound and self._container.tracks.sound is None):
                    continue
                muxer.add(
                    packet.data,
                    sound=packet.sound,
                    dts=placed.dts - origin,
                    pts=placed.pts - origin,
                    duration=packet.duration,
                    is_keyframe=packet.is_keyframe,
                )
        finally:
            muxer.close()

    def _encode(self, given: av.container.InputContainer, output: av.container.OutputContainer, hide: Hide) -> int:
        """Returns how many pictures are shown."""
        tracks, shown, first_s = self._part.tracks, 0, 0.0
        converter = PictureConverter(displays=DisplayReader(self._name, tracks.crop, opaque=tracks.opaque))
        video = given.streams.video[0]
        stream: Any = None
        sound: dict[int, Any] = {}
        for audio in given.streams.audio:
            if _fits_mp4(audio):
                sound[audio.index] = output.add_stream_from_template(audio, opaque=True)
        # The header names all streams, so the pictures' comes before any sound is written.
        waiting = []
        for packet in (*given.demux(), None):
            if packet is not None and (not packet.size or packet.stream_index != video.index):
                if packet.size and packet.stream_index in sound:
                    packet.stream = sound[packet.stream_index]
                    waiting.append(packet)
                continue
            for frame in video.decode(packet):
                time_s = float((frame.pts or 0) * (video.time_base or 0))
                first_s = first_s if shown or stream is not None else time_s
                picture = converter.frame(frame, 0, 0.0, 0.0, self._name, pixel_aspect=tracks.pixel_aspect).image
                hidden = hide(self._part.from_pts_s + time_s - first_s, picture)
                if stream is None:
                    stream = _add_video(output, picture, tracks.frame_s)
                if hidden is not None:
                    output.mux(stream.encode(_picture(hidden, time_s - first_s)))
                    shown += 1
        if stream is not None:
            output.mux(stream.encode(None))
            output.mux(waiting)
        return shown


_FASTSTART = {"movflags": "faststart"}


def _of_one_form(part: ClipPackets) -> tuple[list[PlacedPacket], av.VideoStream]:
    """The packets up to where the pictures take another form, and a stream that describes it."""
    forms = PictureForms(part.tracks)
    forms.changes(part.packets[0].packet)
    video = forms.video
    for number, placed in enumerate(part.packets[1:], start=1):
        if placed.packet.is_keyframe and not placed.packet.sound and forms.changes(placed.packet):
            return part.packets[:number], video
    return part.packets, video


def _fits_mp4(stream: av.AudioStream) -> bool:
    with av.open(io.BytesIO(), "w", format="mp4", options={"movflags": "empty_moov"}) as trial:
        try:
            trial.add_stream_from_template(stream, opaque=True)
        except ValueError:
            return False
    return True


def _add_video(output: av.container.OutputContainer, picture: Image, frame_s: float | None) -> Any:
    rate = Fraction(1 / frame_s).limit_denominator(1001) if frame_s else Fraction(25)
    stream = output.add_stream("libx264", rate=rate, options={"preset": _PRESET, "crf": _CRF, "bf": "0"})
    stream.height, stream.width = picture.shape[0] & ~1, picture.shape[1] & ~1
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = _TICK_S
    stream.codec_context.thread_count = 1
    return stream


def _picture(image: Image, time_s: float) -> av.VideoFrame:
    even = image[: image.shape[0] & ~1, : image.shape[1] & ~1]
    frame = av.VideoFrame.from_ndarray(even, format="bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = round(time_s / _TICK_S), _TICK_S
    return frame


def _failure(path: Path, error: av.FFmpegError) -> SinkError:
    if isinstance(error, OSError):
        return write_error(path, error)
    return SinkError(f"cannot write {path}: {(error.strerror or type(error).__name__).lower()}")
