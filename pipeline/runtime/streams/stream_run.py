"""One stream of a run: its frames through filters, tracker and analytics into its sinks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import Event
from pipeline.evidence.desk import StreamEvidence
from pipeline.rules.alert import Moment
from pipeline.runtime.intake import Inlet, Intake
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.report import StreamReport
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.first_error import FirstError
from pipeline.runtime.streams.manner import Manner
from pipeline.runtime.streams.privacy import StreamPrivacy
from pipeline.runtime.streams.reading import StreamReading
from pipeline.runtime.streams.stream import EndReason, Stream, StreamStatus
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_events import StreamEvents
from pipeline.runtime.streams.stream_past import StreamPast
from pipeline.runtime.streams.tracking import StreamTracking
from pipeline.runtime.timing import Timings
from pipeline.sampling.groups import SampleGroups
from pipeline.types import ClockedSource, Detections, Frame, SourceInfo, TrackedFrame

logger = logging.getLogger(__name__)

# A live source may be in a read that ends only at its timeout; its thread is then left to end by itself.
STOP_S = 0.5
# How long evidence that is under way is waited for at a stream's end.
_EVIDENCE_S, _LIVE_EVIDENCE_S = 30.0, 2.0


class StreamRun:
    """A stream while it runs. Only the thread that runs the pipeline uses it.

    Attributes:
        name: of the stream.
        stream: what to do.
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
        live = stream.source.info.live
        self.name = stream.source.stream
        self.account = account
        self.latency = account.latency
        self.successor: StreamRun | None = None
        self.stream = stream
        self._class_names = class_names
        self._ledger = account.ledger
        own_before = None if before is None else before._own
        self._own: SinkGroup = SinkGroup(
            stream.sinks,
            live=live,
            capacity=sink_queue,
            memory=memory,
            timings=timings,
            before=own_before,
            beside=shared,
        )
        self._shared = shared
        self._groups = (self._own, shared)
        self._stamper = stamper
        self._events = StreamEvents(self.name, class_names, stamper, frozen_after_s=stream.frozen_after_s)
        self._timings = timings
        self._state: Literal["waiting", "online", "offline"] = "waiting"
        self._opened = self._finished = False
        self._shown = 0
        self._went_s = 0.0  # media time at which it went offline
        self._halfway = False  # whether a frame is on its way to the sinks, or never reached them all
        self._offline_s: float | None = None  # since when it is known to be
        self._changed_s: float | None = None  # since when its sinks are told that it is, because it was changed
        self._tracking = StreamTracking(stream, account, self._events, timings)
        self._evidence = None if stream.evidence is None else StreamEvidence(self.name, stream.evidence, stamper)
        self._privacy: StreamPrivacy | None = None
        self._privacy = self._find_privacy(stream)
        counts_on = before is not None and stream.analytics is before.stream.analytics
        self._counting = before._manner.analytics if before is not None and counts_on else None
        self._manner: Manner = self._find_manner(stream.source.info)
        self._reading: StreamReading = StreamReading(
            stream.source,
            intake,
            account,
            timings,
            queue=queue,
            frame_s=0.0 if before is None else before._frame_s,
            before=None if before is None else before._reading,
        )

    @property
    def live(self) -> bool:
        """Whether it is live; True until that is known."""
        return self._manner.live

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
        return self._manner.gathering

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

    def _find_privacy(self, stream: Stream) -> StreamPrivacy | None:
        if self._evidence is not None:
            last_s = self.account.last_pts_s
            self._evidence.hide(stream.privacy is not None, float("-inf") if last_s is None else last_s)
        return None if stream.privacy is None else StreamPrivacy(stream.privacy, self._class_names, self._privacy)

    def _find_manner(self, info: SourceInfo) -> Manner:
        return Manner.of(self.stream, info, self._class_names, self._stamper, counting=self._counting)

    def begin(self, info: SourceInfo) -> None:
        """Announce the stream to its sinks. A camera that is off yet has no size then; ``_online`` tells it.

        One that takes the place of another is announced to its new sinks only: to the others it was offline for a
        moment.
        """
        if info.live != self.live:
            self._manner = self._find_manner(info)
        if not info.live:
            self._own.wait_for_all()
        if not self._opened:
            self._open(info)

    def process(self, frame: Frame, detections: Detections | None) -> None:
        """Take one frame all the way to the sinks; ``None`` where the detector did not look."""
        tracking, settler = self._tracking, self._manner.settler
        if self._privacy is not None and detections is not None:
            self._privacy.look(frame, detections)
        tracked = tracking.update(frame, detections)
        for final in (tracked,) if settler is None else settler.add(tracked, tracking.sighted, tracking.motion):
            self._deliver(final)
        self._manner.gathering.observe(tracked, time.monotonic() - frame.captured_s)

    def _deliver(self, tracked: TrackedFrame) -> None:
        """Take a frame whose tracks are final to the sinks."""
        tracked, frame = self._tracking.numbered(tracked), tracked.frame
        self._halfway, self._shown = True, len(tracked.tracks)
        if self._changed_s is not None:
            self._send(self._events.online(frame.pts_s, time.monotonic() - self._changed_s, self.info))
            self._changed_s = None
        # Before a track that ends now is told to have ended.
        named = self._tracking.classify(tracked)
        with self._timings.stage("analytics"):
            found = [*named, *self._manner.analytics.update(tracked)]
            if (facts := self._manner.analytics.facts(tracked.tracks)) is not None:
                tracked = replace(tracked, facts=facts)
        # After a track is told to have begun, or to have ended.
        found += self._tracking.link(tracked)
        if self.stream.rules:
            with self._timings.stage("rules"):
                now = self._moment(frame.pts_s, frame.captured_s)
                found += self._manner.rules.update(self._manner.analytics.turns, now)
        if self._privacy is not None:
            tracked = self._privacy.hidden(tracked)
        if self._evidence is not None:
            found = self._evidence.named(found)
        with self._timings.stage("sinks"):
            for group in self._groups:
                group.on_result(tracked, found)
        self.account.last_pts_s, self.account.newest_s = frame.pts_s, frame.captured_s
        self._state, self._offline_s = "online", None
        self._ledger.processed()
        self._halfway = False
        if self._evidence is not None:
            self._send(*self._evidence.ready(frame.pts_s, frame.captured_s))
        now_s = time.monotonic()
        self.latency.add(now_s - frame.captured_s)
        if self.live:
            self._send(*self._events.still(frame))
            self._tell_stats(now_s)

    def _tell_stats(self, now_s: float) -> None:
        """Send ``stats`` at intervals. Files have none: the same file is to give the same events."""
        clock_steps = source.clock_steps if isinstance(source := self.stream.source, ClockedSource) else 0
        stats = self._events.stats(now_s, self.media_s, self._ledger, self.latency, self._groups, clock_steps)
        if stats is not None:
            self._send(stats)

    def status(self) -> StreamStatus:
        """How it is doing now; for any thread."""
        latency = {percent: 1000 * self.latency.percentile(percent) for percent in (50, 95)}
        account, rates = self._ledger.snapshot(), self._ledger.rates()
        outputs = {**self._shared.counts(), **self._own.counts()}
        return StreamStatus(
            self.name,
            self._state,
            account,
            latency[50],
            latency[95],
            rates,
            self.info,
            outputs=outputs,
            queues={**self._shared.queues(), **self._own.queues()},
            objects=self._shown,
            newest_s=self.account.newest_s,
        )

    def _offline(self, reason: str) -> None:
        """The source went away: tracks end, since what comes after the gap may be another scene."""
        if self.successor is not None:
            self.successor._offline(reason)
        if self._finished or self._changed_s is not None:
            return  # it was told while the stream was being ended, or is known already
        if self._manner.settler is not None:
            for tracked in self._manner.settler.flush():
                self._deliver(tracked)
        self._state, self._offline_s, self._went_s = "offline", time.monotonic(), self.media_s
        self.account.went_offline()
        events = [*self._tracking.end(), *self._manner.analytics.gap()]
        self._send(*events, self._events.offline(self.media_s, reason))
        self._send(*self._manner.rules.go(events, self._moment(self._went_s)))

    @property
    def waits(self) -> bool:
        """Whether something may come to pass though no frame comes: it is offline, and there are rules, or evidence."""
        due = bool(self.stream.rules) or (self._evidence is not None and self._evidence.waits)
        return self._offline_s is not None and due

    def wait(self) -> None:
        """Have rules know that time goes on while it is offline."""
        if self._offline_s is not None:
            now_s = self._went_s + time.monotonic() - self._offline_s
            self._send(*self._manner.rules.wait(self._moment(now_s)))
            if self._evidence is not None:
                self._send(*self._evidence.ready(now_s))

    def _moment(self, pts_s: float, captured_s: float | None = None) -> Moment:
        return Moment(pts_s, captured_s, self._stamper.utc_s(captured_s))

    def _online(self, offline_s: float) -> None:
        """The source is back."""
        if self.successor is not None:
            self.successor._online(offline_s)
        if self._finished or self._changed_s is not None:
            return
        self._state, self._offline_s = "online", None
        self.account.came_back(offline_s)
        # Media time went on meanwhile, by the clock on the wall.
        last_s = self.account.last_pts_s
        back_s = 0.0 if last_s is None else max(self._went_s, last_s + offline_s)
        self._send(self._events.online(back_s, offline_s, self.info))

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
        self._deliver_rest(first)
        named: list[Event] = []
        if self._opened:
            with first:
                named = self._tracking.end()
        reason = "error" if first.error is not None else reason
        self._ledger.settle(reason)
        if self._opened:
            with first:
                last = [*named, *self._manner.analytics.finish()]
                last += self._manner.rules.finish(last, self._moment(self.media_s))
                self._send(*last)
                self._send_evidence()
                self._send(self._events.ended(self.media_s, reason, first.error, self._ledger.snapshot()))
        failure = self._own.close(first.error)
        self.account.error = first.error or failure
        self._enter_totals()
        self._enter_outputs()
        return self.account.error

    def adjust(self, stream: Stream) -> None:
        """Go on as another description says that has the very same source, tracker, classifier and sinks.

        Tracks, windows and totals go on. Where other frames are to be looked at, none may be with the detector.
        """
        if stream.detect_every != self.stream.detect_every:
            self._manner = self._manner.paced(stream)
        if stream.frozen_after_s != self.stream.frozen_after_s:
            self._events.watch_for_still(stream.frozen_after_s)
        changed: list[Event] = []
        if stream.analytics is not self.stream.analytics:
            removed = self._manner.analytics.change(stream.analytics.zones, stream.analytics.lines)
            self.account.add_totals({}, removed.zones, removed.lines)
            changed = removed.events
            self._send(*changed)
        if stream.privacy != self.stream.privacy:
            self._privacy = self._find_privacy(stream)
        if changed or tuple(stream.rules) != tuple(self.stream.rules):
            self._send(*self._manner.rules.change(stream.rules, changed, self._moment(self.media_s)))
        self.stream = stream
        self._tracking.adjust(stream)

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
        self._deliver_rest(first)
        if self._opened:
            with first:
                self._send(*self._changing(successor))
                self._send_evidence()
        if not source_goes_on:
            self._ledger.settle("removed")
        failure = self._own.close(first.error, after=successor._own)
        self._enter_outputs(after=successor._own)
        self.account.error = first.error or failure or self.account.error
        if self.account.error is not None:
            logger.error("%s: %s", self.name, self.account.error)

    def _changing(self, successor: StreamRun) -> list[Event]:
        """What is told where a stream is changed. One that is offline already stays so until the next frame."""
        analytics, told_s = self._manner.analytics, self._offline_s or self._changed_s
        successor._changed_s = told_s or time.monotonic()
        events = self._tracking.end()
        if successor._counting is analytics:
            events += analytics.gap()
        else:
            events += analytics.finish()
            self._enter_totals()
        events += self._manner.rules.finish(events, self._moment(self.media_s), "reload")
        return events if told_s else [*events, self._events.offline(self.media_s, "its configuration was changed")]

    def _enter_totals(self) -> None:
        found = self._manner.analytics
        self.account.add_totals(found.objects(), found.zone_totals(), found.line_totals())

    def _enter_outputs(self, after: SinkGroup | None = None) -> None:
        own = self._own
        self.account.add_outputs(
            own.lost(after=after), own.missed_events(after=after), own.counts(after=after), own.latency(after=after)
        )

    def _deliver_rest(self, first: FirstError) -> None:
        """Take the frames that still wait to the sinks; ``first`` learns what went wrong."""
        # Behind a frame that did not reach all sinks none follows: they would see a gap, and tracks that never started.
        if self._manner.settler is not None and not self._halfway:
            with first:
                for tracked in self._manner.settler.flush():
                    self._deliver(tracked)

    @property
    def info(self) -> SourceInfo:
        """What its source says of itself now."""
        return self.stream.source.info

    @property
    def media_s(self) -> float:
        """Seconds of media time from the first frame to the end of the last one processed."""
        return 0.0 if self.account.last_pts_s is None else self.account.last_pts_s + self._frame_s

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
        so_far, found = self.account.copy(), self._manner.analytics
        so_far.add_totals(found.objects(), found.zone_totals(), found.line_totals())
        return so_far

    def _report(self, account: StreamAccount) -> StreamReport:
        return account.report(media_s=self.media_s, live=self.live, shown_from=self.stream.shown_from)

    @property
    def _frame_s(self) -> float:
        fps = self.stream.source.info.fps
        return float(1 / fps) if fps else 0.0

    def _open(self, info: SourceInfo) -> None:
        self._opened = True
        if self._changed_s is not None:
            self._own.open(self.name, info, self._class_names)
            return
        for group in self._groups:
            group.open(self.name, info, self._class_names)
        self._send(self._events.started(info, self.media_s))

    def _send_evidence(self) -> None:
        """Tell of the evidence that is still under way, once it is there."""
        if self._evidence is not None:
            within_s = _LIVE_EVIDENCE_S if self.live else _EVIDENCE_S
            self._send(*self._evidence.finish(self.media_s, within_s))

    def _send(self, *events: Event) -> None:
        told = events if self._evidence is None else self._evidence.named(events)
        for group in self._groups:
            for event in told:
                group.on_event(event)
