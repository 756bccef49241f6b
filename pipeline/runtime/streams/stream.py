"""What to do with one source, and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pipeline import events
from pipeline.analytics.options import AnalyticsOptions
from pipeline.evidence.desk import EvidenceDesk
from pipeline.files import InputFiles
from pipeline.geometry.region import Rectangle, Region
from pipeline.interfaces import DetectionFilter, Sink, Source, Tracker
from pipeline.rules.rule import Rule
from pipeline.runtime.frame_ledger import Rates
from pipeline.runtime.sink_thread import SinkQueue
from pipeline.runtime.streams.privacy import Privacy
from pipeline.runtime.streams.stream_past import StreamPast
from pipeline.sampling.sampler import Sampler, SamplerBySource
from pipeline.types import Detections, Frame, SourceInfo

if TYPE_CHECKING:
    from pipeline.appearance.links import TrackLinks
    from pipeline.classification.tracks import TrackClassifier

EndReason = Literal["end", "duration", "interrupted", "removed", "error"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """What to do with one source.

    Attributes:
        source: where frames come from; the run closes it.
        tracker: gives objects their ids; for this stream and run only.
        sinks: outputs of this stream alone.
        filters: a detection is kept when every filter says so; applied before the tracker.
        detect_every: run the detector on every N-th frame, or as a ``Sampler`` says; the tracker predicts in between.
        region: the part of each frame that the detector looks at; None for all of it.
        duration_s: stop after this much media time; None for all of it.
        classify: names each track once by a second network, which gives ``track.classified``.
        links: links tracks that look alike, which gives ``track.linked``; None for nobody asks.
        lag_s: how many seconds of media time a frame waits so that its tracks are settled by what comes after it, see
            `TrackSettler`; None for a second in files and 0 in live streams. With 0 it waits for the next look at most.
        camera_motion: whether to follow how the camera moves, so that tracks move along, see `CameraMotion`.
        privacy: what no output shows of its pictures; None for nothing.
        shown_from: tracks are shown, and detections told, only where they score as much; the tracker sees weaker ones.
        frozen_after_s: tell of a live picture that stays exactly the same for so many seconds; None never does.
        analytics: what is counted, such as zones and lines.
        rules: what is told as alerts; checked with ``pipeline.rules.rule.check_rules``.
        evidence: where what makes pictures of its events lays them down; the makers are among ``sinks``.
        reads: files it reads besides the one that its source names, so that no output takes their place.
        past: what it came to in another process, to go on from where it begins; not where it takes the place of a
            stream that runs.
    """

    source: Source
    tracker: Tracker
    sinks: Sequence[Sink] = ()
    filters: Sequence[DetectionFilter] = ()
    detect_every: int | Sampler | SamplerBySource = 1
    region: Region | None = None
    duration_s: float | None = None
    classify: TrackClassifier | None = None
    links: TrackLinks | None = None
    lag_s: float | None = 0.0
    camera_motion: bool = False
    privacy: Privacy | None = None
    shown_from: float = 0.0
    frozen_after_s: float | None = None
    analytics: AnalyticsOptions = field(default_factory=AnalyticsOptions)
    rules: Sequence[Rule] = ()
    evidence: EvidenceDesk | None = None
    reads: Sequence[InputFiles] = ()
    past: StreamPast | None = None

    def part(self, frame: Frame) -> Rectangle | None:
        """The part of the frame that the detector is to look at; None for all of it.

        Raises:
            ConfigError: the frame has no such part.
        """
        return None if self.region is None else self.region.part(frame.height, frame.width)

    def beyond_duration(self, frame: Frame) -> bool:
        """Whether the frame lies past the time that was asked for."""
        return self.duration_s is not None and frame.pts_s >= self.duration_s

    def select(self, detections: Detections, frame: Frame) -> Detections:
        """Those that every filter keeps."""
        for keep in self.filters:
            detections = detections.select(keep(detections, frame))
        return detections


def goes_on(before: Stream, after: Stream) -> bool:
    """Whether a stream can be adjusted to another description of it: all that has a state is the very same."""
    parts = ("source", "tracker", "classify", "links", "evidence")
    same = all(getattr(before, part) is getattr(after, part) for part in parts)
    return same and list(before.sinks) == list(after.sinks) and before.lag_s == after.lag_s


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a stream is doing.

    Attributes:
        name: of the stream.
        state: ``waiting`` for its first frame, ``online`` or ``offline``.
        ledger: where its frames went so far.
        objects: tracks that its newest frame showed.
        p50_ms, p95_ms: latency from capture to events so far.
        rates: how fast its frames came in and went through lately.
        info: what its source says of itself now.
        outputs: per output that keeps count, what became of what it was given so far; shared ones included.
        queues: per output that has a thread, what waits for it; shared ones included.
        newest_s: when its newest frame that was processed was captured (``time.monotonic()``); None before the first.
    """

    name: str
    state: Literal["waiting", "online", "offline"]
    ledger: events.FrameCounts
    p50_ms: float
    p95_ms: float
    rates: Rates
    info: SourceInfo
    outputs: Mapping[str, events.OutputCounts] = field(default_factory=dict)
    queues: Mapping[str, SinkQueue] = field(default_factory=dict)
    objects: int = 0
    newest_s: float | None = None
