"""One stream of a run: its frames through filters, tracker and analytics into its sinks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.analytics import StreamAnalytics, hold_for
from pipeline.events import Event, StreamEnded, StreamStarted
from pipeline.ledger import Ledger
from pipeline.report import ObjectCounts, StreamReport
from pipeline.stamp import EventStamper
from pipeline.timing import Timings
from pipeline.types import DetectionFilter, Detections, Frame, Sink, Source, TrackedFrame, Tracker

logger = logging.getLogger(__name__)

EndReason = Literal["end", "duration", "interrupted", "removed", "error"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """What to do with one source.

    Attributes:
        source: where frames come from; the run closes it.
        tracker: gives objects their ids; for this stream and run only.
        sinks: outputs of this stream alone.
        filters: a detection is kept when every filter says so; applied before the tracker.
        detect_every: run the detector on every N-th frame; the tracker predicts in between.
        duration_s: stop after this much media time; None for all of it.
        analytics: keyword arguments of ``StreamAnalytics``, such as ``zones`` and ``lines``.
    """

    source: Source
    tracker: Tracker
    sinks: Sequence[Sink] = ()
    filters: Sequence[DetectionFilter] = ()
    detect_every: int = 1
    duration_s: float | None = None
    analytics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise ValueError(f"detect_every: expected 1 or more, got {self.detect_every}")


class StreamRun:
    """A stream while it runs; used from one thread.

    Args:
        stream: what to do.
        class_names: of the detector.
        sinks: every sink that gets this stream's frames and events, shared ones included, already opened.
        stamper: numbers the run's events.
        timings: of the run.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        class_names: Sequence[str],
        sinks: Sequence[Sink],
        stamper: EventStamper,
        timings: Timings,
    ) -> None:
        self.name = stream.source.stream
        self.ledger = Ledger()
        self.ended: EndReason | None = None
        self.error: BaseException | None = None
        self._stream = stream
        self._class_names = class_names
        self._sinks = sinks
        self._stamper = stamper
        self._timings = timings
        info = stream.source.info
        self._frame_s = float(1 / info.fps) if info.fps else 0.0
        self._analytics = StreamAnalytics(
            self.name,
            class_names,
            stamper=stamper,
            hold_s=hold_for(info),
            frame_s=self._frame_s or 0.04,
            **dict(stream.analytics),
        )
        self._undetected: int | None = None  # frames since the detector last looked; None before it first did
        self._last_pts_s: float | None = None

    def open(self) -> None:
        """Announce the stream to its sinks."""
        info = self._stream.source.info
        for sink in self._sinks:
            sink.open(self.name, info, self._class_names)
        self._send(
            self._stamper(
                StreamStarted,
                stream=self.name,
                pts_s=0.0,
                source=info.uri,
                width=info.width,
                height=info.height,
                fps=float(info.fps) if info.fps else None,
                frame_count=info.frame_count,
                live=info.live,
            )
        )

    def beyond_duration(self, frame: Frame) -> bool:
        """Whether the frame lies past the time that was asked for."""
        return self._stream.duration_s is not None and frame.pts_s >= self._stream.duration_s

    def wants_detection(self) -> bool:
        """Whether the detector is to look at the stream's next frame; call once per frame, in order."""
        due = self._undetected is None or self._undetected + 1 >= self._stream.detect_every
        self._undetected = 0 if due or self._undetected is None else self._undetected + 1
        return due

    def process(self, frame: Frame, detections: Detections | None) -> None:
        """Take one frame all the way to the sinks; ``None`` where the detector did not look."""
        with self._timings.stage("track"):
            if detections is not None:
                for keep in self._stream.filters:
                    detections = detections.select(keep(detections, frame))
            tracks = self._stream.tracker.update(detections, frame.pts_s, frame.image)
        tracked = TrackedFrame(frame, detections, tracks, self._stream.tracker.ended)
        with self._timings.stage("analytics"):
            events = self._analytics.update(tracked)
        with self._timings.stage("sinks"):
            for sink in self._sinks:
                sink.on_frame(tracked)
            self._send(*events)
        self._last_pts_s = frame.pts_s
        self.ledger.processed()

    def finish(self, reason: EndReason, error: BaseException | None = None) -> None:
        """Send what is still due: the end of every track, the last windows and ``stream.ended``."""
        self.ended, self.error = reason, error
        self._stream.tracker.reset()
        self._send(
            *self._analytics.finish(),
            self._stamper(
                StreamEnded,
                stream=self.name,
                pts_s=self.media_s,
                reason=reason,
                error=str(error) if error is not None else None,
                ledger=self.ledger.snapshot(),
            ),
        )

    @property
    def media_s(self) -> float:
        """Seconds of media time from the first frame to the end of the last one processed."""
        if self._last_pts_s is None:
            return 0.0
        return self._last_pts_s + self._frame_s

    def report(self) -> StreamReport:
        """What this stream adds to the run's report."""
        ledger = self.ledger.snapshot()
        return StreamReport(
            decoded=ledger.decoded,
            processed=ledger.processed,
            dropped=ledger.dropped,
            failed=ledger.failed,
            media_s=round(self.media_s, 3),
            objects={name: ObjectCounts(**counts) for name, counts in self._analytics.objects().items()},
        )

    def _send(self, *events: Event) -> None:
        for sink in self._sinks:
            for event in events:
                sink.on_event(event)
