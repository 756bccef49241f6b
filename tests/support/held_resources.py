"""What a test's own process holds of the system: threads and open files."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.waiting import PATIENCE_S, wait_until


@contextmanager
def all_given_back() -> Iterator[None]:
    """Fail where there are more threads or open files after the block than before it, and they stay."""
    process = psutil.Process()
    threads, files = process.num_threads(), process.num_fds()
    yield
    # The other end of a connection, in a thread of this process, takes its time to notice that it is closed.
    wait_until(
        lambda: process.num_threads() <= threads and process.num_fds() <= files,
        f"{threads} threads and {files} files",
        lambda: f"{process.num_threads()} and {process.num_fds()}",
    )


@contextmanager
def all_threads_ended() -> Iterator[None]:
    """Fail where a thread that began in the block does not end."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), f"{thread.name} is still running"


def give_back_memory(beyond: int) -> None:
    """Return to the system what this process has freed, where it has more than so many bytes."""
    if psutil.Process().memory_info().rss > beyond:
        gc.collect()
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc keeps it otherwise
            libc.malloc_trim(0)
