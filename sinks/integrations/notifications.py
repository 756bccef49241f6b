"""Alerts told to a person, with their picture. See docs/notifications.md."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec

from pipeline.errors import SinkError
from pipeline.event_codec import event_kinds
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event, EvidenceReady, OutputCounts
from pipeline.files import BYTES_PER_MB, OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.integrations.evidence_pictures import read_picture
from sinks.integrations.gathering import Gathered, Gathering
from sinks.integrations.notification import (
    Alert,
    Message,
    Notification,
    Severity,
    decode_notifications,
    encode_notifications,
    message_of,
    notification_of,
)
from sinks.integrations.spool import Batch, check_spool, spool_files
from sinks.integrations.spool_sender import Answer, SpoolSender

logger = logging.getLogger(__name__)

# Events that may wait for this sink's thread.
_CAPACITY = 10_000
# After so many attempts that failed each is followed by one without the picture: some services take none, or none so
# large, and do not say so.
_ATTEMPTS_WITH_PICTURE = 3


class Target(Protocol):
    """Who is told, and how. ``str()`` of it is its name."""

    def check(self) -> None:
        """Raise ``PipelineError`` if nothing could be sent."""
        ...

    def send(self, message: Message) -> str | None:
        """Send a message; returns what went wrong, in words without secrets, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts somebody wants to be told of; None stands for all.

    Attributes:
        rules, severities, streams: of the alert.
        types: of its events.
    """

    rules: Collection[str] | None = None
    severities: Collection[Severity] | None = None
    streams: Collection[str] | None = None
    types: Collection[str] = ("alert.started",)
    _kinds: frozenset[type[Event]] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kinds", event_kinds(self.types) & {AlertStarted, AlertUpdated, AlertEnded})

    def __contains__(self, event: object) -> bool:
        return (
            isinstance(event, AlertStarted | AlertUpdated | AlertEnded)
            and type(event) in self._kinds
            and (self.rules is None or event.rule in self.rules)
            and (self.severities is None or event.severity in self.severities)
            and (self.streams is None or event.stream in self.streams)
        )


class NotificationSink(Sink):
    """Tells one target of alerts, in order, each once, from threads of its own.

    A notification is kept on the disk until the target has taken it, also after a restart. One that was taken though
    no answer came is sent again. When ``digest_from`` or more wait, because many came or the target was away, one
    message tells of all.

    Args:
        target: who is told.
        wanted: of which alerts.
        spool: folder where notifications wait; made if its parent is there. One per sink.
        evidence: folder of the evidence; None where the run makes none.
        every_s: seconds between two messages about a rule of a stream; what comes meanwhile is told in one.
        digest_from: see above.
        wait_picture_s: seconds that an alert waits for its picture; it is told without one after that.
        max_spool_mb: million bytes of notifications that may wait; beyond it the oldest go.
        retry_most_s: longest pause in seconds between two tries.
        linger_s: seconds that ``close`` waits, at most, for the target to take what is left, and as long again for
            an attempt that is under way; the rest is sent by the next run.
    """

    may_stall = False  # it has threads of its own

    def __init__(
        self,
        target: Target,
        *,
        spool: str | os.PathLike[str],
        wanted: Wanted | None = None,
        evidence: str | os.PathLike[str] | None = None,
        every_s: float = 30.0,
        digest_from: int = 5,
        wait_picture_s: float = 2.0,
        max_spool_mb: float = 50.0,
        retry_most_s: float = 60.0,
        linger_s: float = 5.0,
    ) -> None:
        if min(every_s, wait_picture_s, linger_s) < 0 or min(max_spool_mb, retry_most_s) <= 0 or digest_from < 2:
            raise ValueError("expected times of 0 or more, max_spool_mb and retry_most_s above 0, digest_from above 1")
        self._target = target
        self.name = f"{type(self).__name__}-{target}"
        self._wanted = wanted or Wanted()
        self._folder = Path(spool)
        self._evidence = None if evidence is None else Path(evidence)
        self._digest_from = digest_from
        self._max_bytes = int(max_spool_mb * BYTES_PER_MB)
        self._retry_most_s = retry_most_s
        self._linger_s = linger_s
        self._gathering = Gathering(every_s=every_s, wait_picture_s=wait_picture_s)
        self._sender: SpoolSender | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._closing = False
        self._failure: BaseException | None = None
        self._given = self._unseen = self._unkept = 0
        self._failures: tuple[int, int] = (0, 0)

    def check(self) -> None:
        """Make the spool's folder; raise ``PipelineError`` if that, or the target, can't be used."""
        self._target.check()
        check_spool(self._folder)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """What waits in the spool's folder."""
        return [spool_files("the spool of notifications", self._folder)]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Begin with what an earlier run left."""
        if self._thread is not None:
            return
        self._sender = SpoolSender(
            self._folder,
            max_bytes=self._max_bytes,
            is_batch=_is_batch,
            send=self._send,
            label=f"notify {self._target}",
            retry_most_s=self._retry_most_s,
            at_once=lambda waiting: waiting if waiting >= self._digest_from else 1,
        )
        self._thread = threading.Thread(target=self._main, args=(self._sender,), name=f"notify {self._target}")
        self._thread.start()

    def takes(self, item: TrackedFrame | Event) -> bool:
        """The alerts that are wanted. Pictures are part of them."""
        return item in self._wanted

    def counts(self) -> OutputCounts:
        """Events so far; ``written`` are those that the target has taken, alone or with others."""
        sent = OutputCounts() if self._sender is None else self._sender.counts
        return sent + OutputCounts(given=self._given, lost=self._unseen + self._unkept, unseen=self._unseen)

    def on_event(self, event: Event) -> None:
        """Hand an event over; never waits."""
        if self._thread is None or self._sender is None:
            raise RuntimeError("NotificationSink: an event came before open")
        wanted = event in self._wanted
        if wanted or isinstance(event, EvidenceReady):
            with self._changed:
                self._given += wanted
                if len(self._events) >= _CAPACITY:
                    self._unseen += wanted
                    return
                self._events.append(event)
                self._changed.notify_all()
        self._raise_failure()

    def close(self, error: BaseException | None = None) -> None:
        """Give the target a bounded time to take what is left; the rest stays on the disk for the next run."""
        thread, self._thread = self._thread, None
        if thread is None or self._sender is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        thread.join()
        left = self._sender.close(self._linger_s)
        if left:
            logger.warning("notify %s: %d messages wait in %s for the next run", self._target, left, self._folder)
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self._sender is not None:
            self._sender.raise_failure()

    def _main(self, sender: SpoolSender) -> None:
        try:
            while self._step(sender):
                pass
        except BaseException as error:  # noqa: BLE001 - raised in the pipeline's thread
            self._failure = error

    def _step(self, sender: SpoolSender) -> bool:
        """Wait for something to do, and do it; False at the end."""
        next_s = self._gathering.next_s()
        wait_s = None if next_s is None else max(0.0, next_s - time.monotonic())
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closing, wait_s)
            events, closing = list(self._events), self._closing
            self._events.clear()
        now_s = time.monotonic()
        for event in events:
            if isinstance(event, EvidenceReady):
                self._gathering.add_picture(event)
            elif isinstance(event, AlertStarted | AlertUpdated | AlertEnded):
                self._gathering.add(event, now_s)
        for group in self._gathering.due(now_s):
            self._keep(sender, group)
        for group in self._gathering.rest(now_s) if closing else ():
            self._keep(sender, group)
        return not closing

    def _keep(self, sender: SpoolSender, group: Sequence[Gathered]) -> None:
        # Of several the newest picture is enough.
        pictured = next((one for one in reversed(group) if one.picture is not None), None)
        notifications = [self._notification(one.event, one.picture if one is pictured else None) for one in group]
        first = group[0].event
        try:
            sender.add(f"{first.run[:8]}-{first.seq}", encode_notifications(notifications), len(notifications))
        except SinkError as error:
            if not self._unkept:
                logger.warning("notify %s: %s; such notifications are lost", self._target, error)
            self._unkept += len(notifications)

    def _notification(self, event: Alert, evidence: EvidenceReady | None) -> Notification:
        if evidence is None or self._evidence is None:
            return notification_of(event)
        picture = read_picture(self._evidence, evidence, f"notify {self._target}")
        return notification_of(event) if picture is None else notification_of(event, picture, evidence.media_type)

    def _send(self, batches: Sequence[Batch], bodies: Sequence[bytes]) -> Answer:
        try:
            message = message_of([each for body in bodies for each in decode_notifications(body)])
        except msgspec.MsgspecError as error:
            return Answer(refused=True, trouble=f"{batches[0].path} holds no notification: {error}")
        trouble = self._target.send(message)
        number, failures = self._failures
        failures = failures if number == batches[0].number else 0
        if trouble is not None and message.picture is not None and failures >= _ATTEMPTS_WITH_PICTURE:
            with_picture, trouble = trouble, self._target.send(replace(message, picture=None))
            if trouble is None:
                logger.warning("notify %s: %s; it took the message without its picture", self._target, with_picture)
        self._failures = (batches[0].number, failures + 1)
        return Answer(taken=trouble is None, trouble=trouble or "")


def _is_batch(first: bytes, last: bytes) -> bool:
    """Whether a file is a whole batch, by its beginning and its end."""
    return first.startswith(b'[{"type":"alert.') and last.endswith(b"}]")
