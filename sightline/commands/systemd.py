"""Telling systemd how a run is: ready, alive, reading its configuration again, stopping.

Where systemd starts a service of ``Type=notify``, it names a socket in the environment and waits for a word there, and
with ``WatchdogSec`` for another one every so often. The words are those of sd_notify(3). Without that socket nothing is
told.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_SOCKET, _WATCHDOG, _WATCHDOG_PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
# Words of life within the time that systemd waits, so that one that comes late does no harm.
_PER_WAIT = 3


class ServiceManager:
    """The process that started this one and wants to know how it is; where there is none, it is told nothing.

    Args:
        address: of its socket: a path, or ``@`` and an abstract name.
        watchdog_s: seconds within which it wants a word of life; None where it wants none.
    """

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None

    @classmethod
    def of_environment(cls) -> ServiceManager:
        """The one that the environment names."""
        watched = os.environ.get(_WATCHDOG_PROCESS, str(os.getpid())) == str(os.getpid())
        wait_us = os.environ.get(_WATCHDOG, "")
        return cls(os.environ.get(_SOCKET), int(wait_us) / 1e6 if watched and wait_us.isdigit() else None)

    def tell(self, *words: str) -> None:
        """Send assignments such as ``READY=1``. What can't be sent is logged: the run goes on."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1.0)
                out.sendto("\n".join(words).encode(), address)
        except OSError as error:
            logger.warning("systemd can't be told %s: %s", words[0], error.strerror or error)

    def reloading(self, reload: Callable[[], object]) -> Callable[[], None]:
        """``reload``, with a word before and after it."""

        def told() -> None:
            # In microseconds of the clock that systemd compares it with.
            self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            try:
                reload()
            finally:
                self.tell("READY=1")

        return told

    @contextmanager
    def watching(self, ask: Callable[[Callable[[], None]], object]) -> Iterator[None]:
        """While it lasts, the manager is told that the run is alive, as long as it is, and at the end that it stops.

        Args:
            ask: has the run call a function when it next comes around. One that hangs never calls it.
        """
        over = threading.Event()

        def work() -> None:
            assert self.watchdog_s is not None
            while not over.wait(self.watchdog_s / _PER_WAIT):
                ask(lambda: self.tell("WATCHDOG=1"))

        self.tell("READY=1")
        watchdog = threading.Thread(target=work, name="watchdog") if self.watchdog_s else None
        if watchdog is not None:
            watchdog.start()
        try:
            yield
        finally:
            over.set()
            if watchdog is not None:
                watchdog.join()
            self.tell("STOPPING=1")
