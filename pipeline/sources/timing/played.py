"""What a network video has shown already, so that a further connection goes on behind it and repeats nothing."""

from __future__ import annotations

import zlib
from collections import deque
from typing import Protocol, runtime_checkable

import av

# Some minutes of any camera: more than the lists of live streams hold.
_REMEMBERED = 10_000


class Played:
    """The pictures that were handed out, over all connections of one stream.

    A file is read again from its beginning, so what counts is how many pictures there were. A live list begins with
    pieces that may have been played, and may be another's list by now: there a picture is known by its timestamp
    together with a checksum of its pixels.

    Attributes:
        count: pictures of a file.
        live: whether they were a live list's.
    """

    def __init__(self, *, live: bool) -> None:
        self.count = 0
        self.live = live
        self._order: deque[tuple[int | None, int]] = deque(maxlen=_REMEMBERED)
        self._known: set[tuple[int | None, int]] = set()
        self._last_pts: int | None = None

    def add(self, picture: av.VideoFrame) -> None:
        """This one is handed out."""
        self.count += 1
        if not self.live:
            return
        if len(self._order) == _REMEMBERED:
            self._known.discard(self._order[0])
        key = _key(picture)
        self._order.append(key)
        self._known.add(key)
        self._last_pts = picture.pts

    def holds(self, picture: av.VideoFrame, *, ended: bool) -> bool:
        """Whether a live list's picture was handed out, or lies before what was.

        Args:
            ended: the list has come to its end, and begins with all that it ever held.
        """
        if ended and picture.pts is not None and self._last_pts is not None and picture.pts <= self._last_pts:
            return True
        return _key(picture) in self._known


@runtime_checkable
class Resumable(Protocol):
    """A source whose further connections can go on behind what was played."""

    @property
    def played(self) -> Played:
        """What this connection, and those before it, have handed out."""
        ...

    def resume(self, played: Played) -> None:
        """Go on behind that; to be called before iterating."""
        ...

    def request_stop(self) -> None:
        """Wait no longer before frames are handed out. For any thread."""
        ...


def _key(picture: av.VideoFrame) -> tuple[int | None, int]:
    return picture.pts, zlib.crc32(picture.planes[0])
