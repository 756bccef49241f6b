"""The clock that all programs share: from the first frame that is looked at to the end of the last write."""

from __future__ import annotations

import json
import time
from typing import Any


class RunClock:
    """Wall and processor time of this process (all its threads) between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self._took: tuple[float, float] | None = None

    def start(self) -> None:
        """Begin; calls after the first change nothing."""
        if self._began is None:
            self._began = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """End."""
        if self._began is None:
            raise RuntimeError("the clock was never started: the program looked at no frame")
        self._took = (time.perf_counter() - self._began[0], time.process_time() - self._began[1])

    def report(self, frames: int, **more: Any) -> None:
        """Print what ``benchmarks.measure`` reads, as the last line."""
        if self._took is None:
            raise RuntimeError("the clock was not stopped")
        print(json.dumps({"frames": frames, "seconds": self._took[0], "cpu_s": self._took[1], **more}), flush=True)
