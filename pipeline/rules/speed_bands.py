"""Whose speed makes a difference to rules: most objects' does not from one frame to the next."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.rules.members import Members, Subject
from pipeline.types import Float64Array


class Comparing(Protocol):
    """A condition on speeds."""

    @property
    def members(self) -> Members:
        """What it is about."""
        ...

    @property
    def bounds(self) -> tuple[float, float]:
        """The speeds in m/s past which it is met, and past which it is met no more."""
        ...

    def is_met(self, speed: float, was_met: bool) -> bool:
        """Whether an object of that speed meets it."""
        ...

    def band(self, is_met: bool) -> tuple[float, float]:
        """Speeds between which, both excluded, that stays so."""
        ...

    def is_open(self, track_id: int) -> bool:
        """Whether an object meets it now."""
        ...

    def begin(self, subject: Subject, now_s: float) -> None:
        """An object meets it from now on."""
        ...

    def cease(self, subject: Subject, last_s: float) -> None:
        """An object meets it no more, since the frame after that time."""
        ...


class SpeedBands:
    """Has conditions compare a speed only where it has left the band in which it makes no difference to any.

    Args:
        table: rows of the live tracks; this adds its columns.
        speeds: makes float64 by row, in m/s, of the newest frame; NaN for what is not known.
    """

    def __init__(self, table: TrackTable, speeds: Callable[[], Float64Array]) -> None:
        self._table = table
        self._speeds = speeds
        # What is not known yet, NaN, lies outside of nothing, and what then becomes known lies outside of this.
        self._low = table.column(np.float64, fill=math.inf)
        self._high = table.column(np.float64, fill=math.inf)
        self._groups: dict[str | None, list[_Group]] = {}  # by the zone that they are about

    def ask(self, watches: Collection[Comparing], now_s: float) -> None:
        """Have these conditions from now on, some of which there may be already."""
        for group in chain.from_iterable(self._groups.values()):
            group.members.tell_no_more(group)
        self._groups = {}
        for members in {id(watch.members): watch.members for watch in watches}.values():
            group = _Group(self, members, [watch for watch in watches if watch.members is members])
            self._groups.setdefault(members.zone, []).append(group)
            members.tell(group, now_s)

    def update(self, subjects: Mapping[int, Subject], now_s: float, last_s: float) -> None:
        """Take in a frame.

        Args:
            subjects: the tracks, by row.
            now_s, last_s: time of this frame, and of the one before.
        """
        used, lows, highs = self._table.used, self._low.values, self._high.values
        speeds = self._speeds()[:used]
        out = speeds <= lows[:used]
        out |= speeds >= highs[:used]
        rows = out.nonzero()[0]
        for row, speed in zip(rows.tolist(), speeds[rows].tolist(), strict=True):
            low, high = -math.inf, math.inf
            if (subject := subjects.get(row)) is not None:
                for zone in (None, *subject.zones):
                    for group in self._groups.get(zone, ()):
                        if subject.track_id in group.members.of:
                            outcome = group.compare(subject, speed, now_s, last_s)
                            low, high = max(low, outcome.low), min(high, outcome.high)
            lows[row], highs[row] = low, high

    def look_again(self, row: int) -> None:
        """Compare the speed in a row in the next ``update``, if it is known."""
        self._low.values[row] = self._high.values[row] = math.inf

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._low, self._high):
            self._table.drop(column)


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What a speed amounts to.

    Attributes:
        met: the conditions that are met then, a bit for each.
        begun, ceased: those that were not before, and that are not any more.
        low, high: speeds in m/s between which, both excluded, that is so.
    """

    met: int
    begun: Sequence[Comparing]
    ceased: Sequence[Comparing]
    low: float
    high: float


class _Group:
    """The conditions on speeds of those rules that are about the same.

    Between two neighbours of all their bounds no speed differs from another, so what speeds amount to is found out
    once for each such interval, and for each set of conditions that were met before.
    """

    def __init__(self, bands: SpeedBands, members: Members, watches: Sequence[Comparing]) -> None:
        self.members = members
        self._bands = bands
        self._watches = watches
        self._bounds = sorted({bound for watch in watches for bound in watch.bounds})
        self._outcomes: dict[tuple[int, int], _Outcome] = {}
        # Which conditions members meet, a bit for each, by track id of those who meet any; some may go on.
        met = {track_id: self._open(track_id) for track_id in members.of}
        self._met = {track_id: bits for track_id, bits in met.items() if bits}

    def _open(self, track_id: int) -> int:
        return sum(1 << bit for bit, watch in enumerate(self._watches) if watch.is_open(track_id))

    def join(self, subject: Subject, now_s: float) -> None:
        """It is compared from this frame on."""
        self._bands.look_again(subject.row)

    def leave(self, subject: Subject, last_s: float) -> None:
        """It is compared no more."""
        if self._met.pop(subject.track_id, 0):
            for watch in self._watches:
                watch.cease(subject, last_s)

    def compare(self, subject: Subject, speed: float, now_s: float, last_s: float) -> _Outcome:
        """Tell the conditions what a member's speed amounts to."""
        before = self._met.get(subject.track_id, 0)
        key = (before, bisect_left(self._bounds, speed) + bisect_right(self._bounds, speed))  # a bound is between two
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._outcomes[key] = self._weigh(before, speed)
        if outcome.met != before:
            for watch in outcome.ceased:
                watch.cease(subject, last_s)
            for watch in outcome.begun:
                watch.begin(subject, now_s)
            if outcome.met:
                self._met[subject.track_id] = outcome.met
            else:
                del self._met[subject.track_id]
        return outcome

    def _weigh(self, before: int, speed: float) -> _Outcome:
        met, low, high = 0, -math.inf, math.inf
        begun: list[Comparing] = []
        ceased: list[Comparing] = []
        for bit, watch in enumerate(self._watches):
            was_met = bool(before >> bit & 1)
            is_met = watch.is_met(speed, was_met)
            if is_met != was_met:
                (begun if is_met else ceased).append(watch)
            met |= is_met << bit
            lower, upper = watch.band(is_met)
            low, high = max(low, lower), min(high, upper)
        return _Outcome(met, begun, ceased, low, high)
