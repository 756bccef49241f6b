"""What holds now according to a feed: its streams, live tracks, zone occupancy and line totals."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from pipeline.event_codec import type_name
from pipeline.events import (
    Event,
    LineCrossed,
    StreamEnded,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    TrackUpdated,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.feed_events import FeedSnapshot, LineTotals, StreamState, TrackState


class FeedState:
    """The state of a feed, kept by applying its events in order.

    Publisher and subscribers use this same class, so a subscriber that starts from a snapshot and applies what follows
    comes to the same state as one that applied everything.

    Args:
        types: the event types that the feed publishes; empty for all. Tracks are kept only if ``track.ended`` is among
            them and zone occupancy only if ``zone.left`` is, for nothing else would ever clear them.
    """

    def __init__(self, types: Collection[str] = ()) -> None:
        self._types = frozenset(types)
        self._streams: dict[str, _Stream] = {}
        self._handlers: dict[type[Event], Callable[[_Stream, Any], None]] = {
            StreamStarted: _Stream.started,
            StreamOffline: _Stream.offline,
            StreamOnline: _Stream.online,
            StreamEnded: _Stream.ended,
            LineCrossed: _Stream.line_crossed,
        }
        if self._publishes(TrackEnded):
            self._handlers |= {
                TrackStarted: _Stream.track_shown,
                TrackUpdated: _Stream.track_shown,
                TrackEnded: _Stream.track_ended,
            }
        if self._publishes(ZoneLeft):
            self._handlers |= {ZoneEntered: _Stream.zone_entered, ZoneLeft: _Stream.zone_left}

    def _publishes(self, kind: type[Event]) -> bool:
        return not self._types or type_name(kind) in self._types

    @property
    def types(self) -> frozenset[str]:
        """The event types that the feed publishes; empty for all."""
        return self._types

    def streams(self) -> dict[str, StreamState]:
        """What holds for each stream now, by name."""
        return {name: stream.state() for name, stream in self._streams.items()}

    @classmethod
    def from_snapshot(cls, snapshot: FeedSnapshot) -> FeedState:
        """The state that a snapshot describes."""
        state = cls(snapshot.types)
        state._streams = {name: _Stream.from_state(stream) for name, stream in snapshot.streams.items()}
        return state

    def apply(self, event: Event) -> None:
        """Take the next event into account. Heartbeats and other events of the feed itself change nothing."""
        if not event.stream:
            return
        stream = self._streams.get(event.stream)
        if stream is None:
            stream = self._streams[event.stream] = _Stream()
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(stream, event)
        # What waited for its confirmation is told after what is newer.
        if event.pts_s >= stream.pts_s or isinstance(event, StreamStarted):
            stream.pts_s, stream.wall = event.pts_s, event.wall

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeedState) and self._types == other._types and self.streams() == other.streams()

    __hash__ = None  # type: ignore[assignment]


class _Stream:
    """The state of one stream in the form that is cheap to change."""

    __slots__ = ("base", "lines", "pts_s", "tracks", "wall", "zones")

    def __init__(self) -> None:
        self.base = StreamState(status="running", pts_s=0.0, wall="")
        self.pts_s = 0.0
        self.wall = ""
        self.tracks: dict[int, TrackStarted | TrackUpdated | TrackState] = {}
        self.zones: dict[str, dict[int, str]] = {}
        self.lines: dict[str, dict[str, LineTotals]] = {}

    @classmethod
    def from_state(cls, state: StreamState) -> _Stream:
        stream = cls()
        stream.base = msgspec.structs.replace(state, tracks=[], zones={}, lines={})
        stream.pts_s, stream.wall = state.pts_s, state.wall
        stream.tracks = {track.track_id: track for track in state.tracks}
        stream.zones = {
            zone: {track_id: name for name, ids in classes.items() for track_id in ids}
            for zone, classes in state.zones.items()
        }
        stream.lines = {line: dict(classes) for line, classes in state.lines.items()}
        return stream

    def state(self) -> StreamState:
        return msgspec.structs.replace(
            self.base,
            pts_s=self.pts_s,
            wall=self.wall,
            tracks=[_track_state(self.tracks[track_id]) for track_id in sorted(self.tracks)],
            zones={zone: _by_class(inside) for zone, inside in sorted(self.zones.items()) if inside},
            lines={line: dict(sorted(classes.items())) for line, classes in sorted(self.lines.items())},
        )

    def started(self, event: StreamStarted) -> None:
        for kept in (self.tracks, self.zones, self.lines):
            kept.clear()
        self.base = StreamState(
            status="running",
            pts_s=event.pts_s,
            wall=event.wall,
            source=event.source,
            width=event.width,
            height=event.height,
            fps=event.fps,
            frame_count=event.frame_count,
            live=event.live,
        )

    def offline(self, _: StreamOffline) -> None:
        self.base = msgspec.structs.replace(self.base, status="offline")

    def online(self, _: StreamOnline) -> None:
        self.base = msgspec.structs.replace(self.base, status="running")

    def ended(self, _: StreamEnded) -> None:
        self.base = msgspec.structs.replace(self.base, status="ended")
        self.tracks.clear()
        self.zones.clear()

    def track_shown(self, event: TrackStarted | TrackUpdated) -> None:
        self.tracks[event.track_id] = event

    def track_ended(self, event: TrackEnded) -> None:
        self.tracks.pop(event.track_id, None)

    def zone_entered(self, event: ZoneEntered) -> None:
        self.zones.setdefault(event.zone, {})[event.track_id] = event.class_name

    def zone_left(self, event: ZoneLeft) -> None:
        self.zones.get(event.zone, {}).pop(event.track_id, None)

    def line_crossed(self, event: LineCrossed) -> None:
        classes = self.lines.setdefault(event.line, {})
        totals = classes.get(event.class_name, LineTotals())
        classes[event.class_name] = LineTotals(
            entered=totals.entered + (event.direction == "in"), left=totals.left + (event.direction == "out")
        )


def _track_state(track: TrackStarted | TrackUpdated | TrackState) -> TrackState:
    if isinstance(track, TrackState):
        return track
    moved = track if isinstance(track, TrackUpdated) else None
    return TrackState(
        track_id=track.track_id,
        class_name=track.class_name,
        score=track.score,
        xyxy=track.xyxy,
        age_s=moved.age_s if moved else 0.0,
        unseen_s=moved.unseen_s if moved else 0.0,
        speed_mps=moved.speed_mps if moved else None,
    )


def _by_class(inside: dict[int, str]) -> dict[str, list[int]]:
    classes: dict[str, list[int]] = {}
    for track_id in sorted(inside):
        classes.setdefault(inside[track_id], []).append(track_id)
    return dict(sorted(classes.items()))


def make_snapshot(state: FeedState, *, seq: int, run: str, wall: str) -> FeedSnapshot:
    """The state as an event that can be sent."""
    return FeedSnapshot(
        seq=seq,
        run=run,
        stream="",
        pts_s=0.0,
        wall=wall,
        types=sorted(state.types),
        streams=state.streams(),
    )
