"""Frame: one picture of a stream, with its place and time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


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

    Args:
        image: the picture, or what makes it.
        reduced: the scaled picture, what makes it, or None.
        size: ``(height, width)`` of the picture, where ``image`` is what makes it.

    Raises:
        ValueError: a picture of another shape or type.
    """

    __slots__ = (
        "_image",
        "_reduced",
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
            duration_s=duration_s,
            clock_offset_s=clock_offset_s,
            is_last=is_last,
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


def _check_picture(name: str, image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"Frame.{name}: expected uint8 (height, width, 3), got {image.dtype} {image.shape}")
