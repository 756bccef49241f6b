"""Where each frame of a stream went.

    decoded = processed + sum(dropped) + sum(failed)

holds at every exit; while a stream runs, the difference is the frames in flight. Frames that were there but could not
be decoded count as decoded and failed.
"""

from __future__ import annotations

import threading
from collections import Counter

from pipeline import events


class Ledger:
    """The account of one stream's frames. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoded = 0
        self._processed = 0
        self._dropped: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def decoded(self, count: int = 1) -> None:
        """Frames came in. Call it before a frame is passed on, so that no snapshot shows more out than in."""
        _check_count(count)
        with self._lock:
            self._decoded += count

    def processed(self, count: int = 1) -> None:
        """Frames went all the way."""
        _check_count(count)
        with self._lock:
            self._processed += count

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

    def snapshot(self) -> events.Ledger:
        """The account now, all figures of one moment."""
        with self._lock:
            return events.Ledger(
                decoded=self._decoded,
                processed=self._processed,
                dropped=dict(self._dropped),
                failed=dict(self._failed),
            )

    @property
    def in_flight(self) -> int:
        """Frames decoded that have gone nowhere yet."""
        return in_flight(self.snapshot())

    @property
    def balanced(self) -> bool:
        """Whether every frame is accounted for."""
        return self.in_flight == 0

    def check(self) -> None:
        """Raise ``RuntimeError`` unless every frame is accounted for: at an exit that is a bug."""
        account = self.snapshot()
        missing = in_flight(account)
        if missing:
            raise RuntimeError(
                f"the ledger does not balance: decoded {account.decoded} = processed {account.processed} + "
                f"dropped {account.dropped} + failed {account.failed} is off by {missing}"
            )


def in_flight(account: events.Ledger) -> int:
    """Frames of a snapshot that are unaccounted for; negative when a frame was counted twice."""
    return account.decoded - account.processed - sum(account.dropped.values()) - sum(account.failed.values())


def _check_count(count: int) -> None:
    if count < 0:
        raise ValueError(f"count: expected 0 or more, got {count}")
