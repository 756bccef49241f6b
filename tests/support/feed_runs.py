"""Runs as a pipeline would produce them: streams that start, stall and end, tracks that enter zones and cross lines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, TypeVar

from pipeline.events import (
    Event,
    FrameCounts,
    LineCrossed,
    Stats,
    StreamEnded,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    TrackUpdated,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from tests.support.feed_parts import RUN, WALL

Kind = TypeVar("Kind", bound=Event)
LEDGER = FrameCounts(decoded=10, processed=8, dropped={"late": 1}, failed={"damaged": 1})


class _Run:
    """Simulates a run, one event at a time, with a seeded generator."""

    def __init__(self, seed: int, run: str) -> None:
        self.random = random.Random(seed)
        self.run = run
        self.seq = 0
        self.running: dict[str, dict[int, tuple[str, set[str]]]] = {}  # per stream and track: class, zones it is in
        self.next_track = 1

    def event(self, kind: type[Kind], stream: str, **fields: Any) -> Kind:
        self.seq += 1
        return kind(seq=self.seq, run=self.run, stream=stream, pts_s=self.seq / 25, wall=WALL, **fields)

    def track(self, kind: type[Kind], stream: str, track_id: int, **fields: Any) -> Kind:
        left, top = self.random.random() * 100, self.random.random() * 100
        return self.event(
            kind,
            stream,
            track_id=track_id,
            class_name=self.running[stream][track_id][0],
            score=self.random.random(),
            xyxy=(left, top, left + 10, top + 20),
            **fields,
        )

    def start(self, stream: str) -> Iterator[Event]:
        self.running[stream] = {}
        yield self.event(StreamStarted, stream, source=f"{stream}.mp4", width=64, height=48, fps=25.0, live=False)

    def end(self, stream: str) -> Iterator[Event]:
        for track_id in list(self.running[stream]):
            yield from self.end_track(stream, track_id)
        del self.running[stream]
        yield self.event(StreamEnded, stream, reason="end", ledger=LEDGER)

    def start_track(self, stream: str) -> Iterator[Event]:
        track_id, self.next_track = self.next_track, self.next_track + 1
        self.running[stream][track_id] = (self.random.choice(["person", "car", "żyrafa"]), set())
        yield self.track(TrackStarted, stream, track_id)

    def end_track(self, stream: str, track_id: int) -> Iterator[Event]:
        name, zones = self.running[stream][track_id]
        for zone in sorted(zones):
            yield self.event(ZoneLeft, stream, zone=zone, track_id=track_id, class_name=name, dwell_s=1.5)
        yield self.track(TrackEnded, stream, track_id, age_s=2.0, reason="lost")
        del self.running[stream][track_id]

    def move(self, stream: str, track_id: int) -> Iterator[Event]:
        name, zones = self.running[stream][track_id]
        yield self.track(TrackUpdated, stream, track_id, age_s=1.0, unseen_s=0.1, speed_mps=None)
        zone = self.random.choice(["door", "yard"])
        if self.random.random() < 0.3:
            common = {"zone": zone, "track_id": track_id, "class_name": name}
            if zone in zones:
                zones.discard(zone)
                yield self.event(ZoneLeft, stream, dwell_s=0.5, **common)
            else:
                zones.add(zone)
                yield self.event(ZoneEntered, stream, **common)
        if self.random.random() < 0.2:
            direction = self.random.choice(["in", "out"])
            yield self.event(LineCrossed, stream, line="gate", track_id=track_id, class_name=name, direction=direction)

    def other(self, stream: str) -> Iterator[Event]:
        kind = self.random.choice(["offline", "stats", "window"])
        if kind == "offline":
            yield self.event(StreamOffline, stream, reason="timeout")
            if self.random.random() < 0.8:
                yield self.event(StreamOnline, stream, offline_s=1.0)
        elif kind == "stats":
            yield self.event(Stats, stream, ledger=LEDGER, fps=25.0)
        else:
            yield self.event(WindowSecond, stream, index=0, start_s=0.0, end_s=1.0, frames=25, coverage=1.0, objects={})

    def step(self) -> Iterator[Event]:
        idle = [name for name in ("cam", "clip", "yard-2") if name not in self.running]
        if not self.running or (idle and self.random.random() < 0.05):
            yield from self.start(self.random.choice(idle))
            return
        stream = self.random.choice(sorted(self.running))
        tracks = self.running[stream]
        chance = self.random.random()
        if chance < 0.02:
            yield from self.end(stream)
        elif chance < 0.1:
            yield from self.other(stream)
        elif not tracks or (chance < 0.3 and len(tracks) < 6):
            yield from self.start_track(stream)
        elif chance < 0.4:
            yield from self.end_track(stream, self.random.choice(sorted(tracks)))
        else:
            yield from self.move(stream, self.random.choice(sorted(tracks)))


def recorded_run(seed: int, length: int, run: str = RUN) -> list[Event]:
    """A run of so many events; the same seed gives the same run."""
    simulation = _Run(seed, run)
    events: list[Event] = []
    while len(events) < length:
        events.extend(simulation.step())
    return events[:length]
