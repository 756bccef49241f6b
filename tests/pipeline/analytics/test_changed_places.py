"""Zones and lines change while tracks go on: what is the same goes on as if nothing had been changed."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.totals import LiveHistory
from pipeline.analytics.zones import Zone
from pipeline.errors import ConfigError
from pipeline.event_codec import event_type
from pipeline.events import Event, LineCrossed, WindowMinute, WindowSecond, ZoneEntered, ZoneLeft
from tests.oracles.analytics import Recording
from tests.pipeline.analytics.test_stream_analytics import (
    ACROSS,
    NAMES,
    SLANTED,
    SPIKE,
    SQUARE,
    analytics,
    kinds,
    recordings,
)
from tests.support.tracked_frames import standing_at, tracked_frame

LEFT = Zone("half", [(0, 0), (320, 0), (320, 480), (0, 480)])
RIGHT = Zone("half", [(320, 0), (640, 0), (640, 480), (320, 480)])
GATE = Line("gate", (320, 0), (320, 480), hysteresis=0)


def play(counter: StreamAnalytics, recording: Recording, changes: dict[int, Any]) -> list[Event]:
    """The events of all frames, with changes of zones and lines before some of them."""
    events: list[Event] = []
    for index, moment in enumerate(recording.moments):
        if index in changes:
            events += counter.change(*changes[index]).events
        shown = {
            track: standing_at(
                place.x, place.y, NAMES.index(recording.class_of[track]), unseen_s=0.0 if place.detected else 0.1
            )
            for track, place in moment.shown.items()
        }
        events += counter.update(tracked_frame(index, moment.at_ms / 1000, shown, ended=moment.ended))
        if moment.gap_after:
            events += counter.gap()
    return events + counter.finish()


def told_of(events: list[Event], zones: set[str], lines: set[str]) -> list[object]:
    """The events without what concerns other zones and lines, and without what numbers them."""
    told: list[object] = []
    for event in events:
        if isinstance(event, ZoneEntered | ZoneLeft) and event.zone not in zones:
            continue
        if isinstance(event, LineCrossed) and event.line not in lines:
            continue
        plain = {"type": event_type(event), **msgspec.to_builtins(event)}
        for key in ("seq", "wall", "run"):
            plain.pop(key)
        if isinstance(event, WindowSecond | WindowMinute):
            plain["zones"] = {name: counts for name, counts in plain["zones"].items() if name in zones}
            plain["lines"] = {name: counts for name, counts in plain["lines"].items() if name in lines}
        told.append(plain)
    return told


@given(recordings(), st.randoms(use_true_random=False))
def test_what_is_not_changed_goes_on_as_if_nothing_had_been(recording: Recording, random: Random) -> None:
    """Of zones and lines that stay, of tracks and of whole windows the very same is told, wherever they stand."""
    others = [[], [LEFT], [RIGHT], [LEFT, Zone("corner", [(0, 0), (90, 0), (0, 90)])]]
    other_lines = [[], [GATE], [Line("gate", (0, 240), (640, 240))], [Line("door", (9, 9), (99, 9)), GATE]]
    changes = {}
    for index in range(len(recording.moments)):
        if random.random() < 0.2:
            zones, lines = [*random.choice(others), SQUARE, SPIKE], [*random.choice(other_lines), ACROSS, SLANTED]
            random.shuffle(zones)
            random.shuffle(lines)
            changes[index] = zones, lines
    plain = analytics(zones=[SQUARE, SPIKE], lines=[ACROSS, SLANTED])
    changed = analytics(zones=[SQUARE, LEFT, SPIKE], lines=[GATE, ACROSS, SLANTED])
    expected = told_of(play(plain, recording, {}), {"square", "spike"}, {"across", "slanted"})
    found = told_of(play(changed, recording, changes), {"square", "spike"}, {"across", "slanted"})
    key = msgspec.json.encode
    assert sorted(found, key=key) == sorted(expected, key=key)
    assert changed.objects() == plain.objects()
    for name in ("square", "spike"):
        assert changed.zone_totals()[name] == plain.zone_totals()[name]
    for name in ("across", "slanted"):
        assert changed.line_totals()[name] == plain.line_totals()[name]


def seen_at(index: int, x: float) -> Any:
    return tracked_frame(index, index / 10, {1: standing_at(x, 240, 0)})


def test_a_track_stays_in_a_zone_that_is_moved_until_it_is_seen_outside() -> None:
    counter = analytics(zones=[LEFT], update_hz=0)
    for index in range(5):
        counter.update(seen_at(index, 100))
    assert counter.change([RIGHT], []).events == []
    events = [event for index in range(5, 9) for event in counter.update(seen_at(index, 100))]
    (left,) = events
    assert isinstance(left, ZoneLeft)
    assert (left.zone, left.pts_s, left.dwell_s) == ("half", 0.5, 0.5)
    assert counter.zone_totals() == {"half": {"person": {"unique": 1, "max": 1, "dwell_s": 0.5}}}


def test_a_zone_that_is_taken_away_is_left_and_its_totals_are_handed_over() -> None:
    counter = analytics(zones=[SQUARE, LEFT], lines=[GATE], update_hz=0)
    for index in range(5):
        counter.update(seen_at(index, 200))
    removed = counter.change([SQUARE], [])
    (left,) = removed.events
    assert isinstance(left, ZoneLeft)
    assert (left.zone, left.track_id, left.dwell_s) == ("half", 1, 0.4)
    assert removed.zones == {"half": {"person": {"unique": 1, "max": 1, "dwell_s": 0.4}}}
    assert removed.lines == {"gate": {}}
    assert list(counter.zone_totals()) == ["square"]
    facts = counter.facts(seen_at(5, 200).tracks)
    assert facts is not None
    assert facts.zones == [("square",)]


def test_a_new_zone_is_entered_by_who_stands_in_it() -> None:
    counter = analytics(update_hz=0)
    for index in range(5):
        counter.update(seen_at(index, 200))
    counter.change([LEFT], [])
    assert kinds(counter.update(seen_at(5, 200))) == ["zone.entered"]


def test_a_line_that_is_moved_over_a_track_is_not_crossed() -> None:
    counter = analytics(lines=[GATE], update_hz=0)
    for index in range(5):
        counter.update(seen_at(index, 300))
    counter.change([], [Line("gate", (250, 0), (250, 480), hysteresis=0)])
    events = [event for index in range(5, 9) for event in counter.update(seen_at(index, 300))]
    assert events == []
    for index in range(9, 12):
        events += counter.update(seen_at(index, 200))
    assert kinds([event for event in events if isinstance(event, LineCrossed)]) == ["line.crossed"]


def test_after_a_mistake_nothing_has_changed() -> None:
    live = LiveHistory()
    counter = analytics(zones=[LEFT], lines=[GATE], live=live)
    counter.update(seen_at(0, 200))
    for zones, lines in (
        ([SQUARE, SQUARE], [GATE]),
        ([SQUARE], [Line("gate", (0, 0), (9, 9), classes=["parson"])]),
    ):
        with pytest.raises(ConfigError):
            counter.change(zones, lines)
    assert list(counter.zone_totals()) == ["half"]
    assert live.shapes == ((LEFT,), (GATE,))
    assert kinds(counter.finish()) == ["zone.left", "track.ended", "window.second", "window.minute"]


def test_memory_does_not_grow_with_the_changes() -> None:
    counter = analytics(zones=[LEFT], lines=[GATE])
    counter.update(seen_at(0, 200))
    columns = len(counter._table._columns)
    for index in range(1, 300):
        counter.change([RIGHT if index % 2 else LEFT, SQUARE], [GATE, ACROSS])
        counter.update(seen_at(index, 200))
    assert len(counter._table._columns) == columns
