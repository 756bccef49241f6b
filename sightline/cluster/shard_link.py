"""The driver's end of a shard: a thread that keeps asking it how it is, and hands it its orders."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sightline.cluster.messages import Order, ShardStatus
from sightline.cluster.placement import Node

logger = logging.getLogger(__name__)

# How long a shard waits for something to tell: an order that comes meanwhile reaches it afterwards.
STEADY_S = 1.0
BUSY_S = 0.25
# How long an answer may take beyond that.
_ANSWER_S = 1.0
# Between two questions, however much there is to tell.
_PAUSE_S = 0.1
# A shard of which nothing was heard for so long is lost; one that has just been made may have much to load.
PATIENCE_S = 4.0
_FIRST_S = 120.0
# After so much silence it is looked whether its feed's port is still open: a process that is there keeps it.
_DOUBTFUL_S = 1.0


def _refuses(endpoint: str) -> bool:
    """Whether a machine answers that nobody listens at that address."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=0.5):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


class ShardSilentError(Exception):
    """A shard did not answer, or could not be reached; it may yet be there."""


class ShardGoneError(Exception):
    """A shard's process has ended.

    Attributes:
        crashed: whether it ended while its machine went on.
    """

    def __init__(self, reason: str, *, crashed: bool) -> None:
        super().__init__(reason)
        self.crashed = crashed


class ShardHandle(Protocol):
    """A shard, wherever it runs."""

    def sync(self, order: Order | None, wait_s: float, timeout_s: float) -> ShardStatus:
        """As ``Shard.sync``. Raises ``ShardSilentError``, after ``timeout_s``, or ``ShardGoneError``."""
        ...

    def close(self, timeout_s: float) -> None:
        """End it in order, within that time, and then however it is; raises nothing."""
        ...

    def kill(self) -> None:
        """End it at once, if it is still there."""
        ...


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a shard is lost, and whether its process ended while its machine went on."""

    reason: str
    crashed: bool


class ShardLink:
    """Asks a shard how it is, from a thread of its own, until ``close`` or until it is lost.

    Attributes:
        name: of the shard.
        node: where it is.
        group: number of the process among those of its node.
        status: what it told last; None before that.
        heard_s: when that was (``time.monotonic()``).
        loss: why it is lost, if it is.
        begun_s: when it was made, or found.
        wait_s: how long it is to wait for something to tell.

    Args:
        handle: of the shard.
        news: is called, from the link's thread, when it tells of a change, or is lost.
    """

    def __init__(
        self, name: str, node: Node, group: int, handle: ShardHandle, *, news: Callable[[], object] = lambda: None
    ) -> None:
        self.name, self.node, self.group = name, node, group
        self.wait_s = BUSY_S
        self.status: ShardStatus | None = None
        self.begun_s = self.heard_s = time.monotonic()
        self.loss: Loss | None = None
        self._handle = handle
        self._news = news
        self._order: Order | None = None
        self._poked = threading.Event()
        self._answers = False
        self._over = False
        self._thread = threading.Thread(target=self._keep, name=f"link {name}", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it answers, and can run streams."""
        return self.loss is None and self.status is not None and self.status.capacity is not None

    @property
    def order(self) -> Order | None:
        """What the shard is to do."""
        return self._order

    @order.setter
    def order(self, order: Order) -> None:
        self._order = order
        self._poked.set()

    def lose(self, reason: str) -> None:
        """Its machine is known to be gone."""
        self.loss = self.loss or Loss(reason, crashed=False)

    def end(self, timeout_s: float) -> None:
        """Ask no more, and end the shard in order, within that time."""
        self._over = True
        self._poked.set()
        self._thread.join(_ANSWER_S + STEADY_S)
        self._handle.close(timeout_s)

    def leave(self) -> None:
        """Ask no more; the shard goes on."""
        self._over = True
        self._poked.set()
        self._thread.join(_ANSWER_S + STEADY_S)

    def kill(self) -> None:
        """Ask no more, and end the shard at once."""
        self._over = True
        self._poked.set()
        self._handle.kill()

    def _keep(self) -> None:
        while not self._over and self.loss is None:
            self._poked.clear()
            before = None if self.status is None else self.status.outline()
            self._ask()
            if self.loss is not None or (self.status is not None and self.status.outline() != before):
                self._news()
            self._poked.wait(_PAUSE_S)

    def _ask(self) -> None:
        # What a silent one is asked it answers later, one after the other: then none of these is to wait.
        wait_s, self._answers = self.wait_s if self._answers else 0.0, False
        order, status = self._order, self.status
        new = order if order is not None and (status is None or status.version != order.version) else None
        try:
            self.status = self._handle.sync(new, wait_s, wait_s + _ANSWER_S)
            self.heard_s, self._answers = time.monotonic(), True
        except ShardSilentError as error:
            silent_s = time.monotonic() - self.heard_s
            if silent_s >= (PATIENCE_S if status is not None else _FIRST_S):
                self.loss = Loss(f"nothing was heard of it for {silent_s:.0f} s ({error})", crashed=False)
            elif silent_s >= _DOUBTFUL_S and status is not None and _refuses(status.feed.endpoint):
                self.loss = Loss(f"its process is gone ({error})", crashed=False)
        except ShardGoneError as error:
            self.loss = Loss(str(error), crashed=error.crashed)
        except Exception as error:
            # Whatever else a cluster's library raises concerns this shard alone.
            logger.exception("%s can't be asked", self.name)
            self.loss = Loss(f"it can't be asked: {error}", crashed=False)
