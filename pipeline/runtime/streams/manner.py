"""How a stream is treated: what depends on whether its source waits for a slow reader, as a file does, or goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.stream_analytics import StreamAnalytics, hold_for
from pipeline.rules.stream_rules import StreamRules
from pipeline.runtime.channel import WhenFull
from pipeline.runtime.streams.stream import Stream
from pipeline.sampling.groups import SampleGroups
from pipeline.sampling.sampler import EveryNth, Sampler, SamplerBySource
from pipeline.sampling.settling import TrackSettler
from pipeline.types import SourceInfo

# How long a file's frames wait, in seconds of media time.
_LAG_S = 1.0
# A live stream's newest frame is the one that counts; one in hand and one queued keep the detector busy.
_LIVE_QUEUE = 1


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """Made anew when it shows that a source is of another kind than supposed, before its first frame.

    Attributes:
        live: whether the source goes on whatever its reader does.
        gathering: takes the stream's frames before the detector does.
        settler: decides on a frame's tracks once it is known what came after it; None where no frame waits for that.
        analytics: counts.
        rules: tell what it counts as alerts.
    """

    live: bool
    gathering: SampleGroups
    settler: TrackSettler | None
    analytics: StreamAnalytics
    rules: StreamRules

    @classmethod
    def of(
        cls,
        stream: Stream,
        info: SourceInfo,
        class_names: Sequence[str],
        stamper: EventStamper,
        *,
        counting: StreamAnalytics | None = None,
    ) -> Self:
        """The manner that suits what is known of a stream's source; ``counting`` is what counts already, if any."""
        counted, pace = stream.analytics, _pace(stream, live=info.live)
        lag_s = (0.0 if info.live else _LAG_S) if stream.lag_s is None else stream.lag_s
        looks_at_all = isinstance(pace, EveryNth) and pace.count == 1
        analytics = counting or StreamAnalytics(
            stream.source.stream,
            class_names,
            stamper=stamper,
            hold_s=hold_for(info),
            frame_s=float(1 / info.fps) if info.fps else 0.04,
            measures_interval=info.live,
            update_hz=counted.update_hz,
            zones=counted.zones,
            lines=counted.lines,
            homography=counted.homography,
            live=counted.live,
        )
        return cls(
            live=info.live,
            gathering=SampleGroups(pace, live=info.live),
            # Without any lag a file's frames still wait for the next look; a camera's don't.
            settler=None if not lag_s and (info.live or looks_at_all) else TrackSettler(lag_s=lag_s),
            analytics=analytics,
            rules=StreamRules(stream.source.stream, stream.rules, analytics.tracks, stamper),
        )

    def paced(self, stream: Stream) -> Self:
        """The same with another choice of frames to look at; none may be on its way to the detector."""
        return replace(self, gathering=SampleGroups(_pace(stream, live=self.live), live=self.live))


def _pace(stream: Stream, *, live: bool) -> Sampler:
    """Which frames are looked at."""
    chosen = stream.detect_every
    if isinstance(chosen, SamplerBySource):
        return chosen.make(live)
    return EveryNth(chosen) if isinstance(chosen, int) else chosen


def room(live: bool, queue: int) -> tuple[int, WhenFull]:
    """How many frames may wait, and what happens when there are more; ``queue`` is the number for files."""
    return (_LIVE_QUEUE, "drop_oldest") if live else (queue, "wait")
