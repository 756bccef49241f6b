"""What the events of a stream tell of it, so that it can be told to break off, and go on elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from pipeline.events import (
    AlertEnded,
    AlertStarted,
    AlertUpdated,
    Event,
    LineCrossed,
    StreamEnded,
    StreamOffline,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    TrackUpdated,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.runtime.report import ObjectCounts
from pipeline.runtime.streams.stream_past import StreamPast

# Events that are kept until a shard has told what its streams had come to after them: many times what a second brings.
_KEPT = 10_000
_COUNTED = (TrackStarted, LineCrossed, ZoneEntered, ZoneLeft)
# Ids that a lost process may have given, and that nobody heard of: these, and so many for each second since it was
# heard of last. No stream begins a hundred tracks a second.
RESERVED_IDS = 1000
RESERVED_IDS_PER_S = 100

Told = tuple[type[Event], dict[str, Any]]


class StreamContinuity:
    """A stream as its events, in the order of the merged feed, tell of it. Bounded by what is in its picture.

    Attributes:
        run: of the process that told of it last.
        pts_s: media time of its newest event.
        online: whether it has begun and has neither ended nor gone offline.
    """

    def __init__(self) -> None:
        self.run = ""
        self.pts_s = 0.0
        self.online = False
        self._heard = 0.0  # when the newest event came, in seconds since 1970
        self._tracks: dict[int, TrackStarted | TrackUpdated] = {}
        self._inside: dict[tuple[str, int], ZoneEntered] = {}
        self._visited: dict[int, set[str]] = {}
        self._alerts: dict[int, AlertStarted | AlertUpdated] = {}
        self._counted: deque[tuple[Event, bool]] = deque(maxlen=_KEPT)

    def apply(self, event: Event) -> None:
        """The next event of the stream, as its process numbered it."""
        if event.run != self.run:
            self.run = event.run
            self._counted.clear()
        if event.pts_s >= self.pts_s:
            self.pts_s, self._heard = event.pts_s, time.time()
        first = True
        if isinstance(event, TrackStarted | TrackUpdated):
            self._tracks[event.track_id] = event
        elif isinstance(event, TrackEnded):
            self._tracks.pop(event.track_id, None)
            self._visited.pop(event.track_id, None)
        elif isinstance(event, ZoneEntered):
            self._inside[event.zone, event.track_id] = event
            visited = self._visited.setdefault(event.track_id, set())
            first = event.zone not in visited
            visited.add(event.zone)
        elif isinstance(event, ZoneLeft):
            self._inside.pop((event.zone, event.track_id), None)
        elif isinstance(event, AlertStarted | AlertUpdated):
            self._alerts[event.alert_id] = event
        elif isinstance(event, AlertEnded):
            self._alerts.pop(event.alert_id, None)
        elif isinstance(event, StreamEnded | StreamOffline):
            self.online = False
        if isinstance(event, StreamStarted) or (not self.online and isinstance(event, TrackStarted)):
            self.online = True
        if isinstance(event, _COUNTED):
            self._counted.append((event, first))

    def break_off(self, reason: str) -> list[Told]:
        """Kind and fields of what is told where the process is lost that ran it: as after an outage of the camera."""
        told: list[Told] = []
        at = {"pts_s": self.pts_s}
        for (zone, track_id), entered in sorted(self._inside.items()):
            dwell_s = round(max(0.0, self.pts_s - entered.pts_s), 6)
            fields = {"zone": zone, "track_id": track_id, "class_name": entered.class_name, "dwell_s": dwell_s}
            told.append((ZoneLeft, at | fields))
        for track_id, track in sorted(self._tracks.items()):
            age_s = track.age_s if isinstance(track, TrackUpdated) else 0.0
            fields = {"track_id": track_id, "class_name": track.class_name, "score": track.score, "xyxy": track.xyxy}
            told.append((TrackEnded, at | fields | {"age_s": age_s, "reason": "gap"}))
        for alert in self._alerts.values():
            fields = {name: getattr(alert, name) for name in AlertUpdated.__struct_fields__ if name not in _ENVELOPE}
            duration_s = round(max(0.0, self.pts_s - alert.since_s), 6)
            told.append((AlertEnded, at | fields | {"duration_s": duration_s, "reason": "gap"}))
        if self.online:
            told.append((StreamOffline, at | {"reason": reason}))
        self._tracks.clear()
        self._inside.clear()
        self._visited.clear()
        self._alerts.clear()
        self.online = False
        return told

    def known_through(self, run: str, seq: int) -> None:
        """What was counted up to that event is in what the process told of its streams."""
        while self.run == run and self._counted and self._counted[0][0].seq <= seq:
            self._counted.popleft()

    def past_after(self, past: StreamPast, run: str, seq: int, *, since_s: float) -> StreamPast:
        """What the stream had come to when its process was lost: what that told last, and what later events tell.

        Frames that were on their way then are counted as dropped, as ``lost``.

        Args:
            past: what the process told.
            run, seq: the event up to which that tells of everything.
            since_s: seconds since it was told.
        """
        highest, objects = past.highest_id, dict(past.objects)
        zones = {zone: {name: dict(visits) for name, visits in of.items()} for zone, of in past.zones.items()}
        lines = {line: {name: dict(ways) for name, ways in of.items()} for line, of in past.lines.items()}
        for event, first in self._counted if self.run == run else ():
            if event.seq <= seq:
                continue
            if isinstance(event, TrackStarted):
                highest = max(highest, event.track_id)
                known = objects.get(event.class_name, ObjectCounts(unique=0, max=1))
                objects[event.class_name] = ObjectCounts(unique=known.unique + 1, max=known.max)
            elif isinstance(event, LineCrossed):
                ways = lines.setdefault(event.line, {}).setdefault(event.class_name, {"in": 0, "out": 0})
                ways[event.direction] += 1
            elif isinstance(event, ZoneEntered | ZoneLeft):
                visits = zones.setdefault(event.zone, {}).setdefault(
                    event.class_name, {"unique": 0, "max": 1, "dwell_s": 0.0}
                )
                if isinstance(event, ZoneLeft):
                    visits["dwell_s"] = round(visits["dwell_s"] + event.dwell_s, 6)
                else:
                    visits["unique"] += first
        frames = past.frames
        lost = frames.decoded - frames.processed - sum(frames.dropped.values()) - sum(frames.failed.values())
        dropped = {**frames.dropped, "lost": frames.dropped.get("lost", 0) + lost} if lost else frames.dropped
        if self.pts_s > past.pts_s:  # media time never goes back
            captured = past.captured + self.pts_s - past.pts_s if past.captured else self._heard
            past = msgspec.structs.replace(past, number=past.number or 0, pts_s=self.pts_s, captured=captured)
        return msgspec.structs.replace(
            past,
            highest_id=_reserved(highest, since_s),
            frames=msgspec.structs.replace(frames, dropped=dropped),
            outages=past.outages + 1,
            objects=objects,
            zones=zones,
            lines=lines,
        )


_ENVELOPE = ("schema", "seq", "run", "stream", "pts_s", "wall", "origin")


def _reserved(highest: int, since_s: float) -> int:
    """An id that no track of a lost process can have had: the next thousand after what it may have given."""
    given = highest + RESERVED_IDS + RESERVED_IDS_PER_S * max(0.0, since_s)
    return int(-(-given // 1000) * 1000)
