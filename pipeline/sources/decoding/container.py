"""What all sources that PyAV reads have in common: a container, its video stream, frames with times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import av

from pipeline.errors import SourceError
from pipeline.images.limits import MAX_PIXELS, too_large
from pipeline.interfaces import Source
from pipeline.sources.decoding.conversion import PictureConverter
from pipeline.sources.decoding.crop import crop_of
from pipeline.sources.decoding.decoder import PacketDecoder, is_broadcast
from pipeline.sources.decoding.display import DisplayReader
from pipeline.sources.decoding.tap import PacketTap, TapConnection
from pipeline.sources.decoding.video_stream import (
    choose_stream,
    frame_rate,
    has_end,
    is_opaque,
    refuse_absurd_size,
    source_info,
)
from pipeline.sources.timing.file_timeline import FileTimeline, Timed
from pipeline.sources.timing.last_picture import last_duration_s
from pipeline.sources.timing.live_time import LiveTime
from pipeline.sources.timing.played import Played
from pipeline.sources.timing.stamp_path import Stamps
from pipeline.sources.timing.timeline import FALLBACK_FRAME_S
from pipeline.types import Frame, SourceInfo

logger = logging.getLogger(__name__)

# Packets that may fail before the first picture: ten seconds or more of any camera.
_PACKETS_BEFORE_FIRST_FRAME = 600
# Broadcast formats restart their clock where recordings were joined; FFmpeg's own tools draw the line here too.
_LARGEST_BROADCAST_GAP_S = 10.0
_LARGEST_GAP_S = 3600.0
# Motion JPEG as cameras send it over HTTP. FFmpeg makes up 25 frames per second; the time of arrival is the truth.
_WITHOUT_TIMESTAMPS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe"})

# A picture, and the width of its pixels divided by their height.
Decoded: TypeAlias = tuple[av.VideoFrame, Fraction | None]

OPEN_OPTIONS = {
    "max_pixels": str(MAX_PIXELS),
    "max_streams": "64",
    "probesize": "5000000",
    "analyzeduration": "5000000",
}


class ContainerSource(Source):
    """A ``Source`` over an open PyAV container. Subclasses open it and say what its errors mean.

    The constructor decodes the first frame, so that a source that opened is known to have pictures; it closes the
    container when that fails.

    Args:
        container: open for reading; this object closes it.
        stream: the stream's name.
        uri: the address without credentials, for ``info`` and messages.
        threads: decoding threads; 0 takes what ``pipeline.hardware`` gives them.
        live: a camera, which does not wait; None decides by whether the container knows an end. What then is live may
            come in bursts, and is handed out at the pace of its timestamps.
        network: read errors are raised as ``SourceError``, and so is the end of a live stream.
        reduce_to: longer side, in pixels, of ``Frame.reduced``; None leaves it out.
        tap: gets the packets as they come; None where nobody wants them.

    Raises:
        SourceError: no video stream, no picture that can be decoded, or one of an absurd size.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        *,
        stream: str,
        uri: str,
        threads: int = 0,
        live: bool | None = False,
        network: bool = False,
        reduce_to: int | None = None,
        tap: PacketTap | None = None,
    ) -> None:
        if threads < 0:
            raise ValueError(f"threads: expected 0 (automatic) or more, got {threads}")
        self._stream_name = stream
        self._uri = uri
        self._container = container
        self._closed = False
        self._index = 0
        self._repeats = False
        self._clock_was_set = False
        self._tapped: TapConnection | None = None
        try:
            unknown = live is None
            live = not has_end(container) if live is None else live
            self._by_arrival = live and container.format.name in _WITHOUT_TIMESTAMPS
            self._video = choose_stream(container, uri)
            displays = DisplayReader(stream, crop_of(container, self._video), opaque=is_opaque(container, self._video))
            self._converter = PictureConverter(reduce_to, displays)
            fps = None if self._by_arrival else frame_rate(self._video)
            self._make_decoder = partial(
                PacketDecoder,
                name=stream,
                threads=threads,
                live=live,
                frame_s=float(1 / fps) if fps else None,
                network=network,
            )
            self._connect_tap: Callable[..., TapConnection] | None = None
            if tap is not None:
                nominal_s = float(1 / fps) if fps else None
                self._connect_tap = partial(tap.connect, frame_s=nominal_s, live=live, by_arrival=self._by_arrival)
            self._tapped = None if self._connect_tap is None else self._connect_tap(container, self._video)
            self._decoder = self._make_decoder(container, self._video, tap=self._tapped)
            self._decoded = self._decoder.frames()
            # What is not known to come as a camera sends it may come in bursts, and again from its beginning.
            bursts = unknown and live and not self._by_arrival
            self._played = Played(live=bursts)
            self._first: av.VideoFrame | None = self._first_frame()
            size = self._converter.displayed_size(self._first, self._decoder.pixel_aspect)
            self._info = source_info(container, self._video, size, fps, live=live, uri=uri)
            self._first_came_s = time.monotonic()
            self._frame_s = float(1 / fps) if fps else FALLBACK_FRAME_S
            self._resumed: Played | None = None
            self._live_time = LiveTime(stream, self._frame_s, bursts=bursts) if live else None
            self._timeline = FileTimeline(
                stream,
                self._video.time_base or Fraction(1, 90_000),
                float(1 / fps) if fps else None,
                start=self._decoder.start_tick,
                largest_gap_s=_LARGEST_BROADCAST_GAP_S if is_broadcast(container) else _LARGEST_GAP_S,
            )
        except BaseException:
            self._close_tap()
            container.close()
            raise
        self._frames = self._read()

    @property
    def played(self) -> Played:
        """What this connection, and those before it, have handed out."""
        return self._played

    def resume(self, played: Played) -> None:
        """Go on behind what another connection to the same place has handed out; to be called before iterating.

        A camera shows what is now; of it nothing comes again.
        """
        if self._info.live and not self._played.live:
            return
        if played.live and not self._played.live:
            # The list has ended meanwhile; what is left of it is as live as before.
            self._live_time = LiveTime(self._stream_name, self._frame_s, bursts=True)
        self._resumed = self._played = played

    def request_stop(self) -> None:
        """Wait no longer before frames are handed out. For any thread."""
        if self._live_time is not None:
            self._live_time.request_stop()

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._stream_name

    @property
    def info(self) -> SourceInfo:
        """What the source said of itself when it opened."""
        return self._info

    @property
    def clock_steps(self) -> int:
        """How often a live stream's timestamps had lost touch with the arrival of its pictures so far."""
        return 0 if self._live_time is None else self._live_time.clock_steps

    @property
    def failed(self) -> Mapping[str, int]:
        """Frames that were there but could not be decoded, by reason."""
        return MappingProxyType(self._decoder.failed)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, each once: a second loop goes on where the first one left off.

        Raises:
            SourceError: the source is closed, or a live one broke off.
        """
        if self._closed:
            raise SourceError(f"{self._uri}: closed; open it again to read it")
        return self._frames

    def close(self) -> None:
        """Give back the decoder and the file or connection."""
        if not self._closed:
            self._closed = True
            self._frames.close()
            self._decoded.close()
            self._decoder.close()
            self._first = None
            self._close_tap()
            self._container.close()
            del self._video

    def _close_tap(self) -> None:
        if self._tapped is not None:
            self._tapped.close()

    def _following(self) -> av.container.InputContainer | None:
        """Open the part of the source that begins where the one before it ended; None where there is none."""
        return None

    def _at_end(self) -> None:
        """Called once when the container has been read to its end."""

    def _is_over(self, error: av.FFmpegError) -> bool:
        """Whether an error in reading is the end after all."""
        return False

    def _broken_off(self, error: av.FFmpegError) -> SourceError:
        return SourceError(f"{self._uri}: the stream broke off ({describe(error)}); check the source and the network")

    def _read(self) -> Generator[Frame, None, None]:
        problems: list[SourceError] = []
        decoded = self._decoded_until_broken(problems)
        if self._live_time is None:
            yield from self._timed_pictures(self._timeline.place(decoded, _stamps))
        else:
            yield from self._live_pictures(decoded, self._live_time)
        if problems:
            # Raised here, so that FFmpeg's error, which may hold an address with a password, does not come along.
            raise problems.pop()
        self._at_end()

    def _decoded_until_broken(self, problems: list[SourceError]) -> Iterator[Decoded]:
        """All pictures, each with its pixels' shape; an error of the network ends them and is left in ``problems``."""
        if self._first is not None:
            first, self._first = self._first, None
            yield first, self._decoder.pixel_aspect
        try:
            more = True
            while more:
                for picture in self._decoded:
                    yield picture, self._decoder.pixel_aspect
                more = self._go_on()
        except av.FFmpegError as error:
            if not self._is_over(error):
                problems.append(self._broken_off(error))

    def _go_on(self) -> bool:
        """Take up the next part of the source; False at its end, or where that part has no pictures."""
        is_growing = self._decoder.is_growing
        try:
            container = self._following()
            if container is None:
                return False
            self._decoded.close()
            self._decoder.close()
            self._close_tap()
            self._container.close()
            self._container = container
            self._video = choose_stream(container, self._uri)
        except SourceError as error:
            self._decoder.count_failed(1, f"can't go on where the stream changes: {error}")
            return False
        if self._connect_tap is not None:
            self._tapped = self._connect_tap(container, self._video, part=True)
        failed, self._decoder = self._decoder.failed, self._make_decoder(container, self._video, tap=self._tapped)
        self._decoder.failed, self._decoder.is_growing = failed, is_growing
        self._decoded = self._decoder.frames()
        logger.info("%s: goes on with %s", self._stream_name, self._video.codec_context.name)
        return True

    def _live_pictures(self, decoded: Iterator[Decoded], live_time: LiveTime) -> Iterator[Frame]:
        """The frames, each when it is due, without those that were played already."""
        asked_s = self._first_came_s
        for number, (picture, pixel_aspect) in enumerate(decoded):
            came_s = time.monotonic() if number else self._first_came_s
            if self._resumed is not None and self._resumed.holds(picture, ended=not self._info.live):
                self._repeats = True
            else:
                tick = None if self._by_arrival else picture.pts
                stamp_s = None if tick is None else float(tick * (self._video.time_base or 0))
                yield from self._pictures(picture, pixel_aspect, live_time.next(stamp_s, asked_s, came_s))
            asked_s = time.monotonic()

    def _timed_pictures(self, frames: Iterator[Timed[Decoded]]) -> Iterator[Frame]:
        offset_s: float | None = None
        for timed in frames:
            self._clock_was_set = self._clock_was_set or offset_s not in (None, timed.offset_s)
            offset_s = timed.offset_s
            is_last = timed.duration_s is None
            duration_s = self._last_duration_s(timed) if timed.duration_s is None else timed.duration_s
            for frame in self._pictures(*timed.item, timed.pts_s):
                yield frame.timed(duration_s, offset_s, is_last=is_last)

    def _last_duration_s(self, last: Timed[Decoded]) -> float:
        """For how long the last picture is on screen, in seconds."""
        return last_duration_s(last.item[0], last.pts_s, self._info)

    def _pictures(self, decoded: av.VideoFrame, pixel_aspect: Fraction | None, pts_s: float) -> Iterator[Frame]:
        """The frame; nothing where it was played already, or can't be converted, which is counted."""
        if too_large(decoded.width, decoded.height):
            self._decoder.count_failed(1, f"a frame of {decoded.width}x{decoded.height} px is refused; going on")
            return
        now_s = time.monotonic()
        try:
            frame = self._converter.frame(
                decoded, self._index, pts_s, now_s, self._stream_name, pixel_aspect=pixel_aspect
            )
        except (av.FFmpegError, ValueError) as error:
            self._decoder.count_failed(1, f"can't convert pixel format {decoded.format.name} ({error}); going on")
            return
        if self._tapped is not None:
            self._tapped.decoded(decoded.pts, now_s)
        self._index += 1
        if not self._played.live and self._index <= self._played.count:
            return
        self._played.add(decoded)
        yield frame

    def _first_frame(self) -> av.VideoFrame:
        self._decoder.give_up_after = _PACKETS_BEFORE_FIRST_FRAME
        problems: list[SourceError] = []
        try:
            frame = next(self._decoded, None)
        except av.FFmpegError as error:
            problems.append(self._broken_off(error))
        if problems:
            raise problems.pop()
        self._decoder.give_up_after = None
        if frame is None:
            raise SourceError(
                f"{self._uri}: no picture in it can be decoded ({self._decoder.packets} packets read); "
                "it is damaged, encrypted or empty: check that it plays in a video player"
            )
        refuse_absurd_size(frame.width, frame.height, self._uri)
        return frame


def _stamps(decoded: Decoded) -> Stamps:
    return decoded[0].pts, decoded[0].dts


def describe(error: av.FFmpegError) -> str:
    """FFmpeg's own words for an error, without the address, which may hold a password."""
    if isinstance(error, av.ExitError):
        return "no data within the time limit"
    return (error.strerror or type(error).__name__).strip().rstrip(".").lower()
