"""Events posted to a web server in batches, again and again until it has taken them. See docs/feeds.md."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline.event_codec import encode_json, event_kinds
from pipeline.events import Event, OutputCounts
from pipeline.files import BYTES_PER_MB, OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.batching import Batcher
from sinks.integrations.http_target import WebhookTarget
from sinks.integrations.spool import Batch, check_spool, spool_files
from sinks.integrations.spool_sender import Answer, SpoolSender
from sinks.integrations.webhook_pictures import as_multipart, encode_with_picture

logger = logging.getLogger(__name__)

# A server that answers so has read the batch and will never take it.
_HOPELESS = frozenset({400, 413, 415, 422})


class WebhookSink(Sink):
    """Posts batches of events to a web server: a JSON array each, in order, one at a time.

    A batch is kept on the disk until the server answered with a 2xx status, so each arrives at least once, also after
    a restart; its ``Idempotency-Key`` header is the same every time, for a receiver that wants it only once. Anything
    else is tried again, ever more slowly, except for 400, 413, 415 and 422: those batches are dropped and counted.
    Redirects are not followed. The pipeline never waits for the server. In a run with a camera, a spool that can't be
    written to for a while is tried again while events wait in memory, up to 100,000.

    Args:
        url: ``http://`` or ``https://``; a user and password in it are sent as basic authentication.
        spool: folder where batches wait; made if its parent is there. One per sink.
        types: the event types to send; all by default.
        headers: more headers, such as ``Authorization``.
        secret: adds ``X-Sightline-Signature: sha256=`` and the hexadecimal HMAC-SHA256 of the body with this key.
        batch_s: seconds that events are gathered for.
        batch_events: most events of a batch.
        evidence: folder of the evidence, whose pictures are sent with their ``evidence.ready``; None sends none.
        multipart: whether they are files in ``multipart/form-data``; in base64 within the events if not.
        max_spool_mb: million bytes of batches that may wait; beyond it the oldest go.
        timeout_s: seconds that a server may take to connect, and between bytes.
        retry_most_s: longest pause in seconds between two tries.
        linger_s: seconds that ``close`` waits, at most, while batches are being delivered; what the server does not
            take is sent by the next run.

    Attributes:
        delivered, rejected: batches so far.

    Raises:
        SinkError: a URL that can't be used.
        ConfigError: an event type that does not exist.
    """

    may_stall = False  # it has threads of its own

    def __init__(
        self,
        url: str,
        *,
        spool: str | os.PathLike[str],
        types: Collection[str] | None = None,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        batch_s: float = 1.0,
        batch_events: int = 500,
        evidence: str | os.PathLike[str] | None = None,
        multipart: bool = False,
        max_spool_mb: float = 100.0,
        timeout_s: float = 10.0,
        retry_most_s: float = 60.0,
        linger_s: float = 5.0,
    ) -> None:
        if min(batch_s, batch_events, max_spool_mb, timeout_s, retry_most_s) <= 0 or linger_s < 0:
            raise ValueError("batch_s, batch_events, max_spool_mb, timeout_s, retry_most_s: expected more than 0")
        self._target = WebhookTarget(url, headers or {}, secret, timeout_s)
        self._folder = Path(spool)
        self._kinds = event_kinds(types)
        self._batch_s = batch_s
        self._batch_events = batch_events
        self._evidence = None if evidence is None else Path(evidence)
        self._multipart = multipart
        self._max_bytes = int(max_spool_mb * BYTES_PER_MB)
        self._retry_most_s = retry_most_s
        self._linger_s = linger_s
        self._batcher: Batcher[Event] | None = None
        self._sender: SpoolSender | None = None
        self.delivered = 0
        self.rejected = 0
        self._gathered = OutputCounts()

    def check(self) -> None:
        """Make the spool's folder; raise ``SinkError`` if it can't be used. The server may come later."""
        check_spool(self._folder)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The batches that wait in the spool's folder."""
        return [spool_files("the webhook's spool", self._folder)]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Begin with what an earlier run left."""
        if self._batcher is not None:
            self._batcher.patient |= info.live
            return
        self._sender = SpoolSender(
            self._folder,
            max_bytes=self._max_bytes,
            is_batch=_is_batch,
            send=self._send,
            label=f"webhook {self._target}",
            retry_most_s=self._retry_most_s,
        )
        self._batcher = Batcher(
            partial(self._keep, self._sender),
            name="webhook",
            period_s=self._batch_s,
            most=self._batch_events,
            when_full="drop",
            patient=info.live,
        )

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events of the types to send."""
        return type(item) in self._kinds

    def counts(self) -> OutputCounts:
        """Events so far; ``written`` are those that the server has taken."""
        gathered = self._gathered if self._batcher is None else self._batcher.counts
        sent = OutputCounts() if self._sender is None else self._sender.counts
        return OutputCounts(
            given=gathered.given,
            written=sent.written,
            retried=gathered.retried + sent.retried,
            lost=gathered.lost + sent.lost,
            unseen=gathered.unseen,
            refused=sent.refused,
        )

    def on_event(self, event: Event) -> None:
        """Hand an event over; never waits.

        Raises:
            SinkError: the spool could not be written.
        """
        if self._batcher is None or self._sender is None:
            raise RuntimeError("WebhookSink: an event came before open")
        if self.takes(event) and not self._batcher.put(event) and self._batcher.dropped == 1:
            logger.warning("webhook %s: the disk does not keep up; events are dropped", self._target)
        self._sender.raise_failure()

    def close(self, error: BaseException | None = None) -> None:
        """Give the server a bounded time to take what is left; the rest stays on the disk for the next run."""
        batcher, self._batcher = self._batcher, None
        if batcher is None or self._sender is None:
            return
        try:
            batcher.close()
        finally:
            self._gathered = batcher.counts
            left = self._sender.close(self._linger_s, abort=self._target.abort)
            if left:
                logger.warning("webhook %s: %d batches wait in %s for the next run", self._target, left, self._folder)
        self._sender.raise_failure()

    def _keep(self, sender: SpoolSender, events: Sequence[Event]) -> None:
        folder = self._evidence
        for start in range(0, len(events), self._batch_events):
            part = events[start : start + self._batch_events]
            encoded = [encode_json(event) if folder is None else encode_with_picture(event, folder) for event in part]
            sender.add(
                f"{_safe(part[0].run)}_{part[0].seq}-{part[-1].seq}", b"[" + b",".join(encoded) + b"]", len(part)
            )

    def _send(self, batches: Sequence[Batch], bodies: Sequence[bytes]) -> Answer:
        kind, body = as_multipart(bodies[0]) if self._multipart else ("application/json", bodies[0])
        status = self._target.post(body, batches[0].name, kind)
        taken = status is not None and 200 <= status < 300
        refused = status in _HOPELESS
        self.delivered += taken
        self.rejected += refused
        return Answer(taken=taken, refused=refused, trouble=self._target.trouble)


def _is_batch(first: bytes, last: bytes) -> bool:
    """Whether a file is a whole batch, by its beginning and its end."""
    return first.startswith(b'[{"type":"') and last.endswith(b"}]")


def _safe(run: str) -> str:
    """A run's name as part of a file name; a UUID stays as it is."""
    if run.isascii() and run.replace("-", "").isalnum() and len(run) <= 64:
        return run
    return hashlib.sha256(run.encode()).hexdigest()[:32]
