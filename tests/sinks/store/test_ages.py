"""What a store deletes for its age, and a clock that is wrong: only time that has really passed counts."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from pipeline.types import SourceInfo
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import updated

DAY_S = 86_400.0
YEAR_S = 365.25 * DAY_S


class Machine:
    """A store, and a machine with two clocks: one that anybody sets, and one that counts from its start."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.seq = 0
        self.ahead_s = self.passed_s = 0.0
        wall, boot = time.time, time.clock_gettime
        patch.setattr("time.time", lambda: wall() + self.passed_s + self.ahead_s)
        patch.setattr("time.clock_gettime", lambda which: boot(which) + self.passed_s)
        # On a busy machine a run would leave some of what is to go for the next one.
        patch.setattr("sinks.store.sqlite_writer._TRIM_S", 60.0)

    def run(self, keep_days: float | None, events: int = 1, *, set_after_s: float | None = None) -> None:
        """A run of the program; with ``set_after_s``, the clock is set ahead by that before the last event."""
        sink = SqliteStore(self.path, keep_days=keep_days, flush_s=0.01, pictures=False)
        sink.open("cam", SourceInfo(width=64, height=48), [])
        for number in range(events):
            if set_after_s is not None and number == events - 1:
                self.ahead_s += set_after_s
            self.seq += 1
            wall = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
            sink.on_event(msgspec.structs.replace(updated(self.seq), wall=wall))
        sink.close()

    def left(self) -> list[int]:
        return [row[0] for row in query(self.path, "SELECT seq FROM events ORDER BY id").rows]


@settings(max_examples=8)
@given(
    steps=st.lists(
        st.tuples(st.floats(-50, 50), st.sampled_from([0.0, 0.31, 0.73, 1.37, 2.93])), min_size=1, max_size=5
    )
)
def test_nothing_goes_before_its_time_whatever_the_clock_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float]]
) -> None:
    """Per step: years by which the clock is wrong, and days that pass before the next start."""
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(tmp_path_factory.mktemp("store") / "events.db", patch)
        written_s = []
        for wrong_years, days in steps:
            machine.ahead_s = wrong_years * YEAR_S
            machine.run(4)
            written_s.append(machine.passed_s)
            kept = [seq for seq, at_s in enumerate(written_s, 1) if machine.passed_s - at_s <= 4 * DAY_S]
            assert machine.left() == kept, "neither too early nor too late"
            machine.passed_s += days * DAY_S


@pytest.mark.parametrize("set_s", [YEAR_S, -YEAR_S, -50 * YEAR_S])
def test_a_clock_that_is_set_during_a_run_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_s: float
) -> None:
    machine = Machine(tmp_path / "events.db", monkeypatch)
    machine.run(4, 20, set_after_s=set_s)
    machine.run(4)
    assert machine.left() == list(range(1, 22))


@pytest.mark.parametrize("wrong_s", [YEAR_S, 30 * YEAR_S, -50 * YEAR_S])
def test_a_store_without_a_record_is_judged_by_its_dates_as_far_as_they_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float
) -> None:
    machine = Machine(tmp_path / "events.db", monkeypatch)
    machine.run(None)
    machine.passed_s += 6 * DAY_S
    machine.ahead_s = 30 * YEAR_S  # one from the future
    machine.run(None)
    machine.ahead_s = 0.0
    machine.run(None)
    assert not sqlite3.connect(machine.path).execute("SELECT * FROM sqlite_master WHERE name = 'event_ages'").fetchall()
    machine.ahead_s = wrong_s  # for one start
    machine.run(7)
    assert machine.left() == [1, 2, 3, 4]
    machine.ahead_s = 0.0
    machine.passed_s += 2 * DAY_S
    machine.run(7)
    assert machine.left() == ([1, 2, 3, 4, 5] if wrong_s < 0 else [2, 3, 4, 5])
    machine.passed_s += 6 * DAY_S
    machine.run(7)
    assert machine.left() == [5, 6]
