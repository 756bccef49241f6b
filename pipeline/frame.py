"""A decoded picture with its time, and what is known of the source that it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source when it opens.

    Attributes:
        width, height: pixels as displayed (after rotation); 0 for a camera that has not been reached yet.
        fps: nominal frames per second, or None where the source does not say.
        frame_count: frames the container promises, or None; a hint for progress bars, never relied on.
        live: True for cameras and live streams, which can't wait for a slow reader.
        duration_s: seconds the container promises, or None; a hint likewise.
        uri: where the frames come from, with any credentials removed.
    """

    width: int
    height: int
    fps: Fraction | None = None
    frame_count: int | None = None
    live: bool = False
    duration_s: float | None = None
    uri: str = ""


@runtime_checkable
class ClockedSource(Protocol):
    """A live source whose timestamps are checked against the arrival of its pictures."""

    @property
    def clock_steps(self) -> int:
        """How often they had lost touch with it so far."""
        ...


class Frame:
    """One decoded picture. Nothing in it changes once it is made.

    Attributes:
        image: uint8 ``(height, width, 3)``, BGR; a source may leave it to be made when it is first asked for.
        height, width: of ``image`` in pixels; asking for them converts nothing.
        reduced: the same picture, uint8 BGR, scaled to the size that the source was asked for, so that a detector need
            not look at all of ``image``; None where the source was not asked. It, too, may be made when asked for.
        index: position in the stream, from 0, counting every frame decoded.
        pts_s: media time in seconds from the stream's start; strictly increasing within a stream.
        captured_s: ``time.monotonic()`` when the frame was received or decoded.
        stream: name of the stream it belongs to.
        duration_s: for how long it is on screen, in seconds: until the next one, and for a file's last picture as long
            as the file says. None where nobody can tell yet, as with cameras.
        clock_offset_s: media time minus the file's own clock, by which its sound comes; it changes where that clock
            was set anew. None where there is no such clock.
        is_last: whether it is known that no other follows it.
        alter: what made its pictures of others, see ``altered``; None where they are as they came.

    Args:
        image: the picture, or what makes it.
        reduced: the scaled picture, what makes it, or None.
        size: ``(height, width)`` of the picture, where ``image`` is what makes it.
        source_bytes: what is held in memory to make pictures from, in bytes.

    Raises:
        ValueError: a picture of another shape or type.
    """

    __slots__ = (
        "__weakref__",
        "_image",
        "_reduced",
        "_source_bytes",
        "alter",
        "captured_s",
        "clock_offset_s",
        "duration_s",
        "height",
        "index",
        "is_last",
        "pts_s",
        "stream",
        "width",
    )

    def __init__(
        self,
        image: Image | Callable[[], Image],
        index: int,
        pts_s: float,
        captured_s: float,
        stream: str,
        *,
        reduced: Image | Callable[[], Image] | None = None,
        size: tuple[int, int] | None = None,
        source_bytes: int = 0,
        duration_s: float | None = None,
        clock_offset_s: float | None = None,
        is_last: bool = False,
    ) -> None:
        for name, picture in (("image", image), ("reduced", reduced)):
            if isinstance(picture, np.ndarray):
                _check_picture(name, picture)
        if not callable(image):
            size = (int(image.shape[0]), int(image.shape[1]))
        if size is None:
            raise ValueError("Frame.size: expected (height, width) with an image that is made later")
        self.alter: Callable[[Image], Image] | None = None
        self._image = image
        self.height, self.width = size
        self.index = index
        self.pts_s = pts_s
        self.captured_s = captured_s
        self.stream = stream
        self.duration_s = duration_s
        self.clock_offset_s = clock_offset_s
        self.is_last = is_last
        self._reduced = reduced
        self._source_bytes = source_bytes

    @property
    def image(self) -> Image:
        """uint8 ``(height, width, 3)``, BGR. For any thread."""
        image = self._image
        if callable(image):
            # Two threads that ask at once may both make it: the same picture either way.
            image = self._image = image()
            _check_picture("image", image)
        return image

    @property
    def reduced(self) -> Image | None:
        """uint8 ``(height, width, 3)``, BGR, or None. For any thread."""
        reduced = self._reduced
        if callable(reduced):
            reduced = self._reduced = reduced()
            _check_picture("reduced", reduced)
        return reduced

    @property
    def picture_bytes(self) -> int:
        """What its pictures take in memory now: those that are made, and what others are to be made from."""
        image, reduced = self._image, self._reduced
        made = (0 if callable(image) else image.nbytes) + (
            0 if reduced is None or callable(reduced) else reduced.nbytes
        )
        return made + self._source_bytes if callable(image) or callable(reduced) else made

    def placed(self, *, index: int | None = None, pts_s: float | None = None, stream: str | None = None) -> Frame:
        """The same picture at another place or time, or in another stream. At another time, nothing else of its
        source's clock is kept."""
        clock: dict[str, Any] = {} if pts_s is not None else self._clock
        return Frame(
            self._image,
            self.index if index is None else index,
            self.pts_s if pts_s is None else pts_s,
            self.captured_s,
            self.stream if stream is None else stream,
            reduced=self._reduced,
            size=(self.height, self.width),
            source_bytes=self._source_bytes,
            **clock,
        )

    def timed(self, duration_s: float, clock_offset_s: float, *, is_last: bool) -> Frame:
        """The same frame, with what its source's clock says of it: see the attributes."""
        return Frame(
            self._image,
            self.index,
            self.pts_s,
            self.captured_s,
            self.stream,
            reduced=self._reduced,
            size=(self.height, self.width),
            source_bytes=self._source_bytes,
            duration_s=duration_s,
            clock_offset_s=clock_offset_s,
            is_last=is_last,
        )

    def altered(self, alter: Callable[[Image], Image]) -> Frame:
        """The same frame with other pictures of the same size: what ``alter`` makes of each when it is asked for.

        Args:
            alter: given a picture, which it leaves as it is, returns another; for any thread.
        """

        def image() -> Image:
            return alter(self.image)

        def reduced() -> Image:
            smaller = self.reduced
            assert smaller is not None
            return alter(smaller)

        frame = Frame(
            image,
            self.index,
            self.pts_s,
            self.captured_s,
            self.stream,
            reduced=None if self._reduced is None else reduced,
            size=(self.height, self.width),
            source_bytes=self.picture_bytes,
            **self._clock,
        )
        frame.alter = alter
        return frame

    def without_pictures(self) -> Frame:
        """The same frame for who needs its place and time only: it holds on to no picture, and has none to give."""
        return Frame(
            _no_picture,
            self.index,
            self.pts_s,
            self.captured_s,
            self.stream,
            size=(self.height, self.width),
            **self._clock,
        )

    @property
    def _clock(self) -> dict[str, Any]:
        return {"duration_s": self.duration_s, "clock_offset_s": self.clock_offset_s, "is_last": self.is_last}

    def __reduce__(self) -> tuple[Any, ...]:
        placed = (self.index, self.pts_s, self.captured_s, self.stream)
        return _frame, (self.image, *placed, self.reduced, self._clock)


def _frame(
    image: Image,
    index: int,
    pts_s: float,
    captured_s: float,
    stream: str,
    reduced: Image | None,
    clock: dict[str, Any],
) -> Frame:
    return Frame(image, index, pts_s, captured_s, stream, reduced=reduced, **clock)


def _no_picture() -> Image:
    raise RuntimeError("the pictures of this frame were let go")


def _check_picture(name: str, image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"Frame.{name}: expected uint8 (height, width, 3), got {image.dtype} {image.shape}")
