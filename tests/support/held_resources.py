"""What a test's own process holds of the system: threads and open files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# The other end of a connection, in a thread of this process, takes its time to notice that it is closed.
PATIENCE_S = 10.0


@contextmanager
def all_given_back() -> Iterator[None]:
    """Fail where there are more threads or open files after the block than before it, and they stay."""
    process = psutil.Process()
    threads, files = process.num_threads(), process.num_fds()
    yield
    deadline_s = time.monotonic() + PATIENCE_S
    while process.num_threads() > threads or process.num_fds() > files:
        assert time.monotonic() < deadline_s, (
            f"{process.num_threads()} threads and {process.num_fds()} files, before {threads} and {files}"
        )
        time.sleep(0.05)


@contextmanager
def all_threads_ended(within_s: float = 20.0) -> Iterator[None]:
    """Fail where a thread that began in the block still runs ``within_s`` seconds after it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(within_s)
        assert not thread.is_alive(), f"{thread.name} is still running"
