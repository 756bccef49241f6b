"""The decode thread: it reads a source ahead of the detector."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, Self

from pipeline.interfaces import RecoveringSource, Source
from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.timing import Timings
from pipeline.types import Frame

logger = logging.getLogger(__name__)


class FrameChannel(Protocol):
    """The end of a ``Channel`` that a producer sees."""

    def put(self, item: Frame) -> bool:
        """As ``Channel.put``."""
        ...

    def close(self, error: BaseException | None = None) -> None:
        """As ``Channel.close``."""
        ...

    def cancel(self) -> list[Frame]:
        """As ``Channel.cancel``."""
        ...


class DecodeThread:
    """Reads a source in a thread of its own, puts its frames into a channel and keeps the stream's ledger.

    Each frame counts as decoded before it is put. Frames that the source reports as failed count as decoded and failed.
    At the end of the source the channel is closed; if the source raises, with its error, which then reaches the reader.
    The thread closes the source. As a context manager it starts on entry and stops on exit.

    Args:
        source: read and closed by the thread; nobody else may touch it once ``start`` was called.
        channel: whose only producer this is. Where it drops, its ``on_drop`` is to count in ``ledger``.
        ledger: the stream's account.
        timings: gets the time that each frame took as stage ``decode``; for a live source that includes waiting for it.
        place: numbers and times each frame; by default it stays as the source has it.
    """

    def __init__(
        self,
        source: Source,
        channel: FrameChannel,
        ledger: FrameLedger,
        timings: Timings,
        place: Callable[[Frame], Frame] = lambda frame: frame,
    ) -> None:
        self._source = source
        self._channel = channel
        self._ledger = ledger
        self._timings = timings
        self._place = place
        self._failed: Counter[str] = Counter()
        self._stop_reason: str | None = None
        self._stopping = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start reading. May be called once; after ``stop`` it does nothing, as the reader finds the end anyway."""
        with self._starting:
            if self._thread is not None:
                raise RuntimeError("a Producer can be started only once")
            if self._stop_reason is None:
                self._thread = threading.Thread(target=self._run, name=f"decode {self._source.stream}")
                self._thread.start()

    def stop(self, reason: str = "interrupted", timeout_s: float | None = None) -> bool:
        """Stop reading and wait until the source is closed, or for ``timeout_s`` seconds.

        Frames decoded that nobody has read count as dropped with ``reason``. May be called by any thread and again.

        Returns:
            Whether the thread has ended; False only after the timeout, while the source is still in a read.
        """
        with self._starting:
            first = self._stop_reason is None
            if first:
                self._stop_reason = reason
            thread = self._thread
        if isinstance(self._source, RecoveringSource):
            self._source.request_stop()
        # Whoever stops second must not see the ledger before the first has counted what it discarded.
        with self._stopping:
            self._ledger.dropped(reason, len(self._channel.cancel()))
        if thread is None:
            if first:
                self._source.close()
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = kind is not None and not issubclass(kind, KeyboardInterrupt)
        self.stop("error" if failed else "interrupted")

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            try:
                self._read()
            finally:
                self._source.close()
                self._count_failed()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
            failure = error
            if self._stop_reason is not None:  # the reader has left
                logger.warning("%s: while it was being stopped: %s", self._source.stream, error)
        self._channel.close(failure)

    def _read(self) -> None:
        frames = iter(self._source)
        while self._stop_reason is None:
            start = perf_counter()
            frame = next(frames, None)
            elapsed = perf_counter() - start
            self._count_failed()
            if frame is None:
                return
            self._timings.add("decode", elapsed)
            self._ledger.decoded()
            if not self._channel.put(self._place(frame)):
                self._ledger.dropped(self._stop_reason or "interrupted")
                return

    def _count_failed(self) -> None:
        for reason, count in self._source.failed.items():
            more = count - self._failed[reason]
            if more > 0:
                self._failed[reason] = count
                self._ledger.decoded(more)
                self._ledger.failed(reason, more)
