"""The thread behind the outputs that gather events: batches by time and by number, with a bounded queue before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")


class Batcher(Generic[Item]):
    """Hands what is put in to ``work`` in batches, in order, from a thread of its own.

    A batch is handed over ``period_s`` after its first item came, or as soon as ``most`` items wait. An idle batcher
    costs nothing. The thread is no daemon: ``close`` joins it.

    Args:
        work: called with at least one item. What it raises ends the thread and is raised in the caller of ``put`` or
            ``close``, once.
        name: of the thread.
        period_s: seconds that an item waits at most for others to join it.
        most: items of a batch at most; when so many wait it is handed over at once.
        capacity: items that may wait. More make ``put`` wait, or are dropped and counted.
        when_full: ``"wait"`` or ``"drop"``.
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
    ) -> None:
        if period_s < 0 or not 1 <= most <= capacity:
            raise ValueError(f"expected period_s >= 0 and 1 <= most <= capacity, got {period_s}, {most} and {capacity}")
        self.dropped = 0
        self._work = work
        self._period_s = period_s
        self._most = most
        self._capacity = capacity
        self._when_full = when_full
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
            if len(self._items) >= self._capacity:
                if self._when_full == "drop":
                    self.dropped += 1
                    return False
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._ended)
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
    def _ended(self) -> bool:
        return self._closing or not self._thread.is_alive()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _main(self) -> None:
        try:
            while batch := self._next_batch():
                self._work(batch)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            with self._changed:
                self._failure = error
                self._closing = True
                self._items = []
                self._changed.notify_all()

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
