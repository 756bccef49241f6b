"""Pictures as JPEG, each once per stream and size for all who look, and only when one of them is ready for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import cv2

from pipeline.errors import PipelineError
from pipeline.types import Frame, Image, TrackedFrame
from sightline.server.live.hub import LiveHub
from sightline.server.live.messages import picture_message, tracks_json

# Few widths, so that browsers of nearly the same size share their pictures.
WIDTHS = (160, 240, 320, 400, 480, 640, 800, 960, 1280, 1600, 1920)
# Nobody needs more pictures a second; a file that runs faster than it plays would make hundreds.
_LEAST_INTERVAL_S = 1 / 30
_JPEG_QUALITY = 80

_FrameKey = tuple[int, float, float]


def tile_width(wanted: int) -> int:
    """The width in pixels at which a picture is encoded that is shown ``wanted`` pixels wide."""
    return next((width for width in WIDTHS if width >= wanted), WIDTHS[-1])


@dataclass(frozen=True, slots=True, eq=False)
class LivePicture:
    """An encoded picture with its frame.

    Attributes:
        number: counts the pictures of its tile from 1.
        tracked: the frame. Its picture is not held on to.
        tracks: what the header says of its tracks.
        jpeg: the picture.
        size: its ``(width, height)`` in pixels.
    """

    number: int
    tracked: TrackedFrame
    tracks: bytes
    jpeg: bytes
    size: tuple[int, int]

    def message(self) -> bytes:
        """What is sent of it now."""
        return picture_message(self.tracked, self.tracks, self.jpeg, self.size)


class Tile:
    """One stream at one width. It belongs to the event loop in which it is used.

    Attributes:
        viewers: how many look at it.
    """

    def __init__(self, hub: LiveHub, stream: str, width: int, threads: ThreadPoolExecutor) -> None:
        self.viewers = 0
        self._hub = hub
        self._stream = stream
        self._width = width
        self._threads = threads
        self._picture: LivePicture | None = None
        self._key: _FrameKey | None = None
        self._begun_s = float("-inf")
        self._next: asyncio.Task[LivePicture] | None = None

    async def after(self, number: int) -> LivePicture:
        """The newest picture once there is one later than ``number``; those who wait at once share it."""
        tracked, picture = self._hub.newest(self._stream), self._picture
        if picture is not None and picture.number > number and (tracked is None or not self._due(tracked)):
            return picture
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._encode_next())
        # One viewer that leaves takes nothing away from the others.
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """Nobody looks any more."""
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError):
                await self._next

    def _due(self, tracked: TrackedFrame) -> bool:
        """Whether it is time to encode a frame that was not encoded yet."""
        return _key(tracked.frame) != self._key and time.monotonic() - self._begun_s >= _LEAST_INTERVAL_S

    async def _encode_next(self) -> LivePicture:
        await asyncio.sleep(self._begun_s + _LEAST_INTERVAL_S - time.monotonic())
        tracked = await self._unseen()
        self._begun_s, self._key = time.monotonic(), _key(tracked.frame)
        loop = asyncio.get_running_loop()
        jpeg, size = await loop.run_in_executor(self._threads, encode, tracked.frame, self._width)
        self._picture = LivePicture(
            number=1 if self._picture is None else self._picture.number + 1,
            tracked=_without_picture(tracked),
            tracks=tracks_json(tracked, self._hub.class_names(self._stream)),
            jpeg=jpeg,
            size=size,
        )
        return self._picture

    async def _unseen(self) -> TrackedFrame:
        """The newest frame, once it is another than that of the last picture."""
        arrived = asyncio.Event()
        wake = _waker(asyncio.get_running_loop(), arrived)
        while True:
            # Asked for before looking, so that none comes unnoticed in between.
            self._hub.call_at_next(self._stream, wake)
            try:
                tracked = self._hub.newest(self._stream)
                if tracked is not None and _key(tracked.frame) != self._key:
                    return tracked
                await arrived.wait()
                arrived.clear()
            finally:
                self._hub.forget(self._stream, wake)


class Tiles:
    """All tiles that somebody looks at, and the thread that encodes them: one, so that looking never takes more."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._tiles: dict[tuple[str, int], Tile] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="live-pictures")

    def take(self, stream: str, width: int) -> Tile:
        """A tile to look at, to be given back with ``give_back``."""
        tile = self._tiles.get((stream, width))
        if tile is None:
            tile = self._tiles[stream, width] = Tile(self._hub, stream, width, self._threads)
        tile.viewers += 1
        return tile

    async def give_back(self, stream: str, width: int) -> None:
        """One viewer less; the last one's leaves nothing behind."""
        tile = self._tiles[stream, width]
        tile.viewers -= 1
        if not tile.viewers:
            del self._tiles[stream, width]
            await tile.close()


def encode(frame: Frame, width: int) -> tuple[bytes, tuple[int, int]]:
    """A frame's picture as JPEG, no wider than ``width`` pixels; with its ``(width, height)``."""
    picture = _smallest(frame, width)
    if picture.shape[1] > width:
        height = max(1, round(picture.shape[0] * width / picture.shape[1]))
        picture = cast(Image, cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise PipelineError(f"{frame.stream}: a picture of {picture.shape[1]}x{picture.shape[0]} could not be encoded")
    return cast(Any, data).tobytes(), (picture.shape[1], picture.shape[0])


def _smallest(frame: Frame, width: int) -> Image:
    """The picture as the detector has it, where that is large enough: converting the whole one costs more."""
    reduced = frame.reduced if width < frame.width else None
    return reduced if reduced is not None and reduced.shape[1] >= width else frame.image


def _key(frame: Frame) -> _FrameKey:
    return frame.index, frame.pts_s, frame.captured_s


def _without_picture(tracked: TrackedFrame) -> TrackedFrame:
    return TrackedFrame(tracked.frame.without_pictures(), None, tracked.tracks, tracked.ended, tracked.facts)


def _waker(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> Callable[[], None]:
    """What sets an event from another thread."""

    def wake() -> None:
        # The server may have ended since it was asked for; the run goes on.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.set)

    return wake
