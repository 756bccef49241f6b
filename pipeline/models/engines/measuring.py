"""Finds the fastest of several ways to compute, by timing them in turn for a little while.

It knows nothing of what is timed: whoever asks says how one is made, and how a round of it is timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

BUDGET_S = 1.5
"""Seconds that a measurement may take: making the candidates, and timing them. Each is timed at least once."""

_MOST_ROUNDS = 20
_ROUNDS_TO_DROP = 2
_SLOW = 1.5  # times the time of the best


class Timed(Protocol):
    """What can be timed."""

    @property
    def calls_at_once(self) -> int:
        """How many calls at a time make the most of it."""

    def close(self) -> None:
        """Give back what it holds."""


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Timed)

Rounds = Callable[[T], Generator[float, None, None]]
"""Times something again and again: seconds per image of one round after another."""


@dataclass(slots=True)
class _Contender(Generic[K, T]):
    """One that is still in the running."""

    name: K
    made: T
    rounds: Generator[float, None, None]
    seconds: list[float] = field(default_factory=list)

    def close(self) -> None:
        self.rounds.close()
        self.made.close()


def find_fastest(
    candidates: Sequence[K],
    make: Callable[[K], T | None],
    rounds: Rounds[T],
    *,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[K | None, T | None, dict[K, float]]:
    """Make the candidates one after another, time them, and keep the fastest.

    Successive halving in small (K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification", AISTATS 2016):
    what is clearly slower after two rounds is closed before the next is made, and the others take turns, so that a
    machine that is busy for a while is so for all of them.

    Args:
        candidates: best guess first.
        make: makes one; None for one that can't be used, which is left out.
        rounds: times one.
        budget_s: seconds for all of it; where one round of each takes longer, so does the whole.
        clock: seconds from any moment on.

    Returns:
        The fastest, what was made of it, and the seconds per image of each; None where none can be used.
    """
    begun_s = clock()
    running: list[_Contender[K, T]] = []
    seconds: dict[K, float] = {}
    try:
        for name in candidates:
            made = make(name)
            if made is None:
                continue
            contender = _Contender(name, made, rounds(made))
            running.append(contender)
            while len(contender.seconds) < _ROUNDS_TO_DROP:
                contender.seconds.append(next(contender.rounds))
                if clock() - begun_s > budget_s:
                    break
            running = _without_slow(running, seconds)
        if not running:
            return None, None, {}
        while len(running) > 1 and clock() - begun_s < budget_s and len(running[0].seconds) < _MOST_ROUNDS:
            for contender in running:
                contender.seconds.append(next(contender.rounds))
            running = _without_slow(running, seconds)
        seconds |= {contender.name: statistics.median(contender.seconds) for contender in running}
        best = min(running, key=lambda contender: seconds[contender.name])
    except BaseException:
        for contender in running:
            contender.close()
        raise
    for contender in running:
        if contender is not best:
            contender.close()
    best.rounds.close()
    return best.name, best.made, seconds


def _without_slow(running: Sequence[_Contender[K, T]], seconds: dict[K, float]) -> list[_Contender[K, T]]:
    """Close those that are clearly slower than the best, and note their seconds; returns the others.

    The best round of each is compared: another program can only make one slower.
    """
    most_s = _SLOW * min(min(contender.seconds) for contender in running)
    kept = []
    for contender in running:
        if min(contender.seconds) > most_s:
            seconds[contender.name] = statistics.median(contender.seconds)
            contender.close()
        else:
            kept.append(contender)
    return kept


def time_calls(
    call: Callable[[T, NDArray[np.uint8]], object], shape: tuple[int, int, int], *, most_s: float = BUDGET_S / 8
) -> Rounds[T]:
    """Times an engine as a run calls it: with batches of images, and as many calls at a time as it makes the most of.

    Args:
        call: calls an engine with images.
        shape: images in a batch, height and width of the network's input.
        most_s: where such a round takes longer, it is one call with one image.
    """
    images = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    single: list[bool] = []  # decided by the first engine, for all

    def rounds(made: T) -> Generator[float, None, None]:
        calls = made.calls_at_once
        call(made, images[:1])  # the first call builds what later ones use
        if not single:
            single.append(_seconds(lambda: call(made, images[:1])) * calls * len(images) > most_s)
        if single[0]:
            while True:
                yield _seconds(lambda: call(made, images[:1]))
        with ThreadPoolExecutor(calls, "measuring") as pool:
            call(made, images)
            while True:
                taken_s = _seconds(lambda: list(pool.map(lambda _: call(made, images), range(calls))))
                yield taken_s / calls / len(images)

    return rounds


def _seconds(work: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    work()
    return time.perf_counter() - begun_s
