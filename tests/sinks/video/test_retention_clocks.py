"""Retention and clocks that are wrong: what goes is decided by the order of recording and by time that passed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sinks.video.retention import Retention, segment_path
from sinks.written_files import WrittenFiles

NOW_S = 1_795_000_000.0  # November 2026
HOUR_S = 3600.0
YEAR_S = 365.25 * 86_400


class Machine:
    """A machine with two clocks: one that anybody sets, and one that counts from the machine's start."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.folder = folder
        self.limits: dict[str, float | None] = {"keep_s": None, "keep_bytes": None, **limits}
        self.wall_s, self.boot_s, self.boots = NOW_S, 1000.0, 0
        self.start_program()

    def start_program(self) -> None:
        self.retention = Retention(
            self.folder,
            "door",
            keep_s=self.limits["keep_s"],
            keep_bytes=self.limits["keep_bytes"],
            now_s=lambda: self.wall_s,
            clock=lambda: (f"boot-{self.boots}", self.boot_s),
        )

    def reboot(self, off_s: float) -> None:
        self.wait(off_s)
        self.boots, self.boot_s = self.boots + 1, 10.0
        self.start_program()

    def wait(self, seconds: float) -> None:
        self.wall_s += seconds
        self.boot_s += seconds

    def record(self, size: int = 1000, length_s: float = HOUR_S) -> Path:
        """A segment, named and dated by the clock as it is."""
        path = self.retention.free_path(self.wall_s)
        self.retention.hold(path)
        self.wait(length_s)
        self.place(path, size)
        self.retention.release(path)
        self.retention.apply()
        return path

    def place(self, path: Path, size: int = 1000) -> Path:
        """A file that something else has written."""
        assert not path.exists()
        path.write_bytes(bytes(size))
        os.utime(path, (self.wall_s, self.wall_s))
        return path

    def left(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.mp4")}


STEPS = st.lists(
    st.sampled_from(["record", "restart", "reboot", "set ahead", "set back", "1970", "right"]), min_size=1, max_size=25
)


@settings(max_examples=20)
@given(steps=STEPS, keep_h=st.integers(2, 6))
def test_nothing_goes_before_its_time_whatever_the_clock_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], keep_h: int
) -> None:
    machine = Machine(tmp_path_factory.mktemp("segments"), keep_s=keep_h * HOUR_S + 1)
    passed_s, ended = 0.0, {}
    for step in steps:
        if step == "record":
            ended[machine.record().name] = passed_s = passed_s + HOUR_S
        elif step == "restart":
            machine.start_program()
        elif step == "reboot":
            machine.reboot(30)
        else:
            machine.wall_s = {
                "set ahead": machine.wall_s + YEAR_S,
                "set back": machine.wall_s - YEAR_S,
                "1970": 5.0,
                "right": NOW_S + passed_s,
            }[step]
        machine.retention.apply()
        for name, end_s in ended.items():
            assert (name in machine.left()) == (passed_s - end_s <= keep_h * HOUR_S), "neither too early nor too late"


@settings(max_examples=20)
@given(steps=STEPS, most=st.integers(2, 6))
def test_the_first_recorded_go_first_whatever_the_clock_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], most: int
) -> None:
    machine = Machine(tmp_path_factory.mktemp("segments"), keep_bytes=most * 100_000 + 50_000)
    recorded: list[str] = []
    for step in steps:
        if step == "record":
            recorded.append(machine.record(100_000).name)
        elif step in ("restart", "reboot"):
            machine.start_program()
        else:
            machine.wall_s += {"set ahead": YEAR_S, "set back": -YEAR_S}.get(step, 5.0 - machine.wall_s)
        machine.retention.apply()
        assert machine.left() == set(recorded[-most:])


def test_files_from_the_future_go_first_and_new_ones_stay(tmp_path: Path) -> None:
    """Recordings of a time when the clock was wrong, from before there was a record."""
    machine = Machine(tmp_path, keep_bytes=5_000_000)
    for number in range(6):
        ahead_s = NOW_S + 10 * YEAR_S + number
        os.utime(machine.place(segment_path(tmp_path, "door", ahead_s), 1_000_000), (ahead_s, ahead_s))
    new = [machine.record(200_000, 1.0).name for _ in range(10)]
    assert set(new) <= machine.left()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000_000


@pytest.mark.parametrize("wrong_s", [YEAR_S, 30 * YEAR_S, -NOW_S + 5, -YEAR_S])
def test_a_clock_that_is_wrong_for_one_start_expires_nothing(tmp_path: Path, wrong_s: float) -> None:
    machine = Machine(tmp_path, keep_s=168 * HOUR_S)
    for hours in range(1, 6):
        old_s = NOW_S - hours * HOUR_S
        os.utime(machine.place(segment_path(tmp_path, "door", old_s)), (old_s, old_s))
    machine.wall_s += wrong_s
    machine.record()
    machine.wall_s -= wrong_s
    machine.start_program()
    machine.record()
    assert len(machine.left()) == 7


def test_what_it_did_not_write_is_neither_deleted_nor_counted(tmp_path: Path) -> None:
    machine = Machine(tmp_path, keep_s=HOUR_S / 2, keep_bytes=300_000)
    machine.record()
    brought = machine.place(segment_path(tmp_path, "door", NOW_S - 9 * YEAR_S), 1_000_000)
    for _ in range(3):
        last = machine.record(100_000)
        machine.start_program()
    assert machine.left() == {brought.name, last.name}


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-20])])
def test_a_record_that_was_harmed_deletes_nothing_early(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    machine = Machine(tmp_path, keep_s=3 * HOUR_S + 1)
    recorded = [machine.record() for _ in range(3)]
    harm(tmp_path / ".door.written")
    machine.start_program()
    recorded.append(machine.record())
    assert machine.left() == {path.name for path in recorded}
    for _ in range(3):
        newest = machine.record()
    assert recorded[0].name not in machine.left()
    assert newest.name in machine.left()


def test_a_record_stays_small(tmp_path: Path) -> None:
    machine = Machine(tmp_path, keep_bytes=20_000)
    for _ in range(300):
        machine.record(2000, 1.0)
    assert (tmp_path / ".door.written").stat().st_size < 20_000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 25_000


def test_two_processes_keep_one_record(tmp_path: Path) -> None:
    one, two = (WrittenFiles(tmp_path / "record", clock=lambda: ("boot", 1.0)) for _ in range(2))
    for number in range(5):
        one.add(f"one-{number}", done=True)
        two.add(f"two-{number}", done=True)
    names = [f"{who}-{number}" for number in range(5) for who in ("one", "two")]
    assert list(one.ages(names)) == list(two.ages(names)) == names
