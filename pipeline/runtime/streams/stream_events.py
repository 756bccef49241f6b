"""What a stream tells of itself: that it began and ended, went away and came back, how it does, what its tracks are."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analytics.event_stamper import EventStamper
from pipeline.appearance.links import TrackLink
from pipeline.classification.tracks import ClassifiedTrack
from pipeline.events import FrameCounts as Counts
from pipeline.events import (
    Latency,
    Stats,
    StreamEnded,
    StreamFrozen,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    TrackClassified,
    TrackLinked,
)
from pipeline.printable import encodable
from pipeline.redaction import redact
from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.frozen import FrozenWatch
from pipeline.runtime.streams.stream import EndReason
from pipeline.runtime.timing import Durations
from pipeline.types import Frame, SourceInfo

_STATS_S = 10.0


class StreamEvents:
    """Makes these events; each that is made must be sent, in the order they were made.

    Args:
        stream: its name.
        class_names: of the detector.
        stamper: numbers the run's events.
        frozen_after_s: tell of a picture that stays exactly the same for so many seconds; None never does.
    """

    def __init__(
        self, stream: str, class_names: Sequence[str], stamper: EventStamper, *, frozen_after_s: float | None = None
    ) -> None:
        self._stream = stream
        self._class_names = class_names
        self._stamper = stamper
        self.watch_for_still(frozen_after_s)
        self._stats_sent: tuple[float, int] | None = None  # when, and how many frames had been processed by then

    def watch_for_still(self, frozen_after_s: float | None) -> None:
        """Tell of a picture that stays the same for so many seconds from now on; None never does."""
        self._frozen = None if frozen_after_s is None else FrozenWatch(frozen_after_s)

    def started(self, info: SourceInfo, media_s: float) -> StreamStarted:
        """Frames of such a source are about to come; ``media_s`` is 0 unless a stream of that name was there before."""
        return self._stamper(
            StreamStarted,
            stream=self._stream,
            pts_s=media_s,
            source=encodable(info.uri),
            width=info.width,
            height=info.height,
            fps=float(info.fps) if info.fps else None,
            frame_count=info.frame_count,
            live=info.live,
        )

    def offline(self, media_s: float, reason: str) -> StreamOffline:
        """The source went away."""
        return self._stamper(StreamOffline, stream=self._stream, pts_s=media_s, reason=reason)

    def online(self, media_s: float, offline_s: float, info: SourceInfo) -> StreamOnline:
        """The source is back after ``offline_s`` seconds, and such a one now."""
        return self._stamper(
            StreamOnline,
            stream=self._stream,
            pts_s=media_s,
            offline_s=round(offline_s, 3),
            width=info.width,
            height=info.height,
            fps=float(info.fps) if info.fps else None,
        )

    def still(self, frame: Frame) -> list[StreamFrozen]:
        """Nothing, mostly; or that the picture has been the same for long, or that it moves again."""
        news = None if self._frozen is None else self._frozen.look(frame)
        if news is None:
            return []
        told = self._stamper(
            StreamFrozen,
            stream=self._stream,
            pts_s=frame.pts_s,
            captured_s=frame.captured_s,
            frozen=news.frozen,
            still_s=round(news.still_s, 3),
        )
        return [told]

    def classified(self, track: ClassifiedTrack, pts_s: float, frame: Frame | None) -> TrackClassified:
        """A second network named a track, in this frame or at the end of all tracks."""
        return self._stamper(
            TrackClassified,
            stream=self._stream,
            pts_s=pts_s,
            captured_s=None if frame is None else frame.captured_s,
            track_id=track.track_id,
            class_name=self._class_names[track.class_id],
            score=round(track.score, 4),
            xyxy=tuple(round(side, 2) for side in track.xyxy),
            seen_s=track.seen_s,
            label=track.answer.name,
            probability=round(track.answer.probability, 4),
            model=track.model,
        )

    def linked(self, link: TrackLink, frame: Frame) -> TrackLinked:
        """It became known in this frame that a track goes on with an older one."""
        return self._stamper(
            TrackLinked,
            stream=self._stream,
            pts_s=frame.pts_s,
            captured_s=frame.captured_s,
            track_id=link.track_id,
            class_name=self._class_names[link.class_id],
            score=round(link.score, 4),
            xyxy=tuple(round(side, 2) for side in link.xyxy),
            linked_to=link.linked_to,
            similarity=link.similarity,
        )

    def stats(
        self,
        now_s: float,
        media_s: float,
        ledger: FrameLedger,
        latency: Durations,
        sinks: tuple[SinkGroup, SinkGroup],
        clock_steps: int = 0,
    ) -> Stats | None:
        """How the stream does, where it is time to say so again; nothing the first time. ``now_s`` is monotonic; the
        sinks are its own and those that it shares."""
        if self._stats_sent is None:
            self._stats_sent = (now_s, ledger.snapshot().processed)
        then_s, processed = self._stats_sent
        if now_s - then_s < _STATS_S:
            return None
        counts = ledger.snapshot()
        self._stats_sent = (now_s, counts.processed)
        return self._stamper(
            Stats,
            stream=self._stream,
            pts_s=media_s,
            ledger=counts,
            fps=round((counts.processed - processed) / (now_s - then_s), 2),
            latency=_percentiles(latency),
            sink_latency={name: _percentiles(durations) for name, durations in sinks[0].latency().items()},
            outputs={**sinks[1].counts(), **sinks[0].counts()},
            clock_steps=clock_steps,
        )

    def ended(self, media_s: float, reason: EndReason, error: BaseException | None, counts: Counts) -> StreamEnded:
        """The last of its events."""
        return self._stamper(
            StreamEnded,
            stream=self._stream,
            pts_s=media_s,
            reason=reason,
            error=redact(encodable(str(error))) if error is not None else None,
            ledger=counts,
        )


def _percentiles(latency: Durations) -> Latency:
    return Latency(**{f"p{percent}_ms": round(1000 * latency.percentile(percent), 1) for percent in (50, 95, 99)})
