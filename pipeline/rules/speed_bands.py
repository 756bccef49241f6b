"""Whose speed makes a difference to rules: most objects' does not from one frame to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.rules.members import Members, Subject
from pipeline.types import Float64Array

Band = tuple[float, float]
"""Speeds in m/s between which, both excluded, nothing changes."""


class Comparing(Protocol):
    """A condition on speeds."""

    members: Members

    def compare(self, subject: Subject, speed: float, now_s: float, last_s: float) -> Band:
        """Take in a member's speed; returns between which speeds it makes no difference."""
        ...

    def cease(self, subject: Subject, last_s: float) -> None:
        """An object is no member any more, since the frame after that time."""
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
        self._last_s = 0.0
        # What is not known yet, NaN, lies outside of nothing, and what then becomes known lies outside of this.
        self._low = table.column(np.float64, fill=math.inf)
        self._high = table.column(np.float64, fill=math.inf)
        self._groups: dict[int, _Group] = {}

    def ask(self, watches: Collection[Comparing], now_s: float) -> None:
        """Have these conditions from now on, some of which there may be already."""
        before, self._groups = self._groups, {}
        for watch in watches:
            key = id(watch.members)
            if key not in self._groups:
                self._groups[key] = _Group(self, watch.members)
            self._groups[key].watches.append(watch)
        for group in before.values():
            group.members.tell_no_more(group)
        for group in self._groups.values():
            group.members.tell(group, now_s)

    def update(self, subjects: Mapping[int, Subject], now_s: float, last_s: float) -> None:
        """Take in a frame.

        Args:
            subjects: the tracks, by row.
            now_s, last_s: time of this frame, and of the one before.
        """
        self._last_s = now_s
        used = self._table.used
        speeds = self._speeds()[:used]
        out = speeds <= self._low.values[:used]
        out |= speeds >= self._high.values[:used]
        rows = np.flatnonzero(out)
        for row, speed in zip(rows.tolist(), speeds[rows].tolist(), strict=True):
            self._low.values[row], self._high.values[row] = -math.inf, math.inf
            subject = subjects.get(row)
            if subject is not None:
                for group in self._groups.values():
                    if subject.track_id in group.members.of:
                        self._narrow(row, group.compare(subject, speed, now_s, last_s))

    def begin(self, group: _Group, subject: Subject, now_s: float) -> None:
        """An object has become a member of a group: compare its speed, if it is known."""
        row = subject.row
        if self._low.values[row] < math.inf:  # else it will be compared with all of them
            self._narrow(row, group.compare(subject, float(self._speeds()[row]), now_s, self._last_s))

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._low, self._high):
            self._table.drop(column)

    def _narrow(self, row: int, band: Band) -> None:
        low, high = band
        if low > self._low.values[row]:
            self._low.values[row] = low
        if high < self._high.values[row]:
            self._high.values[row] = high


class _Group:
    """The conditions on speeds of those rules that are about the same."""

    def __init__(self, bands: SpeedBands, members: Members) -> None:
        self._bands = bands
        self.members = members
        self.watches: list[Comparing] = []

    def join(self, subject: Subject, now_s: float) -> None:
        """It is compared from this frame on."""
        self._bands.begin(self, subject, now_s)

    def leave(self, subject: Subject, last_s: float) -> None:
        """It is compared no more."""
        for watch in self.watches:
            watch.cease(subject, last_s)

    def compare(self, subject: Subject, speed: float, now_s: float, last_s: float) -> Band:
        """Have each take in a member's speed; returns between which speeds it makes no difference to any."""
        low, high = -math.inf, math.inf
        for watch in self.watches:
            lower, upper = watch.compare(subject, speed, now_s, last_s)
            if lower > low:
                low = lower
            if upper < high:
                high = upper
        return low, high
