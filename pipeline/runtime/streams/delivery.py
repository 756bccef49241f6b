"""What is done with a stream's frames: through filters, tracker, analytics and rules into its sinks.

process --tracking--> settler --tracked--> deliver --analytics, rules, evidence--> send --events--> sinks
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.events import Event
from pipeline.evidence.desk import StreamEvidence
from pipeline.rules.alert import Moment
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.first_error import FirstError
from pipeline.runtime.streams.manner import Manner
from pipeline.runtime.streams.presence import Presence
from pipeline.runtime.streams.privacy import StreamPrivacy
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_events import StreamEvents
from pipeline.runtime.streams.tracking import StreamTracking
from pipeline.runtime.timing import Timings
from pipeline.types import ClockedSource, Detections, Frame, SourceInfo, TrackedFrame

# How long evidence that is under way is waited for at a stream's end.
_EVIDENCE_S, _LIVE_EVIDENCE_S = 30.0, 2.0


class StreamDelivery:
    """Takes one stream's frames, in order, all the way to its sinks.

    Attributes:
        stream: what to do.
        manner: how, by the kind of its source.
        tracking: gives objects their ids.
        events: makes the events that are no finding.
        presence: whether its source is there.
        shown: number of tracks in the newest frame.
        counting: what counted before and goes on, if anything does.

    Args:
        stream: what to do.
        class_names: of the detector.
        groups: the sinks, the stream's own and those that it shares.
        stamper: numbers the run's events.
        timings: of the run.
        account: of all streams of this name in this run.
        counting: what counts already and is to go on, if anything is.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        class_names: Sequence[str],
        groups: tuple[SinkGroup, SinkGroup],
        stamper: EventStamper,
        timings: Timings,
        account: StreamAccount,
        counting: StreamAnalytics | None,
    ) -> None:
        name = stream.source.stream
        self.stream = stream
        self._class_names, self._groups = class_names, groups
        self._stamper, self._timings, self._account = stamper, timings, account
        self.counting = counting
        self.events = StreamEvents(name, class_names, stamper, frozen_after_s=stream.frozen_after_s)
        self.presence = Presence()
        self.shown = 0
        self._stays_s: float | None = None  # how long the newest frame is on screen, where its source says so
        self._halfway = False  # whether a frame is on its way to the sinks, or never reached them all
        self.tracking = StreamTracking(stream, account, self.events, timings)
        self._evidence = None if stream.evidence is None else StreamEvidence(name, stream.evidence, stamper)
        self._privacy: StreamPrivacy | None = None
        self._privacy = self._find_privacy(stream)
        self.manner: Manner = self._find_manner(stream.source.info)

    @property
    def live(self) -> bool:
        """Whether the source is live; True until that is known."""
        return self.manner.live

    @property
    def info(self) -> SourceInfo:
        """What the source says of itself now."""
        return self.stream.source.info

    @property
    def media_s(self) -> float:
        """Seconds of media time from the first frame to the end of the last one processed."""
        if self._account.last_pts_s is None:
            return 0.0
        return self._account.last_pts_s + (self.frame_s if self._stays_s is None else self._stays_s)

    @property
    def frame_s(self) -> float:
        """Seconds between two frames; 0 where the source tells no rate."""
        fps = self.info.fps
        return float(1 / fps) if fps else 0.0

    @property
    def waits(self) -> bool:
        """Whether something may come to pass though no frame comes: the source is away, and rules or evidence wait."""
        due = bool(self.stream.rules) or (self._evidence is not None and self._evidence.waits)
        return self.presence.offline_since is not None and due

    def know(self, info: SourceInfo) -> None:
        """It shows what the source is, before its first frame."""
        if info.live != self.live:
            self.manner = self._find_manner(info)

    def process(self, frame: Frame, detections: Detections | None) -> None:
        """Take one frame on; ``None`` where the detector did not look. With hindsight it reaches the sinks later."""
        tracking, settler = self.tracking, self.manner.settler
        if self._privacy is not None and detections is not None:
            self._privacy.look(frame, detections)
        tracked = tracking.update(frame, detections)
        for final in (tracked,) if settler is None else settler.add(tracked, tracking.sighted, tracking.motion):
            self._deliver(final)
        self.manner.gathering.observe(tracked, time.monotonic() - frame.captured_s)

    def flush(self) -> None:
        """Take the frames that still wait to the sinks."""
        if self.manner.settler is not None:
            for tracked in self.manner.settler.flush():
                self._deliver(tracked)

    def flush_rest(self, first: FirstError) -> None:
        """The same at the end; ``first`` learns what went wrong."""
        # Behind a frame that did not reach all sinks none follows: they would see a gap, and tracks that never started.
        if not self._halfway:
            with first:
                self.flush()

    def _deliver(self, tracked: TrackedFrame) -> None:
        """Take a frame whose tracks are final to the sinks."""
        tracked, frame = self.tracking.numbered(tracked), tracked.frame
        self._halfway, self.shown = True, len(tracked.tracks)
        self._tell_changed(frame)
        # Before a track that ends now is told to have ended.
        named = self.tracking.classify(tracked)
        with self._timings.stage("analytics"):
            found = [*named, *self.manner.analytics.update(tracked)]
            if (facts := self.manner.analytics.facts(tracked.tracks)) is not None:
                tracked = replace(tracked, facts=facts)
        # After a track is told to have begun, or to have ended.
        found += self.tracking.link(tracked)
        if self.stream.rules:
            with self._timings.stage("rules"):
                now = self.moment(frame.pts_s, frame.captured_s)
                found += self.manner.rules.update(self.manner.analytics.turns, now)
        if self._privacy is not None:
            tracked = self._privacy.hidden(tracked)
        if self._evidence is not None:
            found = self._evidence.named(found)
        with self._timings.stage("sinks"):
            for group in self._groups:
                group.on_result(tracked, found)
        self._account.last_pts_s, self._account.newest_s = frame.pts_s, frame.captured_s
        self._stays_s = frame.duration_s
        self.presence.come()
        self._account.ledger.processed()
        self._halfway = False
        self._tell_of(frame)

    def _tell_changed(self, frame: Frame) -> None:
        """Tell of the first frame after the stream was changed that it is back."""
        since = self.presence.changed_since
        if since is not None:
            self.send(self.events.online(frame.pts_s, time.monotonic() - since, self.info))
            self.presence.changed_since = None

    def _tell_of(self, frame: Frame) -> None:
        """What is told behind a frame: evidence that is there, and of a live stream that its picture stands still."""
        if self._evidence is not None:
            self.send(*self._evidence.ready(frame.pts_s, frame.captured_s))
        now_s = time.monotonic()
        self._account.latency.add(now_s - frame.captured_s)
        if self.live:
            self.send(*self.events.still(frame))
            self._tell_stats(now_s)

    def _tell_stats(self, now_s: float) -> None:
        """Send ``stats`` at intervals. Files have none: the same file is to give the same events."""
        account, source = self._account, self.stream.source
        clock_steps = source.clock_steps if isinstance(source, ClockedSource) else 0
        stats = self.events.stats(now_s, self.media_s, account.ledger, account.latency, self._groups, clock_steps)
        if stats is not None:
            self.send(stats)

    def wait(self) -> None:
        """Have rules and evidence know that time goes on while the source is away."""
        now_s = self.presence.now_s
        if now_s is not None:
            self.send(*self.manner.rules.wait(self.moment(now_s)))
            if self._evidence is not None:
                self.send(*self._evidence.ready(now_s))

    def gap(self, reason: str) -> None:
        """The source went away: tracks end, since what comes after the gap may be another scene."""
        self.flush()
        self.presence.go(self.media_s)
        self._account.went_offline()
        events = [*self.tracking.end(), *self.manner.analytics.gap()]
        self.send(*events, self.events.offline(self.media_s, reason))
        self.send(*self.manner.rules.go(events, self.moment(self.presence.went_s)))

    def resume(self, offline_s: float) -> None:
        """The source is back after so many seconds."""
        self.presence.come()
        self._account.came_back(offline_s)
        # Media time went on meanwhile, by the clock on the wall.
        last_s = self._account.last_pts_s
        back_s = 0.0 if last_s is None else max(self.presence.went_s, last_s + offline_s)
        self.send(self.events.online(back_s, offline_s, self.info))

    def adjust(self, stream: Stream) -> None:
        """Go on as another description says that has the very same source, tracker, classifier and sinks.

        Tracks, windows and totals go on. Where other frames are to be looked at, none may be with the detector.
        """
        if stream.detect_every != self.stream.detect_every:
            self.manner = self.manner.paced(stream)
        if stream.frozen_after_s != self.stream.frozen_after_s:
            self.events.watch_for_still(stream.frozen_after_s)
        changed: list[Event] = []
        if stream.analytics is not self.stream.analytics:
            removed = self.manner.analytics.change(stream.analytics.zones, stream.analytics.lines)
            self._account.add_totals({}, removed.zones, removed.lines)
            changed = removed.events
            self.send(*changed)
        if stream.privacy != self.stream.privacy:
            self._privacy = self._find_privacy(stream)
        if changed or tuple(stream.rules) != tuple(self.stream.rules):
            self.send(*self.manner.rules.change(stream.rules, changed, self.moment(self.media_s)))
        self.stream = stream
        self.tracking.adjust(stream)

    def moment(self, pts_s: float, captured_s: float | None = None) -> Moment:
        """A moment of media time, as rules reckon with it."""
        return Moment(pts_s, captured_s, self._stamper.utc_s(captured_s))

    def send_evidence(self) -> None:
        """Tell of the evidence that is still under way, once it is there."""
        if self._evidence is not None:
            within_s = _LIVE_EVIDENCE_S if self.live else _EVIDENCE_S
            # Stopping a camera takes a bounded time; a file's clips take as long as they do, if only they go on.
            self.send(*self._evidence.finish(self.media_s, within_s, for_each=not self.live))

    def send(self, *events: Event) -> None:
        """Tell all sinks."""
        told = events if self._evidence is None else self._evidence.named(events)
        for group in self._groups:
            for event in told:
                group.on_event(event)

    def _find_privacy(self, stream: Stream) -> StreamPrivacy | None:
        if self._evidence is not None:
            last_s = self._account.last_pts_s
            self._evidence.hide(stream.privacy is not None, float("-inf") if last_s is None else last_s)
        return None if stream.privacy is None else StreamPrivacy(stream.privacy, self._class_names, self._privacy)

    def _find_manner(self, info: SourceInfo) -> Manner:
        return Manner.of(self.stream, info, self._class_names, self._stamper, counting=self.counting)
