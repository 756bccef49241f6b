"""How long to wait between attempts to reach something that is away."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential backoff with full jitter: wait ``uniform(0, min(cap_s, first_s * factor ** k))`` before attempt k.

    The waits grow, so that what is away for long is asked seldom; they are random over their whole range, so that a
    hundred cameras behind one switch don't all come back in the same moment. (M. Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015.)

    Attributes:
        first_s: longest wait before the first attempt, in seconds.
        factor: how much longer each further one may be.
        cap_s: longest wait of all.
        attempts: how many waits there are; None for ever.

    Raises:
        ValueError: a value out of its range.
    """

    first_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    attempts: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.cap_s < float("inf"):
            raise ValueError(f"first_s and cap_s: expected 0 < first_s <= cap_s, got {self.first_s} and {self.cap_s}")
        if not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor: expected 1 or more, got {self.factor}")
        if self.attempts is not None and self.attempts < 0:
            raise ValueError(f"attempts: expected 0 or more, or None for ever, got {self.attempts}")

    def waits(self, generator: random.Random) -> Iterator[float]:
        """The waits in seconds, one after the other."""
        longest_s = self.first_s
        for number in itertools.count():
            if number == self.attempts:
                return
            yield generator.uniform(0, longest_s)
            longest_s = min(longest_s * self.factor, self.cap_s)
