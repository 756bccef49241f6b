"""Where each frame of a stream went.

    decoded = processed + sum(dropped) + sum(failed)

holds at every exit; while a stream runs, the difference is the frames in flight. Frames that were there but could not
be decoded count as decoded and failed.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

from pipeline import events
from pipeline.runtime.recent_rate import RecentRate


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames per second that were decoded and that were processed, over the last ``span_s`` seconds."""

    decoded: float
    processed: float
    span_s: float


class FrameLedger:
    """The account of one stream's frames. Its methods may be called from any thread.

    Args:
        begun: an account to go on from, in which no frame is on its way.

    >>> ledger = FrameLedger()
    >>> ledger.decoded(3)
    >>> ledger.processed(2)
    >>> ledger.in_flight
    1
    >>> ledger.dropped("stale")
    >>> ledger.in_flight
    0
    """

    def __init__(self, begun: events.FrameCounts | None = None) -> None:
        self._lock = threading.Lock()
        self._decoded = 0 if begun is None else begun.decoded
        self._processed = 0 if begun is None else begun.processed
        self._dropped: Counter[str] = Counter({} if begun is None else begun.dropped)
        self._failed: Counter[str] = Counter({} if begun is None else begun.failed)
        begun_s = time.monotonic()
        self._recently_decoded, self._recently_processed = RecentRate(begun_s), RecentRate(begun_s)

    def decoded(self, count: int = 1) -> None:
        """Frames came in. Call it before a frame is passed on, so that no snapshot shows more out than in."""
        _check_count(count)
        with self._lock:
            self._decoded += count
            self._recently_decoded.add(time.monotonic(), count)

    def processed(self, count: int = 1) -> None:
        """Frames went all the way."""
        _check_count(count)
        with self._lock:
            self._processed += count
            self._recently_processed.add(time.monotonic(), count)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Frames were left out on purpose, such as ``"stale"`` or ``"interrupted"``."""
        _check_count(count)
        if count:
            with self._lock:
                self._dropped[reason] += count

    def failed(self, reason: str, count: int = 1) -> None:
        """Frames could not be decoded or processed."""
        _check_count(count)
        if count:
            with self._lock:
                self._failed[reason] += count

    def settle(self, reason: str) -> None:
        """Account for frames that were taken from the queue and did not get through, once none is on its way any more.

        At the ``"end"`` of a source there is none; after an ``"error"`` they failed, else they were dropped.
        """
        if reason != "end":
            (self.failed if reason == "error" else self.dropped)(reason, self.in_flight)

    def snapshot(self) -> events.FrameCounts:
        """The account now, all figures of one moment."""
        with self._lock:
            return events.FrameCounts(
                decoded=self._decoded,
                processed=self._processed,
                dropped=dict(self._dropped),
                failed=dict(self._failed),
            )

    def rates(self) -> Rates:
        """How fast frames came in and went through lately."""
        with self._lock:
            now_s = time.monotonic()
            decoded, processed = (each.rate(now_s) for each in (self._recently_decoded, self._recently_processed))
            return Rates(decoded, processed, self._recently_decoded.span_s(now_s))

    @property
    def in_flight(self) -> int:
        """Frames decoded that have gone nowhere yet."""
        return in_flight(self.snapshot())

    def check(self) -> None:
        """Raise ``RuntimeError`` unless every frame is accounted for: at an exit that is a bug."""
        account = self.snapshot()
        missing = in_flight(account)
        if missing:
            raise RuntimeError(
                f"the ledger does not balance: decoded {account.decoded} = processed {account.processed} + "
                f"dropped {account.dropped} + failed {account.failed} is off by {missing}"
            )


def in_flight(account: events.FrameCounts) -> int:
    """Frames of a snapshot that are unaccounted for; negative when a frame was counted twice."""
    return account.decoded - account.processed - sum(account.dropped.values()) - sum(account.failed.values())


def _check_count(count: int) -> None:
    if count < 0:
        raise ValueError(f"count: expected 0 or more, got {count}")
