"""The sink that makes pictures of a stream's events: chosen while objects are there, written when an event asks.

frames --> best picture of each object, frames looked at lately --event--> JPEG files --> EvidenceDesk
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.errors import SinkError
from pipeline.events import (
    AlertStarted,
    Event,
    LineCrossed,
    OutputCounts,
    TrackEnded,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.evidence.best import BestPictures, RecentLooks
from pipeline.evidence.desk import EvidenceDesk, Piece
from pipeline.files import BYTES_PER_MB, OutputFiles
from pipeline.interfaces import Sink
from pipeline.models.class_names import class_ids
from pipeline.types import SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator, AnnotatorFactory
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.pictures import Encoded, KeptFrame, PictureOptions

logger = logging.getLogger(__name__)

# What happens in zones and at lines is told no later than this, see docs/zones.md.
_TOLD_WITHIN_S = 2.5
_SHOWN = (AlertStarted, TrackEnded, ZoneEntered, ZoneLeft, LineCrossed)


class EvidenceSink(Sink):
    """Makes pictures of the events of one stream that name evidence, and lays them on its desk.

    An alert, and a track that ends, is shown by the best picture of its objects; what happens in a zone or at a line by
    the frame that was looked at nearest to it. Each picture is of the very frame its boxes belong to. An alert about no
    object is shown by the newest frame.

    A picture that can't be written is lost, counted and told of once until one can; nothing ends for it.

    Args:
        desk: says what is wanted, and takes what is finished.
        folder: takes the files.
        options: what pictures are made.
        annotate: makes what draws on them.
        best_mb: megabytes that the best pictures of objects may take, which are kept as JPEG.
        recent_mb: megabytes that the frames may take that were looked at lately. They count as on their way through the
            run (``queues.max_mb``); the newest is kept whatever its size.
    """

    def __init__(
        self,
        desk: EvidenceDesk,
        folder: EvidenceFolder,
        *,
        options: PictureOptions | None = None,
        annotate: AnnotatorFactory = Annotator,
        best_mb: float = 64.0,
        recent_mb: float = 32.0,
    ) -> None:
        self._desk = desk
        self._folder = folder
        self._options = options or PictureOptions()
        self._annotate = annotate
        self._best_bytes = int(best_mb * BYTES_PER_MB)
        self._annotator: Annotator | None = None
        self._best: BestPictures[KeptFrame] | None = None
        self._recent: RecentLooks[KeptFrame] = RecentLooks(
            within_s=_TOLD_WITHIN_S, most_bytes=int(recent_mb * BYTES_PER_MB)
        )
        self._newest: TrackedFrame | None = None
        self._opened = False
        self._counts = OutputCounts()
        self._troubled = False
        self._forgotten_s = float("-inf")

    def check(self) -> None:
        """Raise ``SinkError`` if nothing can be written to the folder."""
        self._folder.check()

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """What is written of the stream."""
        return self._folder.files()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """The stream starts.

        Raises:
            SinkError: another run writes evidence of that stream to the folder.
        """
        self._folder.open()
        self._opened = True
        wanted = self._desk.wanted.classes
        self._annotator = self._annotate(class_names) if self._options.draws else None
        self._best = BestPictures(
            lambda tracked: KeptFrame.compressed(tracked, self._annotator),
            most_bytes=self._best_bytes,
            classes=None if wanted is None else class_ids(wanted, class_names, where="evidence.classes"),
        )

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events that name evidence; frames are only looked at."""
        return isinstance(item, _SHOWN) and item.evidence is not None

    def counts(self) -> OutputCounts:
        """Events that were to have a picture, and those that have one."""
        return self._counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Look whether this frame shows an object better than those before."""
        assert self._best is not None, "it is open"
        self._newest = tracked
        if self._annotator is not None:
            self._annotator.observe(tracked)
        if self._desk.hidden_after_s > self._forgotten_s:
            self._forgotten_s = self._desk.hidden_after_s
            self._best.forget(self._forgotten_s)
            self._recent.forget(self._forgotten_s)
        if tracked.frame.pts_s <= self._forgotten_s:
            return  # it has waited since before something else was hidden
        if tracked.detections is None or not len(tracked.tracks):
            return  # a box that nobody has seen there says nothing of the picture
        if self._desk.wanted.moments:
            self._recent.add(KeptFrame(tracked, self._annotator))
        try:
            self._best.offer(tracked)
        except SinkError as error:
            self._tell(error)

    def on_event(self, event: Event) -> None:
        """Write the pictures of an event that names evidence."""
        if isinstance(event, _SHOWN) and event.evidence is not None:
            try:
                done = self._show(event, event.evidence)
            finally:
                self._desk.settle(event.evidence)
            if done is not None:
                self._counts += OutputCounts(given=1, written=int(done), lost=int(not done))
        if isinstance(event, TrackEnded) and self._best is not None and self._newest is not None:
            self._best.end(event.track_id, self._newest.frame.pts_s)

    def close(self, error: BaseException | None = None) -> None:
        """Let go of the pictures that no event asked for."""
        self._best = self._newest = None
        self._recent.forget(float("inf"))
        if self._opened:
            self._folder.close()
            self._opened = False

    def _show(self, event: Event, evidence: str) -> bool | None:
        """Make the pictures of an event; whether all went well, or None where no frame has come yet."""
        found = self._find(event)
        if found is None:
            logger.debug("%s: there is no picture of event %d", event.stream, event.seq)
            return None if self._newest is None else False
        track_id, shot = found
        try:
            for made in shot.encoded(self._options, track_id):
                path = self._folder.write(event, made.kind, ".jpg", made.data)
                self._desk.put(self._piece(evidence, made, path, shot.pts_s))
        except SinkError as error:
            self._tell(error)
            return False
        if self._troubled:
            logger.warning("evidence of %s is written again", event.stream)
            self._troubled = False
        return True

    def _tell(self, error: SinkError) -> None:
        """Log what goes wrong, once until something goes well again."""
        log = logger.debug if self._troubled else logger.warning
        log("%s; evidence is lost until it works again", error)
        self._troubled = True

    def _piece(self, evidence: str, made: Encoded, path: str, pts_s: float) -> Piece:
        return Piece(
            evidence=evidence,
            kind=made.kind,
            path=path,
            media_type="image/jpeg",
            size_bytes=len(made.data),
            from_pts_s=pts_s,
            to_pts_s=pts_s,
            annotated=made.style == "annotated",
            masked=self._desk.masked,
        )

    def _find(self, event: Event) -> tuple[int | None, KeptFrame] | None:
        """The frame that shows an event, and the track to look at in it; None where there is none."""
        assert self._best is not None, "it is open"
        after_s = self._desk.hidden_after_s
        if isinstance(event, AlertStarted):
            return self._best.best(event.tracks, after_s) or self._now(after_s)
        if isinstance(event, TrackEnded):
            return self._best.best([event.track_id], after_s)
        assert isinstance(event, ZoneEntered | ZoneLeft | LineCrossed)
        then = self._recent.at(event.pts_s, event.track_id, after_s)
        return (event.track_id, then) if then is not None else self._best.best([event.track_id], after_s)

    def _now(self, after_s: float) -> tuple[None, KeptFrame] | None:
        newest = self._newest
        if newest is None or newest.frame.pts_s <= after_s:
            return None
        return None, KeptFrame(newest, self._annotator)
