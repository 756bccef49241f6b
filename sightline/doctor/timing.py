"""How often something can be done in a second."""

from __future__ import annotations

import time
from collections.abc import Callable


def per_second(call: Callable[[], object], seconds: float) -> float:
    """How often a second it can be called, from at least three calls."""
    begun_s, calls = time.monotonic(), 0
    while calls < 3 or time.monotonic() - begun_s < seconds:
        call()
        calls += 1
    return calls / (time.monotonic() - begun_s)
