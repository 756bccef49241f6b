"""One stream of a run, from its first attempt to read to the last event: its life. `delivery` is what it does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import Event
from pipeline.runtime.intake import Inlet, Intake
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.report import StreamReport
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.delivery import StreamDelivery
from pipeline.runtime.streams.first_error import FirstError
from pipeline.runtime.streams.reading import StreamReading
from pipeline.runtime.streams.stream import EndReason, Stream, StreamStatus
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_past import StreamPast
from pipeline.runtime.timing import Timings
from pipeline.sampling.groups import SampleGroups
from pipeline.types import Detections, Frame, SourceInfo

logger = logging.getLogger(__name__)

# A live source may be in a read that ends only at its timeout; its thread is then left to end by itself.
STOP_S = 0.5


class StreamRun:
    """A stream while it runs. Only the thread that runs the pipeline uses it.

    Attributes:
        name: of the stream.
        latency: of its frames, from capture to the sinks.
        account: of all streams of its name.
        successor: the run that took its place, if one did.

    Args:
        stream: what to do.
        class_names: of the detector.
        shared: the sinks that all streams share, already checked.
        stamper: numbers the run's events.
        timings: of the run.
        intake: where its frames go.
        memory: says whether there is room for their pictures.
        queue: decoded frames of a file that may wait.
        sink_queue: frames that may wait for a sink of its own.
        account: of all streams of this name in this run.
        before: the run that this one takes the place of. Its source, its sinks and its ``Stream.analytics`` go on where
            ``stream`` has the very same ones; ``before.hand_over(self)`` is to follow, then ``start``.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        class_names: Sequence[str],
        shared: SinkGroup,
        stamper: EventStamper,
        timings: Timings,
        intake: Intake,
        memory: PictureMemory,
        queue: int,
        sink_queue: int,
        account: StreamAccount,
        before: StreamRun | None = None,
    ) -> None:
        self.name = stream.source.stream
        self.account = account
        self.latency = account.latency
        self.successor: StreamRun | None = None
        self._class_names = class_names
        self._opened = self._finished = False
        self._own: SinkGroup = SinkGroup(
            stream.sinks,
            live=stream.source.info.live,
            capacity=sink_queue,
            memory=memory,
            timings=timings,
            before=None if before is None else before._own,
            beside=shared,
        )
        self._shared = shared
        self._groups = (self._own, shared)
        counts_on = before is not None and stream.analytics is before.stream.analytics
        self._delivery: StreamDelivery = StreamDelivery(
            stream,
            class_names=class_names,
            groups=self._groups,
            stamper=stamper,
            timings=timings,
            account=account,
            counting=before._delivery.manner.analytics if before is not None and counts_on else None,
        )
        self._reading: StreamReading = StreamReading(
            stream.source,
            intake,
            account,
            timings,
            queue=queue,
            frame_s=0.0 if before is None else before._delivery.frame_s,
            before=None if before is None else before._reading,
        )

    @property
    def stream(self) -> Stream:
        """What to do."""
        return self._delivery.stream

    @property
    def live(self) -> bool:
        """Whether it is live; True until that is known."""
        return self._delivery.live

    @property
    def inlet(self) -> Inlet:
        """Where its source's frames come in."""
        return self._reading.inlet

    @property
    def reading(self) -> bool:
        """Whether frames may be coming."""
        return self._reading.active

    @property
    def gathering(self) -> SampleGroups:
        """Takes its frames before the detector does."""
        return self._delivery.manner.gathering

    def check(self) -> None:
        """Raise ``SinkError`` if one of its own outputs can't work."""
        self._own.check()

    def start(self, begin: Callable[[SourceInfo], None]) -> None:
        """Begin to decode, where that does not go on from the run before.

        Args:
            begin: is to call ``begin``; called at once, or by the thread that runs the pipeline, before the first frame
                comes, where what the source is shows only with the first attempt to open it.
        """
        self._reading.start(begin, on_offline=self._offline, on_online=self._online)

    def begin(self, info: SourceInfo) -> None:
        """Announce the stream to its sinks. A camera that is off yet has no size then; ``_online`` tells it.

        One that takes the place of another is announced to its new sinks only: to the others it was offline for a
        moment.
        """
        self._delivery.know(info)
        if not info.live:
            self._own.wait_for_all()
        if not self._opened:
            self._open(info)

    def process(self, frame: Frame, detections: Detections | None) -> None:
        """Take one frame all the way to the sinks; ``None`` where the detector did not look."""
        self._delivery.process(frame, detections)

    def status(self) -> StreamStatus:
        """How it is doing now; for any thread."""
        latency = {percent: 1000 * self.latency.percentile(percent) for percent in (50, 95)}
        account, rates = self.account.ledger.snapshot(), self.account.ledger.rates()
        outputs = {**self._shared.counts(), **self._own.counts()}
        return StreamStatus(
            self.name,
            self._delivery.presence.state,
            account,
            latency[50],
            latency[95],
            rates,
            self.info,
            outputs=outputs,
            queues={**self._shared.queues(), **self._own.queues()},
            objects=self._delivery.shown,
            newest_s=self.account.newest_s,
        )

    def _offline(self, reason: str) -> None:
        """The source went away."""
        if self.successor is not None:
            self.successor._offline(reason)
        # It may have been told while the stream was being ended, or is known already.
        if not self._finished and self._delivery.presence.changed_since is None:
            self._delivery.gap(reason)

    def _online(self, offline_s: float) -> None:
        """The source is back."""
        if self.successor is not None:
            self.successor._online(offline_s)
        if not self._finished and self._delivery.presence.changed_since is None:
            self._delivery.resume(offline_s)

    @property
    def waits(self) -> bool:
        """Whether something may come to pass though no frame comes: it is offline, and rules or evidence wait."""
        return self._delivery.waits

    def wait(self) -> None:
        """Have rules and evidence know that time goes on while it is offline."""
        self._delivery.wait()

    def stop_reading(self, reason: EndReason) -> None:
        """Have the source come to its end, without waiting for it."""
        self._reading.stop(reason, 0)

    def finish(
        self, reason: EndReason, error: BaseException | None = None, *, within_s: float = STOP_S
    ) -> BaseException | None:
        """Stop decoding, send what is still due, and close the stream's own sinks.

        Args:
            reason: why it ends.
            error: what it ends with, if it failed.
            within_s: how long to wait for a live source to come to its end.

        Returns:
            The error that ended the stream, or that it met in ending; None if all went well.
        """
        self._reading.stop(reason, within_s if self.live else None)
        first = FirstError(error)
        with first:
            # A stream that ends before it was known what it is.
            if error is None and not self._opened and reason != "error":
                self._open(self.info)
        self._finished = True
        delivery = self._delivery
        delivery.flush_rest(first)
        named: list[Event] = []
        if self._opened:
            with first:
                named = delivery.tracking.end()
        reason = "error" if first.error is not None else reason
        self.account.ledger.settle(reason)
        if self._opened:
            with first:
                last = [*named, *delivery.manner.analytics.finish()]
                last += delivery.manner.rules.finish(last, delivery.moment(self.media_s))
                delivery.send(*last)
                delivery.send_evidence()
                account = self.account.ledger.snapshot()
                delivery.send(delivery.events.ended(self.media_s, reason, first.error, account))
        failure = self._own.close(first.error)
        self.account.error = first.error or failure
        self._enter_totals()
        self._enter_outputs()
        return self.account.error

    def adjust(self, stream: Stream) -> None:
        """Go on as another description says that has the very same source, tracker, classifier and sinks.

        Tracks, windows and totals go on. Where other frames are to be looked at, none may be with the detector.
        """
        self._delivery.adjust(stream)

    def hand_over(self, successor: StreamRun) -> None:
        """End in favour of a run that was made to take the place of this one, before that one starts.

        Every frame that came until now has been processed. Tracks end, as at a gap; whatever goes on in the successor
        is left as it is, and the rest is closed. What goes wrong at that is logged and told in the report.
        """
        source_goes_on = successor.inlet is self.inlet
        if not source_goes_on:
            self._reading.stop("removed", STOP_S if self.live else None)
        self._finished, self.successor = True, successor
        first = FirstError()
        self._delivery.flush_rest(first)
        if self._opened:
            with first:
                self._delivery.send(*self._changing(successor))
                self._delivery.send_evidence()
        if not source_goes_on:
            self.account.ledger.settle("removed")
        failure = self._own.close(first.error, after=successor._own)
        self._enter_outputs(after=successor._own)
        self.account.error = first.error or failure or self.account.error
        if self.account.error is not None:
            logger.error("%s: %s", self.name, self.account.error)

    def _changing(self, successor: StreamRun) -> list[Event]:
        """What is told where a stream is changed. One that is offline already stays so until the next frame."""
        delivery, presence = self._delivery, self._delivery.presence
        analytics, told_since = delivery.manner.analytics, presence.offline_since or presence.changed_since
        successor._delivery.presence.changed_since = told_since or time.monotonic()
        events = delivery.tracking.end()
        if successor._delivery.counting is analytics:
            events += analytics.gap()
        else:
            events += analytics.finish()
            self._enter_totals()
        events += delivery.manner.rules.finish(events, delivery.moment(self.media_s), "reload")
        if told_since is None:
            events.append(delivery.events.offline(self.media_s, "its configuration was changed"))
        return events

    def _enter_totals(self) -> None:
        found = self._delivery.manner.analytics
        self.account.add_totals(found.objects(), found.zone_totals(), found.line_totals())

    def _enter_outputs(self, after: SinkGroup | None = None) -> None:
        own = self._own
        self.account.add_outputs(
            own.lost(after=after), own.missed_events(after=after), own.counts(after=after), own.latency(after=after)
        )

    @property
    def info(self) -> SourceInfo:
        """What its source says of itself now."""
        return self.stream.source.info

    @property
    def media_s(self) -> float:
        """Seconds of media time from the first frame to the end of the last one processed."""
        return self._delivery.media_s

    def report(self) -> StreamReport:
        """What this stream, with all of its name before it, adds to the run's report."""
        return self._report(self.account)

    def report_so_far(self) -> StreamReport:
        """The same of a stream that runs."""
        so_far, own = self._so_far(), self._own
        so_far.add_outputs(own.lost(), own.missed_events(), own.counts(), own.latency())
        return self._report(so_far)

    def past(self) -> StreamPast:
        """What another process needs to go on from what this stream has come to."""
        return self._so_far().past()

    def _so_far(self) -> StreamAccount:
        so_far, found = self.account.copy(), self._delivery.manner.analytics
        so_far.add_totals(found.objects(), found.zone_totals(), found.line_totals())
        return so_far

    def _report(self, account: StreamAccount) -> StreamReport:
        return account.report(media_s=self.media_s, live=self.live, shown_from=self.stream.shown_from)

    def _open(self, info: SourceInfo) -> None:
        self._opened = True
        if self._delivery.presence.changed_since is not None:
            self._own.open(self.name, info, self._class_names)
            return
        for group in self._groups:
            group.open(self.name, info, self._class_names)
        self._delivery.send(self._delivery.events.started(info, self.media_s))
