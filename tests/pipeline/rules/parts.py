"""A stream with rules, fed with frames made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event
from pipeline.geometry.ground import Homography
from pipeline.rules.alert import Moment
from pipeline.rules.rule import Rule, check_rules
from pipeline.rules.stream_rules import StreamRules
from tests.support.tracked_frames import Shown, tracked_frame

NAMES = ("person", "car")
YARD = Zone("yard", [(100, 100), (540, 100), (540, 380), (100, 380)])
GATE = Line("gate", (320, 0), (320, 480), hysteresis=2)
# A pixel is a tenth of a metre.
GROUND = Homography(image=[(0, 0), (640, 0), (640, 480), (0, 480)], metres=[(0, 0), (64, 0), (64, 48), (0, 48)])
MIDNIGHT = 1_772_323_200.0  # 1 March 2026, UTC, a Sunday


class Scene:
    """One stream, its analytics and its rules."""

    def __init__(self, *rules: Rule, start_utc_s: float = MIDNIGHT) -> None:
        check_rules(rules, NAMES, ["yard"], ["gate"], speeds=True)
        self.stamper = EventStamper("run")
        self.analytics = StreamAnalytics(
            "door", NAMES, stamper=self.stamper, zones=[YARD], lines=[GATE], homography=GROUND, update_hz=0
        )
        self.rules = StreamRules("door", rules, self.analytics.tracks, self.stamper)
        self.start_utc_s = start_utc_s
        self.number = 0
        self.found: list[Event] = []
        self.told: list[Event] = []

    def moment(self, pts_s: float) -> Moment:
        return Moment(pts_s, None, self.start_utc_s + pts_s)

    def frame(self, pts_s: float, tracks: Mapping[int, Shown], ended: Iterable[int] = ()) -> list[Event]:
        """The alerts of one frame."""
        tracked = tracked_frame(self.number, pts_s, tracks, ended=ended)
        self.number += 1
        self.found = self.analytics.update(tracked)
        return self._tell(self.rules.update(self.found, self.moment(pts_s)))

    def speeds(self) -> dict[int, float | None]:
        """Of each live track, not rounded as events tell them; None where it is not known."""
        tracks = self.analytics.tracks
        speeds = tracks.speeds().tolist()
        return {track_id: None if math.isnan(speeds[row]) else speeds[row] for track_id, row in tracks.table.all()}

    def go(self, pts_s: float) -> list[Event]:
        """The stream goes away."""
        self.found = self.analytics.gap()
        return self._tell(self.rules.go(self.found, self.moment(pts_s)))

    def wait(self, pts_s: float) -> list[Event]:
        """Time goes on while it is away."""
        return self._tell(self.rules.wait(self.moment(pts_s)))

    def change(self, *rules: Rule, pts_s: float) -> list[Event]:
        """Other rules count."""
        return self._tell(self.rules.change(rules, [], self.moment(pts_s)))

    def finish(self, pts_s: float) -> list[Event]:
        """The stream ends."""
        self.found = self.analytics.finish()
        return self._tell(self.rules.finish(self.found, self.moment(pts_s)))

    def _tell(self, events: Sequence[Event]) -> list[Event]:
        self.told += events
        return list(events)


def rule(when: Any, name: str = "rule", **settings: Any) -> Rule:
    return Rule(name=name, when=when, **settings)


def summary(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Each alert's events in short: rule, what, when, about whom or why."""
    told: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, AlertStarted):
            told.append((event.rule, "started", round(event.pts_s, 3), event.tracks))
        elif isinstance(event, AlertUpdated):
            told.append((event.rule, "updated", round(event.pts_s, 3), event.tracks))
        elif isinstance(event, AlertEnded):
            told.append((event.rule, "ended", round(event.pts_s, 3), event.reason))
    return told
