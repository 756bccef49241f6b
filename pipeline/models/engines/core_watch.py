"""Looks now and then how many processor cores there are to use: a container's limit may change while a network runs.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from pipeline.errors import ModelError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0


class CoreWatch:
    """Has a network compiled anew, in the background, where the cores to use have become more or fewer.

    Args:
        cores: tells how many there are; None where they are never looked at.
        compile_anew: compiles the network for so many threads, and puts it in the place of the old one unless that has
            been closed meanwhile. Where it raises ``RuntimeError`` or `ModelError`, the network stays as it is.

    Attributes:
        threads: for how many the network is compiled.
    """

    def __init__(self, cores: Callable[[], int] | None, threads: int, compile_anew: Callable[[int], None]) -> None:
        self.threads = threads
        self._cores = cores
        self._compile_anew = compile_anew
        self._turn = threading.Lock()
        self._next_look_s = time.monotonic() + LOOK_EVERY_S

    def look(self) -> None:
        """To be called before each use of the network; any number of threads may."""
        if self._cores is None or time.monotonic() < self._next_look_s:
            return
        with self._turn:
            if self._cores is None or time.monotonic() < self._next_look_s:
                return
            self._next_look_s = time.monotonic() + LOOK_EVERY_S
            cores = self._cores()
            if cores != self.threads:
                self._next_look_s = math.inf
                threading.Thread(target=self._follow, args=(cores,), name="compile", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._cores = None

    def _follow(self, cores: int) -> None:
        try:
            self._compile_anew(cores)
            logger.info("there are %d processor cores to use now, and the network uses as many", cores)
            self.threads = cores
        except (RuntimeError, ModelError) as error:
            logger.warning(
                "the network stays with %d threads, it can't be compiled for %d: %s", self.threads, cores, error
            )
        self._next_look_s = time.monotonic() + LOOK_EVERY_S
