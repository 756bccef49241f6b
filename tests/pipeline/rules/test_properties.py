"""Any rules over any objects that come, go, stand, flicker and are lost: the plain reference tells the same alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rules.rule import Rule
from tests.pipeline.rules.parts import Scene, rule, summary
from tests.pipeline.rules.reference import Reference
from tests.support.tracked_frames import Shown, tracked_frame

SECONDS = (0.0, 0.3, 1.0, 2.5)
OBJECTS: dict[str, Sequence[Any]] = {
    "classes": (None, ("person",), ("car",)),
    "min_score": (0.0, 0.5),
    "min_size": ((0.0, 0.0), (15.0, 30.0)),
}
LASTING: dict[str, Sequence[Any]] = {"for_s": SECONDS, "clear_s": SECONDS, "cooldown_s": (0.0, 3.0)}
STANDING: dict[str, Sequence[Any]] = {**LASTING, "for_s": (0.5, 1.0, 2.5)}
ZONE: dict[str, Sequence[Any]] = {"zone": (None, "yard")}
CONDITIONS: dict[str, dict[str, Sequence[Any]]] = {
    "in_zone": {"zone": ("yard",), **OBJECTS, **LASTING},
    "crowd": {"at_least": (2, 3), "hysteresis": (0.0, 1.0), **ZONE, **OBJECTS, **LASTING},
    "crossed": {"line": ("gate",), "direction": ("in", "out", "both"), **OBJECTS, "clear_s": SECONDS},
    "speed_above": {"speed_mps": (3.0,), "hysteresis": (0.0, 1.0), **ZONE, **LASTING},
    "speed_below": {"speed_mps": (2.0,), "hysteresis": (0.0, 1.0), **ZONE, **LASTING},
    "stationary": {**ZONE, **OBJECTS, **STANDING},
    "absent": {**ZONE, **OBJECTS, **STANDING},
    "offline": LASTING,
}


def some_rules(random: Random) -> list[Rule]:
    chosen = random.choices(sorted(CONDITIONS), k=random.randint(1, 6))
    return [
        rule(when, f"{when} {number}", **{key: random.choice(values) for key, values in CONDITIONS[when].items()})
        for number, when in enumerate(chosen)
    ]


class Things:
    """Objects on their ways, with a tracker that is not perfect."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.next_id = 1
        self.things = [self._new() for _ in range(4)]

    def _new(self) -> dict[str, Any]:
        place = self.random.choice([(60, 240), (200, 240), (318, 240), (420, 300), (600, 200)])
        size = self.random.choice([(10, 20), (20, 40)])
        number, self.next_id = self.next_id, self.next_id + 1
        return {"id": number, "at": place, "size": size, "class": self.random.randrange(2), "shown": False}

    def forget(self) -> None:
        """The tracker begins anew."""
        for thing in self.things:
            thing["id"], self.next_id, thing["shown"] = self.next_id, self.next_id + 1, False

    def step(self) -> tuple[dict[int, Shown], list[int]]:
        shown, ended = {}, []
        for position, thing in enumerate(self.things):
            chance = self.random.random()
            if chance < 0.04:  # it is lost, and found again in the same place, or gone
                if thing["shown"]:
                    ended.append(thing["id"])
                again = self._new()
                if self.random.random() < 0.7:
                    again |= {key: thing[key] for key in ("at", "size", "class")}
                self.things[position] = again
                continue
            if chance < 0.2:
                continue  # not seen in this frame
            if chance < 0.5:
                step = self.random.choice([2, 30, 120])
                thing["at"] = tuple(value + self.random.choice([-step, step]) for value in thing["at"])
            (x, y), (width, height) = thing["at"], thing["size"]
            box = (x - width / 2, y - height, x + width / 2, y)
            unseen_s = self.random.choice([0.0, 0.0, 0.0, 0.2]) if thing["shown"] else 0.0
            score = self.random.choice([0.3, 0.9])
            thing["shown"] = True
            shown[thing["id"]] = Shown(box, thing["class"], score=score, unseen_s=unseen_s)
        return shown, ended


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_plain_reference_tells_the_same(seed: int) -> None:
    random = Random(seed)
    rules, step_s = some_rules(random), random.choice([0.1, 0.4, 1.5])
    scene, reference, things = Scene(*rules), Reference(rules), Things(random)
    now_s = 0.0
    for _ in range(60):
        shown, ended = things.step()
        scene.frame(now_s, shown, ended)
        tracked = tracked_frame(scene.number, now_s, shown, ended=ended)
        reference.frame(tracked, scene.found, scene.speeds())
        if random.random() < 0.03:
            now_s = gap(scene, reference, things, now_s + 0.04)
        now_s = round(now_s + step_s * random.choice([0.5, 1.0, 1.0]), 3)
    scene.finish(now_s)
    reference.finish(scene.found, now_s)
    assert told(summary(scene.told)) == told(reference.told)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_rules_that_stay_notice_nothing_of_those_that_come_and_go(seed: int) -> None:
    """Nor of the order in which tracks are listed."""
    random = Random(seed)
    kept, step_s = some_rules(random), random.choice([0.1, 0.4, 1.5])
    scene, reference, things = Scene(*kept), Reference(kept), Things(random)
    now_s = 0.0
    for _ in range(60):
        shown, ended = things.step()
        listed = dict(random.sample(sorted(shown.items()), len(shown)))
        scene.frame(now_s, listed, ended)
        reference.frame(tracked_frame(scene.number, now_s, shown, ended=ended), scene.found, scene.speeds())
        if random.random() < 0.2:
            # How long lost tracks are remembered goes with the longest of all rules.
            others = [replace(other, name=f"other {other.name}", clear_s=0.0) for other in some_rules(random)]
            rules = kept + random.choice([others, []])
            scene.change(*random.sample(rules, len(rules)), pts_s=now_s)
        if random.random() < 0.03:
            now_s = gap(scene, reference, things, now_s + 0.04)
        now_s = round(now_s + step_s * random.choice([0.5, 1.0, 1.0]), 3)
    scene.finish(now_s)
    reference.finish(scene.found, now_s)
    names = {one.name for one in kept}
    assert told([alert for alert in summary(scene.told) if alert[0] in names]) == told(reference.told)


def gap(scene: Scene, reference: Reference, things: Things, gone_s: float) -> float:
    """The stream is away for a while; returns until when."""
    scene.go(gone_s)
    reference.go(scene.found, gone_s)
    things.forget()
    for _ in range(things.random.randrange(8)):
        gone_s += 0.5
        scene.wait(gone_s)
        reference.wait(gone_s)
    return gone_s


def told(alerts: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In the order of time, and at one time by rule; what one rule tells keeps its order."""
    return sorted(alerts, key=lambda one: (one[2], one[0]))
