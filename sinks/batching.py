"""The thread behind the outputs that gather events: batches by time and by number, with a bounded queue before it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from pipeline.errors import SinkError
from pipeline.events import OutputCounts

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

# Between two tries while something is wrong, in seconds; and how long the end of the run waits for it to be right.
_RETRY_S = 1.0
_LINGER_S = 2.0


class Batcher(Generic[Item]):
    """Hands what is put in to ``work`` in batches, in order, from a thread of its own.

    A batch is handed over ``period_s`` after its first item came, or as soon as ``most`` items wait. An idle batcher
    costs nothing. The thread is no daemon: ``close`` joins it.

    A batcher that is ``patient`` waits short trouble out: a ``SinkError`` of ``work`` is logged when it begins, the
    batch is handed over again every second, and meanwhile items gather up to ``capacity``.

    Args:
        work: called with at least one item. What it raises ends the thread and is raised in the caller of ``put`` or
            ``close``, once. Where the batcher is patient, nothing of a batch may be done when it raises ``SinkError``.
        name: of the thread.
        period_s: seconds that an item waits at most for others to join it.
        most: items of a batch at most; when so many wait it is handed over at once.
        capacity: items that may wait. More make ``put`` wait, or are dropped and counted.
        when_full: ``"wait"`` or ``"drop"``.
        patient: see above.
        counted: which items are in ``counts``; all by default.

    Attributes:
        dropped: items that there was no room for.
        patient, when_full: may be set later, from the thread that puts.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], None],
        *,
        name: str,
        period_s: float,
        most: int = 1000,
        capacity: int = 100_000,
        when_full: Literal["wait", "drop"] = "wait",
        patient: bool = False,
        counted: Callable[[Item], bool] = lambda item: True,
    ) -> None:
        if period_s < 0 or not 1 <= most <= capacity:
            raise ValueError(f"expected period_s >= 0 and 1 <= most <= capacity, got {period_s}, {most} and {capacity}")
        self.dropped = 0
        self.patient = patient
        self.when_full = when_full
        self._given = self._written = self._retried = self._lost = 0
        self._work = work
        self._counted = counted
        self._period_s = period_s
        self._most = most
        self._capacity = capacity
        self._items: list[Item] = []
        self._changed = threading.Condition()
        self._left_over = False
        self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name=name)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Add an item; False when it was dropped. Raises what ``work`` raised, and RuntimeError after ``close``."""
        with self._changed:
            counted = self._counted(item)
            self._given += counted
            if len(self._items) >= self._capacity:
                if self.when_full == "drop":
                    self.dropped += counted
                    return False
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._ended)
            if self._ended:
                self._lost += counted
            self._raise_failure()
            if self._ended:
                raise RuntimeError(f"{self._thread.name}: called after its end")
            self._items.append(item)
            # The thread waits for the first item, and then for a full batch.
            if len(self._items) in (1, self._most):
                self._changed.notify_all()
        return True

    def close(self) -> None:
        """Let ``work`` have what is left, and end the thread. Raises what ``work`` raised, unless ``put`` has."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._raise_failure()

    @property
    def counts(self) -> OutputCounts:
        """Items so far; for any thread."""
        with self._changed:
            return OutputCounts(
                given=self._given,
                written=self._written,
                retried=self._retried,
                lost=self.dropped + self._lost,
                unseen=self.dropped,
            )

    @property
    def _ended(self) -> bool:
        return self._closing or not self._thread.is_alive()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _main(self) -> None:
        batch: list[Item] = []
        try:
            while batch := self._next_batch():
                self._hand_over(batch)
                with self._changed:
                    self._written += sum(map(self._counted, batch))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            with self._changed:
                self._failure = error
                self._closing = True
                self._lost += sum(map(self._counted, [*batch, *self._items]))
                self._items = []
                self._changed.notify_all()

    def _hand_over(self, batch: list[Item]) -> None:
        """Have the work done, in a patient batcher again and again until the end of the run has waited long enough."""
        trouble_since_s: float | None = None
        give_up_s: float | None = None
        while True:
            try:
                self._work(batch)
            except SinkError as error:
                now_s = time.monotonic()
                if not self.patient or (give_up_s is not None and now_s >= give_up_s):
                    raise
                if trouble_since_s is None:
                    trouble_since_s = now_s
                    logger.warning("%s; trying again", error)
                with self._changed:
                    self._retried += 1
                    self._changed.wait_for(lambda: self._closing, _RETRY_S)
                    if self._closing and give_up_s is None:
                        give_up_s = time.monotonic() + _LINGER_S
                if give_up_s is not None:
                    time.sleep(0.1)
                continue
            if trouble_since_s is not None:
                lost = self.counts.lost
                logger.warning(
                    "%s goes on after %.0f s; %d lost", self._thread.name, time.monotonic() - trouble_since_s, lost
                )
            return

    def _next_batch(self) -> list[Item]:
        """The next batch; an empty one at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            # What an earlier batch had no room for has waited long enough.
            due_s = time.monotonic() + (0 if self._left_over else self._period_s)
            while not self._closing and len(self._items) < self._most and (left_s := due_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            batch, self._items = self._items[: self._most], self._items[self._most :]
            self._left_over = bool(self._items)
            self._changed.notify_all()
            return batch
