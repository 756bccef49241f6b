"""The thread that delivers what waits in a spool: in order, and again and again until it has been taken."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.events import OutputCounts
from sinks.integrations.spool import Batch, Spool

logger = logging.getLogger(__name__)

_RETRY_FIRST_S = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt.

    Attributes:
        taken: the other side has it.
        refused: it has read it, and will never take it.
        trouble: what was wrong, in words without secrets.
    """

    taken: bool = False
    refused: bool = False
    trouble: str = ""


class SpoolSender:
    """Keeps batches on the disk until they are delivered; see ``Spool``.

    An attempt that fails is made again after half a second, then ever more slowly up to ``retry_most_s``.

    Args:
        folder, max_bytes, is_batch: of the spool.
        send: makes an attempt, in the sender's thread, with batches and what is in them; not to be interrupted but by
            what ``close`` is given.
        label: what is sent to, for the log.
        retry_most_s: longest pause in seconds between two attempts.
        at_once: how many of so many that wait are sent in one attempt; one by default.

    Raises:
        SinkError: the folder can't be used, or another process uses it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        is_batch: Callable[[bytes, bytes], bool],
        send: Callable[[Sequence[Batch], Sequence[bytes]], Answer],
        label: str,
        retry_most_s: float,
        at_once: Callable[[int], int] = lambda waiting: 1,
    ) -> None:
        self._send = send
        self._label = label
        self._retry_most_s = retry_most_s
        self._at_once = at_once
        self._changed = threading.Condition()
        self._closing = False
        self._give_up = False
        self._failure: BaseException | None = None
        self._events: Counter[str] = Counter()
        self._refused_once = False
        self._spool = Spool(folder, max_bytes=max_bytes, is_batch=is_batch, on_drop=partial(self._account, "lost"))
        # Where an attempt can't be broken off, nobody waits for it for ever.
        self._thread = threading.Thread(target=self._main, name=f"{label} sender", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._spool)

    @property
    def counts(self) -> OutputCounts:
        """Events so far; those of batches that an earlier run has left are not counted."""
        return OutputCounts(
            written=self._events["written"],
            retried=self._events["retried"],
            lost=self._events["lost"],
            refused=self._events["refused"],
        )

    def add(self, name: str, body: bytes, events: int) -> None:
        """Keep a batch, to be delivered after those before it; as ``Spool.add``."""
        self._spool.add(name, body, events)
        with self._changed:
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise what ended the thread, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self, linger_s: float, *, abort: Callable[[], None] | None = None) -> int:
        """Give the other side a bounded time to take what is left; returns how many batches stay for the next run.

        Args:
            linger_s: seconds, at most, though the attempt that is under way is waited for as long again.
            abort: breaks off an attempt; without, one that goes on is left to itself, and holds the folder until its
                end.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(linger_s)
        with self._changed:
            self._give_up = True
            self._changed.notify_all()
        while abort is not None and self._thread.is_alive():
            # The thread may be about to connect: once is not always enough.
            abort()
            self._thread.join(0.1)
        self._thread.join(linger_s)
        return len(self._spool)

    def _account(self, kind: str, batch: Batch) -> None:
        self._events[kind] += batch.events

    def _main(self) -> None:
        try:
            self._deliver_all()
        except BaseException as error:  # noqa: BLE001 - raised in the pipeline's thread
            self._failure = error
        finally:
            self._spool.close()

    def _deliver_all(self) -> None:
        failures = 0
        while batches := self._next():
            last_try = self._closing
            answer = self._deliver(batches)
            if answer.taken or answer.refused:
                failures = 0
                continue
            if last_try:
                return
            failures += 1
            self._events["retried"] += 1
            if failures == 1 and not self._give_up:
                logger.warning("%s: %s; trying again", self._label, answer.trouble)
            longest_s = min(self._retry_most_s, _RETRY_FIRST_S * 2 ** min(failures - 1, 16))
            # Spread, so that many cameras don't come back all at once.
            pause_s = random.uniform(longest_s / 2, longest_s)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, pause_s)

    def _next(self) -> Sequence[Batch]:
        """What is to be sent next, when there is something; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._spool) or self._closing or self._give_up)
            return [] if self._give_up else self._spool.oldest(self._at_once(len(self._spool)))

    def _deliver(self, batches: Sequence[Batch]) -> Answer:
        """Try once with what of these is still there."""
        there: list[Batch] = []
        bodies: list[bytes] = []
        for batch in batches:
            try:
                bodies.append(batch.path.read_bytes())
                there.append(batch)
            except OSError as error:
                if batch not in self._spool:
                    continue  # dropped for lack of room just now
                if not isinstance(error, FileNotFoundError) or not self._spool.present:
                    return Answer(trouble=f"cannot read {batch.path}: {error.strerror}")
                logger.warning("%s is gone: somebody has deleted it", batch.path)
                self._account("lost", batch)
                self._spool.done(batch)
        if not there:
            return Answer(taken=True)
        answer = self._send(there, bodies)
        if answer.refused and not self._refused_once:
            self._refused_once = True
            logger.warning("%s: %s; what it refuses is dropped", self._label, answer.trouble)
        for batch in there if answer.taken or answer.refused else ():
            for kind in ("written",) if answer.taken else ("lost", "refused"):
                self._account(kind, batch)
            self._spool.done(batch)
        return answer
