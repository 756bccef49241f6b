"""Stopping a run from outside the process, and having it read its configuration again."""

from __future__ import annotations

import queue
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


@contextmanager
def reloading_on_hangup(reload: Callable[[], object]) -> Iterator[None]:
    """While it lasts, SIGHUP has a thread call ``reload``, which must not raise; calls never overlap.

    Only the main thread may enter it. At the end a call that is under way is waited for.
    """
    # The one queue that a handler may put into whatever the thread that it interrupts holds just then.
    requests: queue.SimpleQueue[bool] = queue.SimpleQueue()
    over = threading.Event()

    def work() -> None:
        while requests.get() and not over.is_set():
            reload()

    worker = threading.Thread(target=work, name="reload")
    worker.start()
    before = signal.signal(signal.SIGHUP, lambda number, _: requests.put(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        over.set()
        requests.put(False)
        worker.join()
