"""What is told of situations as they happen: once each, however they flicker, and what ends them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import ConfigError
from pipeline.events import AlertEnded, AlertStarted, WindowSecond
from pipeline.rules.rule import Rule, check_rules
from pipeline.rules.schedule import Schedule
from tests.pipeline.rules.parts import NAMES, Scene, rule, summary
from tests.support.tracked_frames import Shown, standing_at

CAR = 1


def test_a_car_that_stops_for_a_minute_is_one_alert() -> None:
    """It comes, stands for a minute, and goes. Boxes tremble, it is missed now and then, and once it gets a new id."""
    scene = Scene(rule("stationary", "stopped", for_s=10, classes=["car"], severity="critical", clear_s=3))
    number = 1
    for frame in range(10 * 80):
        now_s = frame / 10
        x = 50 + 40 * now_s if now_s < 5 else 250 if now_s < 65 else 250 + 40 * (now_s - 65)
        tremble = 1.5 * (frame % 3 - 1)
        ended: list[int] = []
        if frame == 300:  # lost where it stands, and found again a second later under another id
            ended, number = [1], 2
        missed = 300 <= frame < 310 or (frame % 17 == 0 and frame > 0)
        wrong = 30 if frame % 41 == 40 else 0  # a box that is wrong for one look
        x += tremble + wrong
        shown = {} if missed else {number: Shown((x - 30, 200, x + 30, 240), CAR)}
        scene.frame(now_s, shown, ended)
    scene.finish(80)
    kinds = [(what, round(at_s)) for _, what, at_s, _ in summary(scene.told)]
    assert [kind for kind, _ in kinds if kind != "updated"] == ["started", "ended"]
    assert kinds[0] == ("started", 15)
    assert 65 <= kinds[-1][1] <= 70
    start = scene.told[0]
    assert isinstance(start, AlertStarted)
    assert (start.rule, start.severity, start.count, start.classes) == ("stopped", "critical", 1, ("car",))
    assert start.since_s == pytest.approx(5, abs=0.5)
    assert start.text == "1 not moving for 10 s: car"
    assert {event.alert_id for event in scene.told} == {start.seq}  # type: ignore[attr-defined]


def test_somebody_in_the_yard_at_night() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = Schedule(hours=("22:00", "06:00"), time_zone="Europe/Berlin")
    loiter = rule(
        "in_zone",
        "yard",
        zone="yard",
        for_s=30,
        schedule=night,
        text="{count} {classes} in {zone}, {time}: {seconds:.0f} s",
    )
    # On the day on which clocks are put back; who is there before ten counts when it is ten.
    scene = Scene(loiter, start_utc_s=datetime(2026, 10, 24, 21, 59, tzinfo=berlin).timestamp())
    for second in range(120):
        scene.frame(second, {1: standing_at(300, 300)})
    (start,) = scene.told
    assert isinstance(start, AlertStarted)
    assert (start.pts_s, start.text) == (60, "1 person in yard, 22:00:00: 60 s")
    # Eight hours by the clock on the wall are nine hours that night.
    scene.frame(9 * 3600 + 59, {1: standing_at(300, 300)})
    assert len(scene.told) == 1
    scene.frame(9 * 3600 + 60, {1: standing_at(300, 300)})
    assert summary(scene.told)[1:] == [("yard", "ended", 32460, "schedule")]


def test_a_crowd_of_some_flickers_at_its_edge() -> None:
    crowd = rule("crowd", zone="yard", at_least=3, hysteresis=1, for_s=1, clear_s=1)
    scene = Scene(crowd)
    ids: list[int] = []
    for frame in range(60):
        now_s = frame / 10
        count = 3 if now_s < 2 else 2 if now_s < 3 else 1 if now_s < 3.8 else 3 if now_s < 4.5 else 0
        ids, gone = ids[:count], ids[count:]
        ids += [10 * frame + number + 1 for number in range(len(ids), count)]
        scene.frame(now_s, {each: standing_at(150 + 100 * place, 300) for place, each in enumerate(ids)}, gone)
    told = summary(scene.told)
    assert [(what, at_s) for _, what, at_s, _ in told if what != "updated"] == [("started", 1.0), ("ended", 5.5)]


def test_after_an_alert_there_is_a_rest() -> None:
    scene = Scene(rule("crossed", "gate", line="gate", direction="in", clear_s=1, cooldown_s=20))
    # To and fro over the line, every two seconds.
    for frame in range(400):
        now_s = frame / 10
        scene.frame(now_s, {1: standing_at(320 + (60 if int(now_s) % 4 < 2 else -60), 200)})
    told = [(what, at_s) for _, what, at_s, _ in summary(scene.told)]
    starts = [at_s for what, at_s in told if what == "started"]
    ends = [at_s for what, at_s in told if what == "ended"]
    assert len(starts) == 2
    assert starts[1] - ends[0] >= 20


def test_nothing_for_a_while() -> None:
    scene = Scene(rule("absent", "nobody", for_s=5, classes=["person"]))
    for second in range(30):
        there = 10 <= second < 12
        shown = {1: standing_at(300, 300)} if there else {7: standing_at(100, 100, CAR)}
        scene.frame(second, shown, [1] if second == 12 else ())
    scene.finish(30)
    assert summary(scene.told) == [
        ("nobody", "started", 5, ()),
        ("nobody", "ended", 12, "cleared"),
        ("nobody", "started", 17, ()),
        ("nobody", "ended", 30, "end"),
    ]


def test_too_little_is_seen() -> None:
    scene = Scene(rule("coverage_below", "blind", coverage=0.5, hysteresis=0.2, for_s=2, clear_s=1))

    def second(index: int, coverage: float) -> None:
        window = scene.stamper(
            WindowSecond, stream="door", pts_s=index + 1, index=index, start_s=float(index), end_s=index + 1.0,
            frames=1, coverage=coverage, objects={},
        )  # fmt: skip
        scene.told += scene.rules.update([window], scene.moment(index + 1))

    for index, coverage in enumerate([1, 0.4, 0.3, 0.6, 0.6, 0.8, 0.9, 0.9, 1]):
        second(index, coverage)
    assert [(what, at_s) for _, what, at_s, _ in summary(scene.told)] == [("started", 3), ("ended", 7)]
    # Seconds that are not told of were not seen at all.
    second(15, 1)
    second(16, 1)
    second(17, 1)
    assert [(what, at_s) for _, what, at_s, _ in summary(scene.told)[2:]] == [("started", 16), ("ended", 17)]


def test_an_outage_is_a_lapse_like_any_other() -> None:
    """What goes on in the same place after it goes on; what lasts longer ends, while nobody looks."""
    rules = rule("in_zone", "yard", zone="yard", clear_s=5), rule("offline", "away", for_s=3, clear_s=5)
    for outage_s, yard in ((2.0, ["started"]), (20.0, ["started", "ended", "started"])):
        scene = Scene(*rules)
        for frame in range(20):
            scene.frame(frame / 10, {1: standing_at(300, 300)})
        scene.go(2.0)
        for half in range(int(2 * outage_s)):
            scene.wait(2 + half / 2)
        for frame in range(20):
            scene.frame(2 + outage_s + frame / 10, {2: standing_at(303, 301)})
        told = summary(scene.told)
        assert [what for name, what, *_ in told if name == "yard" and what != "updated"] == yard
        assert ("yard", "ended", 7.0, "gap") in told or outage_s < 5
        assert [what for name, what, *_ in told if name == "away"] == ([] if outage_s < 3 else ["started"])


def test_rules_change_in_place() -> None:
    yard, nobody = rule("in_zone", "yard", zone="yard", for_s=5), rule("absent", "cars", for_s=5, classes=["car"])
    scene = Scene(yard, nobody)
    for second in range(8):
        scene.frame(second, {1: standing_at(300, 300)})
    assert [name for name, *_ in summary(scene.told)] == ["yard", "cars"]
    scene.change(yard, rule("absent", "cars", for_s=3, classes=["car"]), rule("crowd", "any", at_least=1), pts_s=8)
    for second in range(8, 14):
        scene.frame(second, {1: standing_at(300, 300)})
    assert summary(scene.told)[2:] == [
        ("cars", "ended", 8, "reload"),
        ("any", "started", 8, (1,)),
        ("cars", "started", 11, ()),
    ]
    scene.change(pts_s=14)
    scene.frame(14, {1: standing_at(300, 300), 2: standing_at(400, 300)})
    scene.frame(15, {2: standing_at(400, 300)}, [1])
    # Who came while there was no rule is known to the next.
    scene.change(yard, pts_s=15)
    for second in range(16, 22):
        scene.frame(second, {2: standing_at(400, 300)})
    assert summary(scene.told)[-1] == ("yard", "started", 20, (2,))


def test_a_new_rule_begins_with_what_stands_there() -> None:
    """What is known of its standing is older than the rule; how long it has been slow counts from the rule on."""
    scene = Scene(rule("stationary", "long", for_s=100))
    for second in range(8):
        scene.frame(second, {1: standing_at(300, 300)})
    stopped, slow = rule("stationary", "stopped", for_s=5), rule("speed_below", "slow", speed_mps=1, for_s=3)
    scene.change(rule("stationary", "long", for_s=100), stopped, slow, pts_s=7)
    for second in range(8, 14):
        scene.frame(second, {1: standing_at(300, 300)})
    assert summary(scene.told) == [("stopped", "started", 8, (1,)), ("slow", "started", 10, (1,))]


def test_an_object_that_moves_and_stands_again_is_told_of_again() -> None:
    """Of objects in all of a table's rows, one after another, each with the time since which it stands itself."""
    scene = Scene(rule("stationary", "stopped", for_s=2, clear_s=0.5))
    for number in range(4):
        for tenth in range(60):
            x = 100 + 100 * (tenth // 30)  # it stands for three seconds, and then somewhere else for three
            ended = [number] if tenth == 0 and number else ()
            scene.frame(number * 6 + tenth / 10, {number + 1: standing_at(x, 300)}, ended)
    told = [(what, at_s, tracks) for _, what, at_s, tracks in summary(scene.told) if what == "started"]
    assert [tracks for _, _, tracks in told] == [(number,) for number in (1, 1, 2, 2, 3, 3, 4, 4)]
    # In its new place it stands since the second look there.
    assert [at_s for _, at_s, _ in told] == [at_s for number in range(4) for at_s in (6 * number + 2, 6 * number + 5.1)]


def test_what_ends_in_the_frame_that_shows_it_is_nobody() -> None:
    """Also where it is then seen well enough for the first time."""
    scene = Scene(rule("in_zone", "yard", zone="yard", min_score=0.5))
    scene.frame(0, {1: standing_at(300, 300)}, [1])
    assert not scene.told
    scene.frame(1, {2: standing_at(300, 300)})
    assert summary(scene.told) == [("yard", "started", 1, (2,))]


def test_ids_of_alerts_are_never_given_twice() -> None:
    scene = Scene(rule("in_zone", "one", zone="yard", clear_s=0), rule("crowd", "two", at_least=1, clear_s=0))
    for second in range(20):
        shown = {} if second % 3 == 2 else {second // 3 + 1: standing_at(300, 300)}
        scene.frame(second, shown, [second // 3 + 1] if second % 3 == 2 else ())
    starts = [event for event in scene.told if isinstance(event, AlertStarted)]
    assert len(starts) > 8
    assert len({event.alert_id for event in starts}) == len(starts)
    for event in scene.told:
        if isinstance(event, AlertEnded):
            (start,) = (one for one in starts if one.alert_id == event.alert_id)
            assert event.duration_s == event.pts_s - start.pts_s
            assert event.rule == start.rule


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"when": "in_zone"}, "zone: is missing"),
        ({"when": "stationary"}, "for_s: is missing"),
        ({"when": "crossed", "line": "gate", "for_s": 3}, "for_s: crossed has no such key"),
        ({"when": "offline", "classes": ["car"], "zone": "yard"}, "zone: offline has no such key; classes: offline"),
        ({"when": "crowd", "at_least": 2, "hysteresis": 2}, "never end"),
        ({"when": "speed_above", "speed_mps": 2, "hysteresis": 3}, "never end"),
        ({"when": "in_zone", "zone": "yard", "clear_s": -1}, "clear_s: expected 0 or more"),
        ({"when": "offline", "text": "{thing}"}, "no placeholder {thing}"),
        ({"when": "offline", "text": "{count:999999999d}"}, "expected a format of at most 99 characters"),
        ({"when": "offline", "text": "{seconds:.{count}f}"}, "expected a format of at most 99 characters"),
        ({"when": "offline", "text": "x" * 2001}, "has 2001 characters, at most 2000"),
        ({"when": "offline", "text": "{count"}, "text: "),
        ({"when": "offline", "text": "{count.real}"}, "no placeholder"),
        ({"when": "offline", "text": "{rule:d}"}, "text: "),
        ({"when": "loiter"}, "when: got 'loiter'"),
        ({"when": "coverage_below", "coverage": 2}, "at most 1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        Rule(name="x", **given)
    assert says in str(error.value)


def test_what_rules_are_about_must_be_there() -> None:
    wrong = [
        rule("in_zone", "a", zone="cellar"),
        rule("crossed", "b", line="door"),
        rule("speed_above", "c", speed_mps=3),
        rule("crowd", "d", at_least=1, classes=["persn"]),
        rule("offline", "d"),
    ]
    with pytest.raises(ConfigError) as error:
        check_rules(wrong, NAMES, ["yard"], [], speeds=False)
    lines = str(error.value).splitlines()
    assert len(lines) == 5
    for line, says in zip(lines, ("'cellar'", "'door'", "homography", "persn", "two have this name"), strict=True):
        assert says in line
