"""What is wanted, what is promised, and how what is finished comes back."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.errors import ConfigError
from pipeline.events import (
    AlertEnded,
    AlertStarted,
    AlertUpdated,
    Event,
    EvidenceReady,
    LineCrossed,
    TrackEnded,
    TrackUpdated,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.evidence.desk import EvidenceDesk, Piece, StreamEvidence
from pipeline.evidence.wanted import EvidenceWanted, check_wanted

STAMPER = EventStamper()
stamp: Any = partial(STAMPER, stream="gate", pts_s=1.0)


def alert(kind: Any, alert_id: int, rule: str = "yard", classes: tuple[str, ...] = ("person",), **more: Any) -> Event:
    told = {"severity": "info", "text": "", "since_s": 0.0, "count": 1, "tracks": (3,)}
    made: Event = stamp(kind, alert_id=alert_id, rule=rule, classes=classes, **told, **more)
    return made


def events() -> dict[str, Event]:
    track = {"track_id": 3, "class_name": "person"}
    shown = {**track, "score": 0.5, "xyxy": (0.0, 0.0, 1.0, 1.0), "age_s": 1.0}
    return {
        "alert": alert(AlertStarted, STAMPER.last_seq + 1),
        "alert of a car": alert(AlertStarted, STAMPER.last_seq + 1, classes=("car",)),
        "alert of nothing": alert(AlertStarted, STAMPER.last_seq + 1, rule="away", classes=()),
        "entered": stamp(ZoneEntered, zone="door", **track),
        "left": stamp(ZoneLeft, zone="yard", dwell_s=1.0, **track),
        "crossed": stamp(LineCrossed, line="gate", direction="in", **track),
        "ended": stamp(TrackEnded, reason="lost", **shown),
        "updated": stamp(TrackUpdated, unseen_s=0.0, **shown),
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EvidenceWanted(), {"alert", "alert of a car", "alert of nothing"}),
        (EvidenceWanted(alerts=("away",)), {"alert of nothing"}),
        (EvidenceWanted(alerts=False), set()),
        (EvidenceWanted(alerts=False, zones=True), {"entered", "left"}),
        (EvidenceWanted(alerts=False, zones=("yard",)), {"left"}),
        (EvidenceWanted(alerts=False, lines=True), {"crossed"}),
        (EvidenceWanted(alerts=False, lines=("other",)), set()),
        (EvidenceWanted(alerts=False, tracks=True), {"ended"}),
        (EvidenceWanted(zones=True, tracks=True, classes=("car",)), {"alert of a car", "alert of nothing"}),
    ],
)
def test_what_is_wanted_names_its_evidence(wanted: EvidenceWanted, expected: set[str]) -> None:
    evidence = StreamEvidence("gate", EvidenceDesk(wanted), STAMPER)
    given = events()
    named = dict(zip(given, evidence.named(given.values()), strict=True))
    assert {name for name, event in named.items() if getattr(event, "evidence", None)} == expected
    assert all(named[name] is event for name, event in given.items() if name not in expected)
    names = [getattr(named[name], "evidence") for name in expected]  # noqa: B009
    assert len(set(names)) == len(names)


def piece(evidence: str, kind: Any = "picture") -> Piece:
    return Piece(
        evidence=evidence,
        kind=kind,
        path=f"gate/{kind}",
        media_type="image/jpeg",
        size_bytes=7,
        from_pts_s=0.5,
        to_pts_s=0.5,
        annotated=True,
        masked=False,
    )


def test_what_is_finished_is_told_of_with_what_it_shows() -> None:
    desk = EvidenceDesk(EvidenceWanted(), makers=2)
    evidence = StreamEvidence("gate", desk, STAMPER)
    (started,) = evidence.named([alert(AlertStarted, STAMPER.last_seq + 1)])
    assert isinstance(started, AlertStarted)
    name = started.evidence
    assert name is not None
    updated, ended = evidence.named(
        [
            alert(AlertUpdated, started.alert_id),
            alert(AlertEnded, started.alert_id, duration_s=1.0, reason="cleared"),
        ]
    )
    assert getattr(updated, "evidence") == getattr(ended, "evidence") == name  # noqa: B009
    assert evidence.ready(2.0) == []
    desk.put(piece(name))
    desk.settle(name)
    (told,) = evidence.ready(2.0)
    assert isinstance(told, EvidenceReady)
    assert (told.about, told.about_seq, told.alert_id) == ("alert.started", started.seq, started.alert_id)
    assert (told.seq, told.pts_s, told.kind, told.path) == (STAMPER.last_seq, 2.0, "picture", "gate/picture")
    assert desk.busy, "the other maker owes its own"
    desk.put(piece(name, "clip"))
    desk.settle(name)
    assert [getattr(event, "kind") for event in evidence.finish(3.0, within_s=9)] == ["clip"]  # noqa: B009
    assert not desk.busy


def test_what_takes_too_long_is_not_waited_for() -> None:
    desk = EvidenceDesk(EvidenceWanted())
    evidence = StreamEvidence("gate", desk, STAMPER)
    evidence.named([alert(AlertStarted, STAMPER.last_seq + 1)])
    assert evidence.finish(1.0, within_s=0.01) == []


@pytest.mark.parametrize("for_each", [True, False])
def test_a_file_s_evidence_is_waited_for_while_it_goes_on(for_each: bool) -> None:
    promised: list[str] = []

    class Slow(EvidenceDesk):
        def wait(self, within_s: float, *, at_most: int = 0) -> bool:
            """One piece is done within any time, and no more."""
            self.put(piece(promised[0], "clip"))
            self.settle(promised.pop(0))
            return super().wait(0, at_most=at_most)

    evidence = StreamEvidence("gate", Slow(EvidenceWanted()), STAMPER)
    named = evidence.named([alert(AlertStarted, STAMPER.last_seq + 1 + number) for number in range(3)])
    promised += [getattr(event, "evidence") for event in named]  # noqa: B009
    assert len(evidence.finish(1.0, within_s=9, for_each=for_each)) == (3 if for_each else 1)


def test_what_comes_too_late_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = EvidenceDesk(EvidenceWanted())
    desk.put(piece("nobody-1"))
    assert StreamEvidence("gate", desk, STAMPER).ready(1.0) == []
    assert "gate/picture" in caplog.text


def test_more_than_a_thousand_do_not_wait(caplog: pytest.LogCaptureFixture) -> None:
    desk = EvidenceDesk(EvidenceWanted())
    for _ in range(1002):
        desk.put(piece("a"))
    assert len(desk.take()[0]) == 1000
    assert len(caplog.messages) == 2


def test_what_there_is_not_is_told_at_once() -> None:
    wanted = EvidenceWanted(alerts=("nobody",), zones=("dor",), lines=("gate",), classes=("persn",))
    with pytest.raises(ConfigError) as caught:
        check_wanted(wanted, ("person",), rules=[], zones=["door"], lines=["gate"])
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["evidence.alerts", "evidence.zones", "evidence.classes"]
    check_wanted(EvidenceWanted(zones=True, lines=True, tracks=True), ("person",), rules=[], zones=[], lines=[])
