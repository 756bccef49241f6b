"""A live source that outlives its connections.

online --SourceError, end--> offline --wait--> attempt --first frame--> online
                                ^                 |
                                +---SourceError---+
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from pipeline.errors import SourceError, SourceRefusedError
from pipeline.interfaces import RecoveringSource, Source
from pipeline.redaction import redact, redact_address
from pipeline.sources.backoff import Backoff
from pipeline.sources.timing.played import Played, Resumable
from pipeline.sources.uri import clean_name
from pipeline.types import ClockedSource, Frame, SourceInfo

logger = logging.getLogger(__name__)

# Connections to a file in a row that may bring nothing new.
_MOST_FRUITLESS = 5


class ReconnectingSource(RecoveringSource):
    """The frames of a camera over any number of connections: one ``Source`` that goes on until it is told to end.

        source = ReconnectingSource(lambda: open_source(uri), stream="door", uri=uri)
        source.listen(on_offline=lambda reason: ..., on_online=lambda offline_s: ...)

    The camera may be off at the start, go, stall, come back with another size or codec: frames go on, numbered on, and
    media time goes on by the real time that passed between the last frame before the gap and the first one after it.
    The stream is offline from the moment its source raises ``SourceError``, at the latest when its read timeout is
    over, to the next frame. Frames that the camera showed meanwhile were never received and are not in ``failed``.

    What an address is may show only when it is open: a file on a server, or a playlist that is complete, is no camera.
    It is read to its end. A connection to it that breaks is no outage: a further one goes on behind the last frame, in
    media time too. When five in a row brought nothing new, the last one's error is raised.

    Nothing is opened before iterating. The thread that iterates opens and closes the connections and makes the calls
    that ``listen`` asks for; ``request_stop`` alone is for any thread. What is being waited for ends then at once; a
    read or an attempt to connect that is under way ends by its own timeout, as FFmpeg can't be called off.

    Args:
        open_source: makes a connection. ``SourceError`` means that the camera is away; any other error, such as
            ``ConfigError`` for a missing environment variable, is no matter of time and is raised to the reader.
        stream: name of the stream, whatever the sources that ``open_source`` makes call themselves.
        uri: the address to show; credentials are removed from it.
        backoff: the waits between attempts. It starts over once a connection has lasted for ``settled_s``, not with
            every connection, so that a camera which dies of each new reader is left in peace too.
        settled_s: seconds.
        generator: of the jitter.
        live: True for what is known to be a camera. None for what shows with the first attempt: what is refused then
            is an error, and what can't be reached is taken to be a camera until it shows.
        opened: a connection that is there already, to be used first.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        stream: str,
        uri: str,
        backoff: Backoff | None = None,
        settled_s: float = 10.0,
        generator: random.Random | None = None,
        live: Literal[True] | None = True,
        opened: Source | None = None,
    ) -> None:
        self._open_source = open_source
        self._stream = clean_name(stream)
        self._uri = redact_address(uri)
        self._backoff = backoff or Backoff()
        self._settled_s = settled_s
        self._generator = generator or random.Random()
        self._info = SourceInfo(width=0, height=0, live=True, uri=self._uri)
        self._on_offline: Callable[[str], object] | None = None
        self._on_online: Callable[[float], object] | None = None
        self._on_known: Callable[[SourceInfo], object] | None = None
        self._known = live is not None
        self._told = False
        self._played: Played | None = None
        self._stopping = threading.Event()
        self._closed = False
        self._opened = opened
        self._connection: Source | None = None
        self._failed_before: Counter[str] = Counter()
        self._clock_steps_before = 0
        self._next_index = 0
        self._last_pts_s: float | None = None
        self._last_captured_s = 0.0
        self._online_since_s: float | None = None
        self._offline_since_s: float | None = None
        self._frames = self._read()
        if opened is not None:
            self._learn(replace(opened.info, uri=self._uri))

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._stream

    @property
    def info(self) -> SourceInfo:
        """What the last connection said of itself; before the first one a size of 0 by 0 pixels, and live."""
        return self._info

    @property
    def known(self) -> bool:
        """Whether the first attempt has shown what the source is; until then ``info`` is only supposed."""
        return self._told

    @property
    def failed(self) -> Mapping[str, int]:
        """Frames that were received but could not be decoded, by reason, over all connections."""
        connection = self._connection
        now = Counter(connection.failed if connection is not None else {})
        if not self._info.live:  # read again from its beginning, it fails again at what it failed at before
            return MappingProxyType(self._failed_before | now)
        return MappingProxyType(self._failed_before + now)

    @property
    def clock_steps(self) -> int:
        """How often the camera's timestamps had lost touch with the arrival of its pictures, over all connections."""
        connection = self._connection
        return self._clock_steps_before + (connection.clock_steps if isinstance(connection, ClockedSource) else 0)

    def listen(
        self,
        on_offline: Callable[[str], object],
        on_online: Callable[[float], object],
        on_known: Callable[[SourceInfo], object] | None = None,
    ) -> None:
        """Have each outage told of, once at its beginning and once at its end; to be called before iterating.

        Args:
            on_offline: called with the reason, a line without credentials. A camera that is off at the start counts.
            on_online: called with the seconds that it lasted, before the frame that ended it is handed out.
            on_known: called with ``info`` when the first attempt shows what the source is, before all else; with a size
                of 0 by 0 where a camera could not be reached. It is called again if what could not be reached and was
                taken to be a camera turns out to be a file.
        """
        self._on_offline, self._on_online, self._on_known = on_offline, on_online, on_known

    def request_stop(self) -> None:
        """Have the iteration end as soon as it can. For any thread, but no signal handler."""
        self._stopping.set()
        connection = self._connection
        if isinstance(connection, Resumable):
            connection.request_stop()

    def __iter__(self) -> Iterator[Frame]:
        """The frames from now on; a second loop goes on where the first one left off. Ends after ``request_stop``.

        Raises:
            SourceError: the source is closed, or the backoff has an end and the camera was not back by then.
        """
        if self._closed:
            raise SourceError(f"{self._uri}: closed; open it again to read it")
        return self._frames

    def close(self) -> None:
        """Give the connection back."""
        self._closed = True
        self._stopping.set()
        self._frames.close()
        if self._opened is not None:
            self._opened.close()
        self._disconnect()

    def _read(self) -> Generator[Frame, None, None]:
        waits = self._waits()
        begun_s = time.monotonic()
        fruitless = 0
        while not self._stopping.is_set():
            self._online_since_s = None
            before = self._next_index
            try:
                opened, self._opened = self._opened, None
                self._connection = opened or self._open_source()
                self._begin(self._connection)
                yield from self._frames_of(self._connection)
                if not self._connection.info.live:
                    return  # a file, or a list, that has come to its end
                problem = SourceError(f"{self._uri}: the stream ended")
            except SourceRefusedError as error:
                if not self._known:
                    raise
                problem = error.with_traceback(None)
            except SourceError as error:
                # Without its traceback, which would hold on to the connection's frames.
                problem = error.with_traceback(None)
            finally:
                self._disconnect()
            if self._stopping.is_set():
                return
            now_s = time.monotonic()
            if self._info.live:
                if self._online_since_s is not None and now_s - self._online_since_s >= self._settled_s:
                    waits = self._waits()
                self._learn(self._info)
                self._tell_offline(problem, since_s=begun_s if self._next_index == 0 else now_s)
            else:
                if self._next_index > before:
                    waits, fruitless = self._waits(), 0
                    self._tell_broken_off(problem)
                fruitless += 1
                if fruitless > _MOST_FRUITLESS:
                    read_s = self._last_pts_s or 0.0
                    raise SourceError(
                        f"{problem}; {_MOST_FRUITLESS} further connections brought nothing new behind {read_s:.2f} s"
                    )
            wait_s = next(waits, None)
            if wait_s is None:
                raise problem
            self._stopping.wait(wait_s)

    def _begin(self, connection: Source) -> None:
        """A connection is open: take from it what it is, and have it go on behind the last one."""
        if self._next_index == 0:
            self._learn(replace(connection.info, uri=self._uri))
        if isinstance(connection, Resumable):
            if self._played is None:
                self._played = connection.played
            else:
                connection.resume(self._played)
        if self._stopping.is_set() and isinstance(connection, Resumable):
            connection.request_stop()  # asked before the connection was there to be told

    def _learn(self, info: SourceInfo) -> None:
        """What the source is, is ``info.live``; tell it where that is news."""
        news = not self._told or info.live != self._info.live
        if self._told and news:
            logger.warning("%s: is a video with an end, no camera; it is read to its end from here on", self._stream)
        self._known = self._told = True
        if info.live:
            info = replace(info, frame_count=None, duration_s=None)
        if news or not info.live:
            self._info = info
        if news and self._on_known is not None:
            self._on_known(self._info)

    def _tell_broken_off(self, problem: SourceError) -> None:
        logger.warning("%s: %s; reading on behind frame %d", self._stream, redact(str(problem)), self._next_index - 1)

    def _frames_of(self, connection: Source) -> Iterator[Frame]:
        """The connection's frames, placed in this stream's numbering and time."""
        shift_s = 0.0
        for frame in connection:
            if self._stopping.is_set():
                return
            if self._online_since_s is None:
                if self._info.live:
                    self._info = replace(connection.info, live=True, frame_count=None, duration_s=None, uri=self._uri)
                self._tell_online()
                if self._last_pts_s is not None and self._info.live:
                    shift_s = self._last_pts_s + frame.captured_s - self._last_captured_s - frame.pts_s
            pts_s = frame.pts_s + shift_s
            if self._last_pts_s is not None:
                # A step too small for a float that large must still be a step.
                pts_s = max(pts_s, math.nextafter(self._last_pts_s, math.inf))
            self._last_pts_s, self._last_captured_s = pts_s, frame.captured_s
            index, self._next_index = self._next_index, self._next_index + 1
            yield frame.placed(index=index, pts_s=pts_s, stream=self._stream)

    def _waits(self) -> Iterator[float]:
        return self._backoff.waits(self._generator)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._clock_steps_before += connection.clock_steps if isinstance(connection, ClockedSource) else 0
            connection.close()
            if self._info.live:
                self._failed_before.update(connection.failed)

    def _tell_offline(self, problem: SourceError, since_s: float) -> None:
        reason = redact(str(problem))
        if self._offline_since_s is not None:
            logger.debug("%s: still offline: %s", self._stream, reason)
            return
        self._offline_since_s = since_s
        logger.warning("%s: offline: %s; trying again until it is back", self._stream, reason)
        if self._on_offline is not None:
            self._on_offline(reason)

    def _tell_online(self) -> None:
        self._online_since_s = time.monotonic()
        if self._offline_since_s is None:
            return
        offline_s = self._online_since_s - self._offline_since_s
        self._offline_since_s = None
        logger.info("%s: online again after %.1f s", self._stream, offline_s)
        if self._on_online is not None:
            self._on_online(offline_s)
