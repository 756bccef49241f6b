"""From detections to tracks, their names, and what links them, for one stream."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from pipeline.events import Event
from pipeline.geometry.similarity import Motion
from pipeline.interfaces import MovableTracker, SightingTracker
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_account import StreamAccount, numbered_on, tracks_numbered_on
from pipeline.runtime.streams.stream_events import StreamEvents
from pipeline.runtime.timing import Timings
from pipeline.sampling.camera_motion import CameraMotion
from pipeline.types import Detections, Frame, Sightings, TrackedFrame

AnyObjects = TypeVar("AnyObjects", bound=Detections)


class StreamTracking:
    """A stream's filters, tracker, classifier and links; its ids go on where those of the stream before it ended.

    Attributes:
        motion: how the camera moved before the frame just updated; None where it did not, or nobody looks at that.

    Args:
        stream: whose they are.
        account: of all streams of its name; knows the highest id.
        events: makes the event of a name.
        timings: of the run, for the stages ``track``, ``classify`` and ``appearance``.
    """

    def __init__(self, stream: Stream, account: StreamAccount, events: StreamEvents, timings: Timings) -> None:
        self.adjust(stream)
        self._account = account
        self._events = events
        self._timings = timings
        self._ids_after: int | None = None
        self._camera = CameraMotion() if stream.camera_motion else None
        self._boxes = Detections.empty().xyxy
        self.motion: Motion | None = None

    def update(self, frame: Frame, detections: Detections | None) -> TrackedFrame:
        """The frame with its tracks by the tracker's own ids; ``None`` where the detector did not look."""
        tracker = self._stream.tracker
        with self._timings.stage("track"):
            if self._camera is not None:
                # Whatever was found may move by itself, whether it is tracked or not.
                self._boxes = self._boxes if detections is None else detections.xyxy
                self.motion = self._camera.update(frame, self._boxes)
                if self.motion is not None and isinstance(tracker, MovableTracker):
                    tracker.move(self.motion)
            if detections is not None:
                detections = self._stream.select(detections, frame)
            # A picture that nobody needs is not made.
            tracks = tracker.update(detections, frame.pts_s, frame.image if tracker.needs_image else None)
        if self._stream.shown_from > 0:
            tracks = _strong(tracks, self._stream.shown_from)
            detections = None if detections is None else _strong(detections, self._stream.shown_from)
        return TrackedFrame(frame, detections, tracks, tracker.ended)

    def adjust(self, stream: Stream) -> None:
        """Go on with other filters and thresholds; the tracker and the classifier are the very same."""
        self._stream = stream
        # Asked once: to look whether it has all of a protocol's members is dearer than what they do.
        self._sighting = stream.tracker if isinstance(stream.tracker, SightingTracker) else None

    @property
    def sighted(self) -> Sightings | None:
        """What the tracker saw of all its tracks in the frame just updated; None for one that does not tell."""
        return None if self._sighting is None else self._sighting.sighted

    def numbered(self, tracked: TrackedFrame) -> TrackedFrame:
        """A frame whose tracks are final, with ids that go on where those of the stream before ended."""
        if self._ids_after is None:
            self._ids_after = self._account.highest_id
        tracks = tracks_numbered_on(tracked.tracks, self._ids_after)
        self._account.note(tracks)
        ended = numbered_on(tracked.ended, self._ids_after)
        return TrackedFrame(tracked.frame, tracked.detections, tracks, ended)

    def classify(self, tracked: TrackedFrame) -> list[Event]:
        """The events of tracks that a second network named in this frame."""
        return self._classify(tracked)

    def link(self, tracked: TrackedFrame) -> list[Event]:
        """The events of tracks that turn out, in this frame, to go on with others."""
        links = self._stream.links
        if links is None:
            return []
        with self._timings.stage("appearance"):
            found = links.update(tracked)
        self._account.add_links(links.take_counts())
        return [self._events.linked(link, tracked.frame) for link in found]

    def end(self) -> list[Event]:
        """End all tracks; the events of those that are named now that they are over."""
        self._stream.tracker.reset()
        if self._stream.links is not None:
            self._stream.links.finish()
        if self._camera is not None:
            self._camera.reset()
        return self._classify(None)

    def _classify(self, tracked: TrackedFrame | None) -> list[Event]:
        classify = self._stream.classify
        if classify is None:
            return []
        with self._timings.stage("classify"):
            named = classify.update(tracked) if tracked is not None else classify.finish()
        frame = None if tracked is None else tracked.frame
        pts_s = (self._account.last_pts_s or 0.0) if frame is None else frame.pts_s
        return [self._events.classified(track, pts_s, frame) for track in named]


def _strong(objects: AnyObjects, score: float) -> AnyObjects:
    """Those that score as much."""
    strong = objects.score >= np.float32(score)
    return objects if strong.all() else objects.select(strong)
