"""Rules as ``docs/rules.md`` has them, as plainly as can be: every rule looks at every track in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.events import Event, LineCrossed, TrackEnded, TrackStarted, ZoneEntered, ZoneLeft
from pipeline.rules.rule import Rule
from pipeline.types import TrackedFrame

EPS = 1e-6


@dataclass
class Track:
    class_name: str
    box: tuple[float, ...]
    zones: set[str] = field(default_factory=set)
    good_for: set[str] = field(default_factory=set)  # rules whose score and size it has reached once
    speed: float | None = None
    stand: tuple[float, float, float] | None = None  # x, y, since
    strayed: bool = False


@dataclass
class State:
    episodes: dict[Any, list[float]] = field(default_factory=dict)  # since, last
    met: set[Any] = field(default_factory=set)  # in the frame before
    members: tuple[int, ...] = ()
    active: bool = False
    told: tuple[int, ...] = ()
    told_s: float = 0.0
    ended_s: float | None = None


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


class Reference:
    """Tells what ``summary`` of the alerts is to be."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.states = {rule.name: State() for rule in rules}
        self.tracks: dict[int, Track] = {}
        self.lost: list[tuple[float, int, Track]] = []
        self.last_s = 0.0
        self.away = False
        self.told: list[tuple[Any, ...]] = []

    def frame(self, tracked: TrackedFrame, events: Sequence[Event], speeds: dict[int, float | None]) -> None:
        now_s = tracked.frame.pts_s
        if self.away:
            for rule in self.rules:
                state = self.states[rule.name]
                if rule.when == "offline" and None in state.episodes:
                    state.episodes[None][1] = now_s
                self._expire(rule, state, now_s)
                state.met = set()
            self.away = False
        crossed = self._take(events, now_s)
        for row, track_id in enumerate(tracked.tracks.track_id.tolist()):
            if track_id not in self.tracks:
                continue
            track = self.tracks[track_id]
            track.speed = speeds.get(track_id)
            if tracked.tracks.unseen_s[row] == 0:
                self._see(track, tracked, row, now_s)
        for rule in self.rules:
            self._judge(rule, self._meeting(rule, crossed, now_s), now_s)
        self.last_s = now_s

    def go(self, events: Sequence[Event], now_s: float) -> None:
        self.away = True
        for rule in self.rules:
            if rule.when == "offline":
                self._extend(rule, {None}, self.last_s)
        self.wait(now_s, self._take(events, now_s))

    def wait(self, now_s: float, crossed: Sequence[tuple[LineCrossed, Track]] = ()) -> None:
        for rule in self.rules:
            self.states[rule.name].members = self.states[rule.name].told
            seen = self._meeting(rule, crossed, now_s) if rule.when == "crossed" else set()
            self._judge(rule, {None} if rule.when == "offline" else seen, now_s)

    def finish(self, events: Sequence[Event], now_s: float) -> None:
        crossed = [(event, self.tracks[event.track_id]) for event in events if isinstance(event, LineCrossed)]
        for rule in self.rules:
            if rule.when == "crossed":
                self._judge(rule, self._meeting(rule, crossed, now_s), now_s)
            if self.states[rule.name].active:
                self.told.append((rule.name, "ended", round(now_s, 3), "end"))

    def _take(self, events: Sequence[Event], now_s: float) -> list[tuple[LineCrossed, Track]]:
        crossed = []
        for event in events:
            if isinstance(event, TrackStarted):
                self.tracks[event.track_id] = Track(event.class_name, event.xyxy)
                self._succeed(event, now_s)
            elif isinstance(event, TrackEnded):
                track = self.tracks.pop(event.track_id)
                track.box = event.xyxy
                self.lost.append((now_s, event.track_id, track))
            elif isinstance(event, ZoneEntered):
                self.tracks[event.track_id].zones.add(event.zone)
            elif isinstance(event, ZoneLeft):
                self.tracks[event.track_id].zones.discard(event.zone)
            elif isinstance(event, LineCrossed):
                crossed.append((event, self.tracks[event.track_id]))
        return crossed

    def _succeed(self, event: TrackStarted, now_s: float) -> None:
        within_s = max(rule.clear_s for rule in self.rules)
        self.lost = [one for one in self.lost if now_s - one[0] <= within_s]
        alike = [one for one in self.lost if one[2].class_name == event.class_name]
        best = max(reversed(alike), key=lambda one: overlap(one[2].box, event.xyxy), default=None)
        if best is None or overlap(best[2].box, event.xyxy) < 0.3:
            return
        self.lost.remove(best)
        self.tracks[event.track_id].stand = best[2].stand
        for state in self.states.values():
            if best[1] in state.episodes:
                state.episodes[event.track_id] = state.episodes.pop(best[1])
                if best[1] in state.met:
                    state.met.add(event.track_id)

    def _see(self, track: Track, tracked: TrackedFrame, row: int, now_s: float) -> None:
        box = tracked.tracks.xyxy[row].tolist()
        width, height = box[2] - box[0], box[3] - box[1]
        for rule in self.rules:
            large = width >= rule.min_size[0] and height >= rule.min_size[1]
            if tracked.tracks.score[row] >= rule.min_score and large:
                track.good_for.add(rule.name)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if track.stand is None:
            track.stand = (x, y, now_s)
        elif max(abs(x - track.stand[0]), abs(y - track.stand[1])) <= 0.25 * max(width, height):
            track.strayed = False
        elif track.strayed:
            track.stand, track.strayed = (x, y, now_s), False
        else:
            track.strayed = True

    def _members(self, rule: Rule) -> dict[int, Track]:
        return {
            number: track
            for number, track in self.tracks.items()
            if (rule.classes is None or track.class_name in rule.classes)
            and self._is_good(rule, track)
            and (rule.zone is None or rule.zone in track.zones)
        }

    def _is_good(self, rule: Rule, track: Track) -> bool:
        return (rule.min_score == 0 and rule.min_size == (0, 0)) or rule.name in track.good_for

    def _meeting(self, rule: Rule, crossed: Sequence[tuple[LineCrossed, Track]], now_s: float) -> set[Any]:
        """Who meets the condition in this frame; None where it is the stream as a whole."""
        members, state = self._members(rule), self.states[rule.name]
        slack = rule.hysteresis
        if rule.when == "in_zone":
            return set(members)
        if rule.when == "stationary":
            return {one for one, track in members.items() if track.stand and now_s - track.stand[2] >= rule.for_s - EPS}
        if rule.when in ("speed_above", "speed_below"):
            assert rule.speed_mps is not None
            sign = 1 if rule.when == "speed_above" else -1
            fast = set()
            for one, track in members.items():
                least = sign * rule.speed_mps - (slack if one in state.met else 0)
                if track.speed is not None and sign * track.speed > least:
                    fast.add(one)
            return fast
        if rule.when == "crowd":
            assert rule.at_least is not None
            many = len(members) >= rule.at_least - (slack if None in state.met else 0)
            # In a lapse nothing new is told.
            state.members = state.told if state.active and not many else tuple(sorted(members))
            return {None} if many else set()
        if rule.when == "absent":
            return set() if members else {None}
        if rule.when == "crossed":
            return {
                event.track_id
                for event, track in crossed
                if event.line == rule.line
                and rule.direction in ("both", event.direction)
                and (rule.classes is None or event.class_name in rule.classes)
                and self._is_good(rule, track)
            }
        return set()  # of a stream that is there

    def _judge(self, rule: Rule, met: set[Any], now_s: float) -> None:
        state = self.states[rule.name]
        self._extend(rule, met, now_s)
        self._expire(rule, state, now_s)
        lasting_s = 0.0 if rule.when == "stationary" else rule.for_s
        sure = {one for one, (since_s, last_s) in state.episodes.items() if last_s - since_s >= lasting_s - EPS}
        about = state.members if rule.when == "crowd" else tuple(sorted(one for one in sure if one is not None))
        self._tell(rule, state, bool(sure), about, now_s)

    def _extend(self, rule: Rule, met: set[Any], now_s: float) -> None:
        state = self.states[rule.name]
        for one in met:
            known = state.episodes.get(one)
            if known and (one in state.met or now_s - known[1] <= rule.clear_s + EPS):
                known[1] = now_s
            else:
                state.episodes[one] = [now_s, now_s]
        state.met = met

    def _expire(self, rule: Rule, state: State, now_s: float) -> None:
        for one in list(state.episodes):
            if one not in state.met and now_s - state.episodes[one][1] > rule.clear_s + EPS:
                del state.episodes[one]

    def _tell(self, rule: Rule, state: State, sure: bool, about: tuple[int, ...], now_s: float) -> None:
        if state.active and not sure:
            state.active, state.ended_s = False, now_s
            self.told.append((rule.name, "ended", round(now_s, 3), "gap" if self.away else "cleared"))
        elif state.active and about != state.told and now_s - state.told_s >= 1:
            state.told, state.told_s = about, now_s
            self.told.append((rule.name, "updated", round(now_s, 3), about))
        elif self.away and rule.when not in ("offline", "crossed"):
            pass
        elif not state.active and sure and (state.ended_s is None or now_s - state.ended_s >= rule.cooldown_s):
            state.active, state.told, state.told_s = True, about, now_s
            self.told.append((rule.name, "started", round(now_s, 3), about))
