"""One MP4 file in the making: H.264 that survives a crash, and a plain MP4 at the end.

While it grows the file is fragmented and lies beside the target under a partial name (``demo.partial.mp4``): if the
program is killed, all but the last second can be played from there. ``finish`` copies it, with the sound, into a plain
MP4 whose index comes first, so that browsers start at once, and only then gives it the final name. That copy takes the
file's size again in free space for a moment.

Pictures become BT.601 limited-range yuv420p, tagged as such. OpenCV's conversion is used because it costs a third of
swscale's time (854x480: 0.9 ms against 2.6, measured together); BT.601 is the one it offers.
"""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from pipeline.hardware import CpuBudget
from pipeline.types import Image
from sinks.output_files import Claim, commit, keep_partial, partial_path, write_error
from sinks.steady_file import SteadyFile
from sinks.video.fragments import FragmentWriter
from sinks.video.remux import remux
from sinks.video.sound_clock import PictureClock

logger = logging.getLogger(__name__)

# A fragment is written out at least this often, in microseconds: what a killed run loses.
_FRAGMENT_US = 1_000_000
# Seconds between keyframes: how far a player may have to go back when it seeks.
_KEYFRAME_S = 2
# Frames between them where frames come at any times.
_MOST_BETWEEN_KEYFRAMES = 250
# Numbers of the H.264 standard (annex E). PyAV's enumeration of the matrices is swscale's, which differs.
_LIMITED_RANGE = 1
_BT601_MATRIX = 6
# Primaries and transfer curve pass through as they came; in nearly all video they are these.
_BT709 = 1


def finishing_path(path: str | os.PathLike[str]) -> Path:
    """Where the final file is made, before it takes its name: ``demo.partial.finishing.mp4``."""
    partial = partial_path(path)
    return partial.with_name(f"{partial.stem}.finishing.mp4") if partial.name else partial


