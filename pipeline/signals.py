"""Stopping a run from outside the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """While it lasts, SIGINT and SIGTERM call ``stop``; a second SIGINT raises ``KeyboardInterrupt``.

    Only the main thread may enter it. A handler runs between any two bytecodes of that thread, which may just then hold
    a lock that ``stop`` needs; so a short thread of its own calls ``stop``.

    Yields:
        A function that tells whether a signal came.
    """
    stoppers: list[threading.Thread] = []

    def handle(number: int, _: object) -> None:
        if stoppers and number == signal.SIGINT:
            signal.default_int_handler(number, None)
        stoppers.append(threading.Thread(target=stop, name="stop"))
        stoppers[-1].start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(stoppers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for stopper in stoppers:
            stopper.join()
