"""How old the events of a store are, by a clock that nobody sets: see ``sinks.written_files``, whose rules these are.

The table ``event_ages`` says of some events when they were written, in seconds since the first of its rows. Every event
up to such a one, by ``id``, is as old or older.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime

from sinks.written_files import Clock, ages_by_dates, boot_clock

_TABLE = """
CREATE TABLE IF NOT EXISTS event_ages (
    id INTEGER PRIMARY KEY,
    time_s REAL NOT NULL,
    boot TEXT NOT NULL,
    boot_s REAL NOT NULL
)
"""
# Rows are no closer together than this, in seconds.
_STEP_S = 60.0
# Of a store without this table so many events are looked at.
_SAMPLES = 5000
# The clock has been set when it has moved by so much against the one that nobody sets.
_SET_S = 1.0


class EventAges:
    """The ages of a store's events. Used within the transactions of its writer.

    Args:
        connection: to the store.
        keep_s: age at which events are to go, in seconds.
        clock: tells which start of the machine this is, and the seconds since then.
    """

    def __init__(self, connection: sqlite3.Connection, keep_s: float, *, clock: Clock = boot_clock) -> None:
        self._execute = connection.execute
        self._keep_s = keep_s
        self._clock = clock
        self._offset_s = time.time() - clock()[1]
        self._last: tuple[int, float] | None = None  # an event that is not in the table, and its time

    def prepare(self) -> None:
        """Make the table, and judge events that are in none of its rows by their ``wall``, as far as that can tell."""
        self._execute(_TABLE)
        known = self._execute("SELECT coalesce(max(id), 0) FROM event_ages").fetchone()[0]
        first, last = self._execute("SELECT min(id), max(id) FROM stored_events WHERE id > ?", (known,)).fetchone()
        if last is None:
            return
        step = max(1, (last - first) // _SAMPLES)
        at_or_after = "SELECT id, wall FROM stored_events WHERE id >= ? ORDER BY id LIMIT 1"
        found = [self._execute(at_or_after, (row_id,)).fetchone() for row_id in (*range(first, last, step), last)]
        ages = ages_by_dates([_seconds(wall) for _, wall in found], time.time(), self._keep_s)
        for (row_id, _), age_s in zip(found, ages, strict=True):
            if age_s is not None:
                self._note(row_id, self._now_s() - age_s)
        self._note(last, self._now_s())

    def note(self, walls: Sequence[str]) -> None:
        """Events with these ``wall``s were written just now, in that order.

        One that comes later than it says (it has waited) is as old as it says, unless the clock was set meanwhile.
        """
        last = self._execute("SELECT max(id) FROM stored_events").fetchone()[0]
        now_s, wall_s = self._now_s(), time.time()
        was_set = abs(wall_s - self._clock()[1] - self._offset_s) > _SET_S
        for row_id, wall in enumerate(walls, last - len(walls) + 1):
            late_s = 0.0 if was_set else wall_s - _seconds(wall)
            if late_s > -_STEP_S:
                time_s = now_s - max(0.0, late_s)
                newest = self._newest()
                if newest is not None and time_s < newest[0] + min(_STEP_S, self._keep_s / 1000):
                    self._last = (row_id, time_s)
                    continue
                self.finish()
                self._note(row_id, time_s)

    def finish(self) -> None:
        """Note the last event before a pause, or the end."""
        last, self._last = self._last, None
        if last is not None:
            row_id, time_s = last
            newest = self._newest()
            # Written after the newest noted one, it is no older, though its ``wall`` was told a moment before.
            self._note(row_id, time_s if newest is None else max(time_s, newest[0]))

    def rolled_back(self) -> None:
        """The newest events were not written after all."""
        self._last = None

    def expired(self) -> int | None:
        """The id of the last event that is too old."""
        row = self._execute(
            "SELECT max(id) FROM event_ages WHERE time_s < ?", (self._now_s() - self._keep_s,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def forget(self, last: int) -> None:
        """Events up to that id are gone. The newest row stays: the time goes on from there."""
        self._execute("DELETE FROM event_ages WHERE id <= ? AND id < (SELECT max(id) FROM event_ages)", (last,))

    def _newest(self) -> tuple[float, str, float] | None:
        row: tuple[float, str, float] | None = self._execute(
            "SELECT time_s, boot, boot_s FROM event_ages ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return row

    def _now_s(self) -> float:
        newest, (boot, boot_s) = self._newest(), self._clock()
        if newest is None:
            return 0.0
        return newest[0] + (max(0.0, boot_s - newest[2]) if newest[1] == boot else 0.0)

    def _note(self, row_id: int, time_s: float) -> None:
        """Note an event unless one before it is younger: none is older than those that were written before it."""
        newest = self._newest()
        if newest is not None and time_s < newest[0]:
            return
        boot, boot_s = self._clock()
        self._execute(
            "INSERT OR REPLACE INTO event_ages (id, time_s, boot, boot_s) VALUES (?, ?, ?, ?)",
            (row_id, time_s, boot, boot_s + time_s - self._now_s()),
        )


def _seconds(wall: str) -> float:
    try:
        return datetime.fromisoformat(wall).timestamp()
    except ValueError:
        return 0.0