class Mp4Writer:
    """Encodes pictures of one size at whole ticks.

    Args:
        path: the final name.
        width, height: of the pictures, in pixels; odd ones lose their last column or row, because 4:2:0 has none.
        fps: frames per second, as a rule.
        ticks_per_frame: a tick is this part of ``1 / fps`` seconds.
        preset, crf: of libx264; see ``Mp4Sink``.
        threads: of libx264; None takes what ``pipeline.hardware`` gives it.
        patient: wait out what keeps the partial file from being written: see ``sinks.steady_file``.
        mount: where a disk must be mounted for that; None for where one is now.
        claim: of ``path``, which whoever made it releases; None where something else keeps others from writing it.

    Raises:
        SinkError: the partial file can't be made, or the size or settings can't be encoded.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: Fraction,
        preset: str,
        crf: float,
        threads: int | None,
        patient: bool = False,
        mount: Path | None = None,
        ticks_per_frame: int = 1,
        claim: Claim | None = None,
    ) -> None:
        self.path = Path(path)
        self.partial = partial_path(path)
        self._steady: SteadyFile | None = None
        if patient:
            self._steady = SteadyFile(
                self.partial, lambda error: write_error(path, error), patient=True, mount=mount, claim=claim
            )
        self.fps = fps
        self.width, self.height = width & ~1, height & ~1
        if min(self.width, self.height) < 2:
            raise SinkError(f"cannot write {self.path}: pictures of {width}x{height} are too small for H.264")
        self.source_shape = (height, width)
        self._yuv = np.empty((self.height * 3 // 2, self.width), np.uint8)
        # One for all pictures: the encoder copies what it is given.
        self._picture = av.VideoFrame(self.width, self.height, "yuv420p")
        self._tick_s = 1 / (fps * ticks_per_frame)
        self._ticks = self._pictures = 0
        self._broken = self._completed = False
        # For how long each picture in the encoder is on screen.
        self._spans: dict[int, int] = {}
        self._keyframe_due = Fraction(0)
        try:
            self._container = av.open(
                str(self.partial) if self._steady is None else FragmentWriter(self._steady),
                "w",
                format="mp4",
                options={
                    "movflags": "frag_keyframe+empty_moov+default_base_moof",
                    "frag_duration": str(_FRAGMENT_US),
                    "flush_packets": "1",
                },
            )
            self._stream = self._container.add_stream(
                "libx264",
                rate=fps,
                # Without B-frames superfast costs a tenth less, and pictures reach the file at once.
                options={"preset": preset, "crf": str(crf), "bf": "0"},
            )
        except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
            raise _failure(self.path, error) from error
        self._configure(threads or CpuBudget.of_this_machine().encode(width, height))

    def _configure(self, threads: int) -> None:
        stream, codec = self._stream, self._stream.codec_context
        stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
        codec.time_base = self._tick_s
        codec.gop_size = (
            max(1, round(_KEYFRAME_S * self.fps)) if self._tick_s == 1 / self.fps else _MOST_BETWEEN_KEYFRAMES
        )
        codec.thread_count = threads
        codec.color_range, codec.colorspace = _LIMITED_RANGE, _BT601_MATRIX
        codec.color_primaries = codec.color_trc = _BT709

    @property
    def counts(self) -> OutputCounts:
        """Pictures so far; for any thread."""
        if self._steady is not None:
            return self._steady.counts
        return OutputCounts(given=self._pictures, written=self._pictures)

    @property
    def duration_s(self) -> float:
        """What has been written, in seconds."""
        return float(self._ticks * self._tick_s)

    def write(self, image: Image, ticks: range) -> None:
        """Show ``image`` at ``ticks``, later than all those before. It stays on screen until the next picture.

        Args:
            image: uint8 ``(height, width, 3)``, BGR.
            ticks: at each of them a picture is encoded; at their ``stop`` the last one goes off the screen.

        Raises:
            SinkError: the disk is full, or another failure; nothing more can be written.
        """
        cv2.cvtColor(image[: self.height, : self.width], cv2.COLOR_BGR2YUV_I420, dst=self._yuv)
        picture = self._picture
        _fill(picture, self._yuv)
        picture.time_base = self._tick_s
        for tick, following in pairwise([*ticks, ticks.stop]):
            picture.pts = tick
            # The encoder counts frames up to the next keyframe, which is too seldom where they are far apart.
            due = tick >= self._keyframe_due
            picture.pict_type = PictureType.I if due else PictureType.NONE
            if due:
                self._keyframe_due = tick + _KEYFRAME_S / self._tick_s
            self._spans[tick] = following - tick
            self._encode(picture)
            self._pictures += 1
        self._ticks = ticks.stop

    def finish(self, audio_from: str | os.PathLike[str] | None = None, clock: PictureClock | None = None) -> None:
        """Make the final file of what was written, with the sound of ``audio_from``: see ``sinks.video.remux``.

        Raises:
            SinkError: the disk is full, or another failure. The partial file is kept, and the message names it. It may
                be tried again.
        """
        self._complete()
        finished = finishing_path(self.path)
        try:
            remux(self.partial, finished, audio_from, clock, self.duration_s)
            commit(finished, self.path)
        except (av.FFmpegError, OSError) as error:
            failure = error if isinstance(error, SinkError) else _failure(self.path, error)
            raise SinkError(f"{failure}; the pictures are kept in {self.partial}") from error
        finally:
            finished.unlink(missing_ok=True)
        self.partial.unlink()

    def keep(self) -> None:
        """After an error elsewhere: complete the partial file and leave it under its name, which is logged.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        if not self._broken:
            self._complete()
            keep_partial(self.partial, self.path)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                span = self._spans.pop(packet.pts or 0, 1)
                packet.duration = round(span * self._tick_s / packet.time_base)
                self._container.mux(packet)
        except av.FFmpegError as error:
            self._abandon()
            raise _failure(self.path, error) from error

    @property
    def waits(self) -> bool:
        """Whether something of it could not be written yet."""
        return self._steady is not None and self._steady.waits

    def give_up(self) -> None:
        """Wait no longer: what could not be written is lost, the rest stays under the partial name."""
        if self._steady is not None:
            try:
                self._steady.close()
            except SinkError as error:
                logger.debug("%s", error)  # it has been told when it began
            keep_partial(self.partial, self.path)

    def _complete(self) -> None:
        if not self._completed:
            self._encode(None)
            try:
                self._container.close()
            except av.FFmpegError as error:
                self._abandon()
                raise _failure(self.path, error) from error
            self._completed = True
        if self._steady is not None:
            self._steady.flush()
            self._steady.close()

    def _abandon(self) -> None:
        """After a failed write: leave what can be played under the partial name."""
        self._broken = True
        # The write that failed is what the caller hears of; what fails now is its consequence.
        try:
            self._container.close()
            if self._steady is not None:
                self._steady.close()
        except (av.FFmpegError, SinkError) as error:
            logger.debug("closing %s after a failed write: %s", self.partial, error)
        try:
            _cut_to_whole_fragments(self.partial)
        except OSError as error:
            logger.debug("trimming %s after a failed write: %s", self.partial, error)
        keep_partial(self.partial, self.path)


def _fill(picture: av.VideoFrame, yuv: NDArray[np.uint8]) -> None:
    """Copy what OpenCV calls I420, uint8 ``(height * 3 / 2, width)``, into the three planes of a picture."""
    values = yuv.reshape(-1)
    for plane in picture.planes:
        rows = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(plane.height, plane.line_size)
        count = plane.height * plane.width
        rows[:, : plane.width] = values[:count].reshape(plane.height, plane.width)
        values = values[count:]


def _cut_to_whole_fragments(path: Path) -> None:
    """Remove a last fragment that was not written to its end: players stumble over it."""
    size = path.stat().st_size
    whole = position = 0
    with path.open("r+b") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8 or position + length > size:
                break
            position += length
            # A fragment is a "moof" box with its index and the "mdat" box that it speaks of.
            if header[4:8] != b"moof":
                whole = position
        file.truncate(whole)


def _failure(path: Path, error: Exception) -> SinkError:
    if isinstance(error, OSError):
        return write_error(path, error)
    return SinkError(f"cannot write {path}: the H.264 encoder says {str(error).splitlines()[0]}")
