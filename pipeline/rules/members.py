"""The objects that rules are about: those in a zone, of some classes, that were seen well enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.analytics.live_tracks import LiveTracks
from pipeline.analytics.track_table import Column
from pipeline.rules.rule import Rule
from pipeline.types import BoolArray


@dataclass(slots=True, eq=False)
class Subject:
    """A track as rules know it: its id, its row in the table of tracks, its class, the zones that it is in."""

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
        self.passed: Column = tracks.table.column(np.bool_)

    def look(self, seen: BoolArray) -> list[int]:
        """The rows of those that pass for the first time, of those ``seen`` in this frame."""
        rows = len(seen)
        good = np.greater(seen, self.passed.values[:rows])
        good &= self._tracks.score.values[:rows] >= self._score
        found = np.flatnonzero(good)
        if any(self._size) and len(found):
            boxes = self._tracks.xyxy.values[found]
            wide, high = (boxes[:, side + 2] - boxes[:, side] >= self._size[side] for side in (0, 1))
            found = found[wide & high]
        self.passed.values[found] = True
        return found.tolist()


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
    """

    def __init__(self, zone: str | None, classes: frozenset[str] | None, quality: Quality | None) -> None:
        self.zone = zone
        self.quality = quality
        self.of: dict[int, Subject] = {}
        self.classes: Counter[str] = Counter()
        self._classes = classes
        self._watching: list[Watching] = []

    def takes(self, class_name: str) -> bool:
        """Whether objects of that class count."""
        return self._classes is None or class_name in self._classes

    def is_good(self, subject: Subject) -> bool:
        """Whether an object was seen well enough."""
        return self.quality is None or bool(self.quality.passed.values[subject.row])

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
        if subject.track_id in self.of or not self.is_good(subject):
            return
        self.of[subject.track_id] = subject
        self.classes[subject.class_name] += 1
        for one in self._watching:
            one.join(subject, now_s)

    def leave(self, subject: Subject, last_s: float) -> None:
        """An object is no member any more, since the frame after that time; nothing where it was none."""
        if self.of.pop(subject.track_id, None) is None:
            return
        self.classes[subject.class_name] -= 1
        for one in self._watching:
            one.leave(subject, last_s)
