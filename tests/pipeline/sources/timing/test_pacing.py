"""Pictures that come in bursts, handed out at their own pace: in simulation."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.timing.pacing import Pacer

FPS = 10


class Player:
    """Reads pictures from a list whose pieces become available one by one; time passes only as it waits."""

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self.now_s = 1000.0
        self.handed_out: list[float] = []

    def read(self, stamp_s: float, available_s: float, reading_s: float = 0.001) -> None:
        asked_s = self.now_s
        self.now_s = max(self.now_s + reading_s, 1000.0 + available_s)
        self.now_s += self.pacer.wait_s(stamp_s, asked_s, self.now_s)
        self.handed_out.append(self.now_s)

    @property
    def steps(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.handed_out)]


def published(seconds: int, piece_s: int, *, before: int = 3) -> list[tuple[float, float]]:
    """``(stamp, when it is available)`` of each picture; ``before`` pieces are there when the reader comes."""
    return [
        (number / FPS, max(0.0, (number // (FPS * piece_s) - before + 1) * piece_s)) for number in range(seconds * FPS)
    ]


@given(st.sampled_from([1, 2, 4, 6, 10]), st.integers(1, 3))
def test_bursts_are_spread_over_their_own_time(piece_s: int, before: int) -> None:
    player = Player(Pacer(1 / FPS))
    for stamp_s, available_s in published(120, piece_s, before=before):
        player.read(stamp_s, available_s)
    assert player.steps == pytest.approx([1 / FPS] * len(player.steps), abs=0.005)
    assert player.pacer.behind_s < 0.01


@given(st.lists(st.floats(0, 3), min_size=30, max_size=30))
def test_pieces_that_come_late_are_played_in_full_and_later(late: list[float]) -> None:
    """However late the pieces are published: none is rushed through, and it is never further behind than the worst."""
    player = Player(Pacer(1 / FPS, most_behind_s=10.0))
    for stamp_s, available_s in published(60, 2, before=1):
        player.read(stamp_s, available_s + late[int(stamp_s // 2)])
    assert min(player.steps) > 0.9 / FPS
    assert player.pacer.behind_s <= max(late) + 0.1
    assert player.handed_out[-1] - 1000.0 <= 60 + max(late) + 0.5


def test_a_reader_that_fell_behind_for_long_skips_forward() -> None:
    player = Player(Pacer(1 / FPS, most_behind_s=10.0))
    stalled = [
        (stamp_s, max(available_s, 60.0) if stamp_s > 20 else available_s) for stamp_s, available_s in published(120, 2)
    ]
    for stamp_s, available_s in stalled:
        player.read(stamp_s, available_s)
    rushed = [step_s for step_s in player.steps if step_s < 0.01]
    assert 300 < len(rushed) < 420  # what lay between, at once, for the queue to drop
    assert player.steps[-1] == pytest.approx(1 / FPS, abs=0.005)
    assert player.handed_out[-1] - 1000.0 == pytest.approx(120, abs=0.5)  # in time again


def test_at_the_live_edge_nothing_is_rushed_however_late_it_is() -> None:
    """A publisher that pauses for long and goes on: after one piece the reader knows that there is nothing newer."""
    player = Player(Pacer(1 / FPS, most_behind_s=10.0))
    for stamp_s, available_s in published(120, 2, before=1):
        player.read(stamp_s, available_s + (30.0 if stamp_s >= 40 else 0.0))
    rushed = [step_s for step_s in player.steps if step_s < 0.01]
    assert len(rushed) <= 2 * FPS
    assert player.pacer.behind_s == pytest.approx(30, abs=1)


@pytest.mark.parametrize("leap_s", [-1000.0, -0.5, 0.0, 3000.0])
def test_another_clock_is_joined_on(leap_s: float) -> None:
    player = Player(Pacer(1 / FPS))
    for stamp_s, available_s in published(40, 2):
        player.read(stamp_s + (leap_s if stamp_s >= 20 else 0.0), available_s)
    assert player.steps == pytest.approx([1 / FPS] * len(player.steps), abs=0.005)


def test_what_expired_while_the_line_was_down_is_no_other_clock() -> None:
    player = Player(Pacer(1 / FPS))
    for stamp_s, available_s in published(120, 2):
        if not 20 <= stamp_s < 60:
            player.read(stamp_s, max(available_s, 60.0) if stamp_s >= 60 else available_s)
    assert player.handed_out[-1] - 1000.0 == pytest.approx(120, abs=0.5)


def test_pictures_without_timestamps_take_their_nominal_time() -> None:
    pacer = Pacer(1 / FPS)
    now_s = 1000.0
    for _ in range(10):
        now_s += pacer.wait_s(None, now_s, now_s)
    assert now_s == pytest.approx(1000.9, abs=0.001)
