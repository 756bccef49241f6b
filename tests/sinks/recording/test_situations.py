"""What a recording is kept around: situations from their beginning to their end."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pipeline.events import (
    AlertEnded,
    AlertStarted,
    Event,
    FrameCounts,
    LineCrossed,
    StreamEnded,
    TrackEnded,
    TrackStarted,
    ZoneEntered,
    ZoneLeft,
)
from sinks.recording.situations import Situations

_COMMON: dict[str, Any] = {"seq": 1, "run": "r", "stream": "door", "pts_s": 1.0, "wall": "2026-11-30T12:00:00.000Z"}
_BOX: dict[str, Any] = {"class_name": "person", "score": 0.9, "xyxy": (0.0, 0.0, 1.0, 1.0)}
_ALERT: dict[str, Any] = {
    "rule": "r",
    "severity": "info",
    "text": "",
    "since_s": 0.0,
    "count": 1,
    "tracks": (1,),
    "classes": (),
}


def track(number: int, *, ended: bool = False) -> Event:
    if ended:
        return TrackEnded(**_COMMON, **_BOX, track_id=number, age_s=1.0, reason="lost")
    return TrackStarted(**_COMMON, **_BOX, track_id=number)


def visit(number: int, *, ended: bool = False) -> Event:
    if ended:
        return ZoneLeft(**_COMMON, zone="yard", track_id=number, class_name="person", dwell_s=1.0)
    return ZoneEntered(**_COMMON, zone="yard", track_id=number, class_name="person")


def alert(number: int, *, ended: bool = False) -> Event:
    if ended:
        return AlertEnded(**_COMMON, **_ALERT, alert_id=number, duration_s=1.0, reason="cleared")
    return AlertStarted(**_COMMON, **_ALERT, alert_id=number)


@pytest.mark.parametrize(
    ("kind", "name"), [(track, "track.started"), (visit, "zone.entered"), (alert, "alert.started")]
)
def test_a_situation_lasts_until_all_of_it_have_ended(kind: Any, name: str) -> None:
    situations = Situations([name])
    told = []
    for event in (kind(1), kind(2), kind(1, ended=True), kind(3, ended=True), kind(2, ended=True)):
        told.append((situations.look(event), situations.lasting_s))
    assert told == [(True, math.inf), (True, math.inf), (True, math.inf), (False, math.inf), (True, 0.0)]


def test_what_has_no_end_lasts_no_time() -> None:
    situations = Situations(["line.crossed"])
    crossed = LineCrossed(**_COMMON, line="gate", track_id=1, class_name="person", direction="in")
    assert situations.look(crossed)
    assert situations.lasting_s == 0.0


def test_other_events_do_not_count() -> None:
    situations = Situations(["alert.started"])
    assert not any(situations.look(event) for event in (track(1), visit(1), track(1, ended=True)))
    assert situations.lasting_s == 0.0


def test_the_end_of_a_stream_ends_all() -> None:
    situations = Situations(["track.started"])
    situations.look(track(1))
    ledger = FrameCounts(decoded=0, processed=0, dropped={}, failed={})
    assert situations.look(StreamEnded(**_COMMON, reason="end", ledger=ledger))
    assert situations.lasting_s == 0.0
