"""The objects that rules are about: those in a zone, of some classes, that were seen well enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.analytics.live_tracks import LiveTracks
from pipeline.analytics.track_table import Column
from pipeline.rules.rule import Rule

_Asked = tuple[float, tuple[float, float]]
_About = tuple[str | None, frozenset[str] | None, _Asked]


@dataclass(slots=True, eq=False)
class Subject:
    """A track as rules know it.

    Attributes:
        track_id, class_name: its id and its class.
        row: where it is in the table of tracks.
        zones: names of those that it is in.
    """

    track_id: int
    row: int
    class_name: str
    zones: set[str] = field(default_factory=set)


class Watching(Protocol):
    """Who wants to know of each member that comes and goes."""

    def join(self, subject: Subject, now_s: float) -> None:
        """An object is a member from now on."""
        ...

    def leave(self, subject: Subject, last_s: float) -> None:
        """An object is no member any more, since the frame after that time."""
        ...


class Quality:
    """Which tracks were seen once as well as some rules ask for."""

    def __init__(self, rule: Rule, tracks: LiveTracks) -> None:
        self._score, self._size = rule.min_score, rule.min_size
        self._tracks = tracks
        self._waits: Column = tracks.table.column(np.bool_, fill=True)

    def look(self, now_s: float) -> list[int]:
        """The rows of those that pass for the first time, of those seen in the frame of that media time."""
        found = self._waits.values[: self._tracks.table.used].nonzero()[0]
        found = found[self._tracks.seen_s.values[found] == now_s]
        found = found[self._tracks.score.values[found] >= self._score]
        if any(self._size):
            boxes = self._tracks.xyxy.values[found]
            wide, high = (boxes[:, side + 2] - boxes[:, side] >= self._size[side] for side in (0, 1))
            found = found[wide & high]
        self._waits.values[found] = False
        rows: list[int] = found.tolist()
        return rows

    def passed(self, row: int) -> bool:
        """Whether the track in a row did."""
        return not self._waits.values[row]

    def close(self) -> None:
        """Give back the column."""
        self._tracks.table.drop(self._waits)


class Members:
    """The objects that some rules are about, kept once for all that are about the same.

    Args:
        zone: in which they are; None for the whole picture.
        classes: of which they are; None for all.
        quality: how well they were seen; None for any.

    Attributes:
        zone, quality: likewise.
        of: by track id.
        classes: how many there are of each.
        changes: how often one has joined or left.
    """

    def __init__(self, zone: str | None, classes: frozenset[str] | None, quality: Quality | None) -> None:
        self.zone = zone
        self.quality = quality
        self.of: dict[int, Subject] = {}
        self.classes: Counter[str] = Counter()
        self.changes = 0
        self._classes = classes
        self._watching: list[Watching] = []

    def takes(self, class_name: str) -> bool:
        """Whether objects of that class count."""
        return self._classes is None or class_name in self._classes

    def is_good(self, subject: Subject) -> bool:
        """Whether an object was seen well enough."""
        return self.quality is None or self.quality.passed(subject.row)

    def tell(self, watching: Watching, now_s: float) -> None:
        """Tell somebody of all that there are, and of each that joins and leaves."""
        self._watching.append(watching)
        for subject in self.of.values():
            watching.join(subject, now_s)

    def tell_no_more(self, watching: object) -> None:
        """Somebody wants to know no more."""
        self._watching = [one for one in self._watching if one is not watching]

    def join(self, subject: Subject, now_s: float) -> None:
        """An object is a member from now on, if it was seen well enough; nothing where it is one already."""
        track_id = subject.track_id
        if track_id in self.of or not (self.quality is None or self.quality.passed(subject.row)):
            return
        self.of[track_id] = subject
        self.classes[subject.class_name] += 1
        self.changes += 1
        for one in self._watching:
            one.join(subject, now_s)

    def leave(self, subject: Subject, last_s: float) -> None:
        """An object is no member any more, since the frame after that time; nothing where it was none."""
        if self.of.pop(subject.track_id, None) is None:
            return
        self.classes[subject.class_name] -= 1
        self.changes += 1
        for one in self._watching:
            one.leave(subject, last_s)


class _Around(dict[tuple[str | None, str], tuple[Members, ...]]):
    """By a zone, or None for the whole picture, and a class: what an object of that class there may be among."""

    def __init__(self, members: dict[_About, Members]) -> None:
        super().__init__()
        self._members = members

    def __missing__(self, key: tuple[str | None, str]) -> tuple[Members, ...]:
        zone, class_name = key
        self[key] = found = tuple(one for one in self._members.values() if one.zone == zone and one.takes(class_name))
        return found


class Membership:
    """All that the rules of a stream are about; rules that are about the same have the same ``Members``.

    Attributes:
        around: by a zone, or None for the whole picture, and a class: what an object of that class there may be among.
    """

    def __init__(self, tracks: LiveTracks) -> None:
        self._tracks = tracks
        self._qualities: dict[_Asked, Quality] = {}
        self._members: dict[_About, Members] = {}
        self.around = _Around(self._members)

    def of(self, rule: Rule) -> Members:
        """What a rule is about."""
        self.around.clear()
        classes = None if rule.classes is None else frozenset(rule.classes)
        asked = (rule.min_score, rule.min_size)
        quality: Quality | None = None
        if asked != (0.0, (0.0, 0.0)):
            if asked not in self._qualities:
                self._qualities[asked] = Quality(rule, self._tracks)
            quality = self._qualities[asked]
        if rule.when in ("crossed", "offline", "coverage_below"):
            return Members(None, classes, quality)  # To be there alone is nothing to these, so nobody joins.
        about = (rule.zone, classes, asked)
        if about not in self._members:
            self._members[about] = Members(rule.zone, classes, quality)
        return self._members[about]

    def keep(self, rules: Iterable[tuple[Rule, Members]]) -> None:
        """Let go of what none of these rules is about."""
        self.around.clear()
        kept = list(rules)
        used = {id(members) for _, members in kept}
        for about in [about for about, members in self._members.items() if id(members) not in used]:
            del self._members[about]
        asked = {(rule.min_score, rule.min_size) for rule, _ in kept}
        for key in [key for key in self._qualities if key not in asked]:
            self._qualities.pop(key).close()

    def look(self, now_s: float) -> list[tuple[Quality, list[int]]]:
        """Who passes each quality for the first time, by row, of those seen in the frame of that media time."""
        return [(quality, quality.look(now_s)) for quality in self._qualities.values()]

    def join(self, subject: Subject, now_s: float, quality: Quality | None = None) -> None:
        """Have an object be among those that it fits, of those that ask for a quality or, without, of all."""
        for zone in (None, *subject.zones):
            for members in self.around[zone, subject.class_name]:
                if quality is None or members.quality is quality:
                    members.join(subject, now_s)

    def close(self) -> None:
        """Give back what the table of tracks keeps for them."""
        self.keep(())
