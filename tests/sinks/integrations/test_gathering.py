"""When an alert is told, by a clock of the test's own: pictures, the pause of a rule, order."""

from __future__ import annotations

from pathlib import Path

from sinks.integrations.gathering import Gathering
from sinks.integrations.notification import Alert, message_of, notification_of
from tests.support.alerts import ended, picture, started


def told(gathering: Gathering, now_s: float) -> list[list[int]]:
    return [[one.event.seq for one in group] for group in gathering.due(now_s)]


def test_an_alert_without_evidence_is_told_at_once() -> None:
    gathering = Gathering(every_s=0, wait_picture_s=2)
    gathering.add(started(1), 10)
    assert told(gathering, 10) == [[1]]
    assert gathering.next_s() is None


def test_an_alert_waits_for_its_picture_and_those_behind_it_with_it(tmp_path: Path) -> None:
    gathering = Gathering(every_s=0, wait_picture_s=2)
    first = started(1, evidence="one")
    gathering.add(first, 10)
    gathering.add(started(2, rule="parked"), 10.5)
    gathering.add_picture(picture(3, first, tmp_path, b"crop", kind="crop"))
    assert told(gathering, 11) == []
    assert gathering.next_s() == 12
    gathering.add_picture(picture(4, first, tmp_path, b"whole"))
    ((one,), (two,)) = gathering.due(11)
    assert (one.event.seq, two.event.seq) == (1, 2)
    assert one.picture is not None
    assert one.picture.kind == "picture"
    assert two.picture is None


def test_without_a_picture_in_time_the_crop_will_do_or_none(tmp_path: Path) -> None:
    gathering = Gathering(every_s=0, wait_picture_s=2)
    first, second = started(1, evidence="one"), started(2, evidence="two")
    gathering.add(first, 10)
    gathering.add(second, 10)
    gathering.add_picture(picture(3, first, tmp_path, b"crop", kind="crop"))
    ((one,), (two,)) = gathering.due(12)
    assert one.picture is not None
    assert one.picture.kind == "crop"
    assert two.picture is None


def test_the_end_of_an_alert_comes_with_the_picture_of_its_start(tmp_path: Path) -> None:
    gathering = Gathering(every_s=0, wait_picture_s=2)
    first = started(1, evidence="one")
    gathering.add(first, 10)
    gathering.add_picture(picture(2, first, tmp_path, b"whole"))
    assert told(gathering, 10) == [[1]]
    gathering.add(ended(9, evidence="one"), 500)
    ((end,),) = gathering.due(500)
    assert end.picture is not None


def test_a_rule_has_a_pause_and_what_comes_meanwhile_is_told_in_one() -> None:
    gathering = Gathering(every_s=30, wait_picture_s=2)
    gathering.add(started(1), 10)
    assert told(gathering, 10) == [[1]]
    for seq, now_s in ((2, 12), (4, 20)):
        gathering.add(started(seq), now_s)
        assert told(gathering, now_s) == []
    gathering.add(started(3, rule="parked"), 21)
    gathering.add(started(5, stream="yard"), 22)
    assert told(gathering, 22) == [[3], [5]], "other rules and streams go on"
    assert gathering.next_s() == 40
    assert told(gathering, 40) == [[2, 4]]
    gathering.add(started(6), 41)
    assert told(gathering, 41) == [], "that was a message, too"
    assert told(gathering, 70) == [[6]]


def test_at_the_end_everything_is_told() -> None:
    gathering = Gathering(every_s=30, wait_picture_s=2)
    for seq in (1, 2, 3):
        gathering.add(started(seq), 10)
    gathering.add(started(4, rule="parked", evidence="four"), 10)
    assert told(gathering, 10) == [[1]]
    assert [[one.event.seq for one in group] for group in gathering.rest(10.5)] == [[4], [2, 3]]
    assert gathering.next_s() is None


def test_more_than_some_hundred_of_a_rule_are_not_held_back() -> None:
    gathering = Gathering(every_s=3600, wait_picture_s=0)
    for seq in range(1, 2000):
        gathering.add(started(seq), 10)
    groups = told(gathering, 10)
    assert sum(map(len, groups)) >= 1400
    assert max(map(len, groups)) <= 500


def test_a_digest_says_how_many_of_which() -> None:
    events: list[Alert] = [started(1), started(2, rule="parked", severity="info", stream="yard"), ended(3), started(4)]
    pictures = [b"one", None, None, None]
    message = message_of(
        [notification_of(event, picture, "image/jpeg") for event, picture in zip(events, pictures, strict=True)]
    )
    assert message.title == "3 alerts: 2 prowler, 1 parked"
    lines = message.body.splitlines()
    assert lines[:2] == ["3 cam, 1 yard", "over: 1 prowler"]
    assert lines[-1] == "the last: cam: prowler: alert 4"
    assert (message.severity, message.picture) == ("critical", b"one")


def test_one_alone_is_told_in_its_own_words() -> None:
    start, end = (message_of([notification_of(event)]) for event in (started(1), ended(2)))
    assert (start.title, start.body.splitlines()[0]) == ("cam: prowler", "alert 1")
    assert (end.title, end.body.splitlines()[0]) == ("cam: prowler is over", "alert 2 (over after 12 s)")
    assert message_of([notification_of(end) for end in (ended(1), ended(2))]).title == "2 changes of alerts: 2 prowler"
