"""Finding the fastest: by timings of other machines, replayed on a clock that the tests turn."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping

import numpy as np
import pytest

from pipeline.models.engines.measuring import BUDGET_S, find_fastest, time_calls
from pipeline.types import Image
from tests.support.waiting import PATIENCE_S

# Milliseconds per image of YOLOv3-tiny at 256x416, measured on machines with two cores.
ZEN_4 = {"int8": 11.75, "bfloat16": 14.5, "float32": 28.0}
XEON_AMX = {"int8": 4.5, "bfloat16": 6.7, "float32": 19.5}
XEON_AMX_WITHOUT_RANGES = {"bfloat16": 6.7, "float32": 19.5}
XEON_AVX512_BF16 = {"int8": 4.4, "bfloat16": 20.4, "float32": 12.7}
XEON_AVX512_BF16_WITHOUT_RANGES = {"bfloat16": 20.4, "float32": 12.7}
NO_VNNI = {"int8": 36.0, "float32": 25.0}


class Sleeper:
    """Something that can be timed."""

    calls_at_once = 1

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Machine:
    """Replays the timings of another machine; each round and each start moves the clock."""

    def __init__(self, ms: Mapping[str, float], *, images: int = 8, start_s: float = 0.3) -> None:
        self.ms, self.images, self.start_s = ms, images, start_s
        self.now_s = 0.0
        self.made: dict[str, Sleeper] = {}
        self.rounds_of: dict[str, int] = {}
        self.most_open = 0
        self.blips: dict[tuple[str, int], float] = {}  # by name and round: so many times as long

    def make(self, name: str) -> Sleeper | None:
        self.now_s += self.start_s
        self.made[name] = Sleeper(name)
        self.most_open = max(self.most_open, sum(not sleeper.closed for sleeper in self.made.values()))
        return self.made[name]

    def rounds(self, sleeper: Sleeper) -> Generator[float, None, None]:
        while True:
            number = self.rounds_of[sleeper.name] = self.rounds_of.get(sleeper.name, 0) + 1
            seconds = self.ms[sleeper.name] / 1000 * self.blips.get((sleeper.name, number), 1.0)
            self.now_s += seconds * self.images
            yield seconds

    def find(self) -> str | None:
        name, made, seconds = find_fastest(list(self.ms), self.make, self.rounds, clock=lambda: self.now_s)
        assert {name: not sleeper.closed for name, sleeper in self.made.items()} == {
            other: other == name for other in self.made
        }, "the fastest is kept, and nothing else"
        assert made is (self.made[name] if name is not None else None)
        assert set(seconds) == set(self.made)
        return name


@pytest.mark.parametrize(
    ("ms", "fastest"),
    [
        (ZEN_4, "int8"),
        (XEON_AMX, "int8"),
        (XEON_AMX_WITHOUT_RANGES, "bfloat16"),
        (XEON_AVX512_BF16, "int8"),
        (XEON_AVX512_BF16_WITHOUT_RANGES, "float32"),
        (NO_VNNI, "float32"),
    ],
    ids=["zen4", "amx", "amx-without-ranges", "avx512-bf16", "avx512-bf16-without-ranges", "no-vnni"],
)
def test_the_fastest_of_other_machines(ms: Mapping[str, float], fastest: str) -> None:
    machine = Machine(ms)
    assert machine.find() == fastest
    assert machine.now_s <= BUDGET_S + sum(ms.values()) / 1000 * machine.images


def test_what_is_clearly_slower_is_closed_before_the_next_is_made() -> None:
    machine = Machine({"a": 4.0, "b": 30.0, "c": 30.0}, start_s=0.1)
    assert machine.find() == "a"
    assert machine.most_open == 2
    assert machine.rounds_of == {"a": 2, "b": 2, "c": 2}, "nothing is left to compare with"


def test_those_that_are_near_take_turns_until_the_time_is_up() -> None:
    machine = Machine({"a": 5.0, "b": 4.9}, start_s=0.1)
    machine.blips = {("b", number): 1.3 for number in (1, 2)}
    assert machine.find() == "b", "two rounds beside another program do not decide"
    assert machine.rounds_of["a"] == machine.rounds_of["b"] > 5
    assert machine.now_s <= BUDGET_S + 0.1


def test_one_bad_round_does_not_lose_the_fastest() -> None:
    machine = Machine({"a": 5.0, "b": 6.0})
    machine.blips = {("a", 1): 10.0}
    assert machine.find() == "a"


def test_where_a_round_takes_longer_than_there_is_time_each_has_one() -> None:
    machine = Machine({"a": 400.0, "b": 200.0, "c": 300.0})
    assert machine.find() == "b"
    assert machine.rounds_of == {"a": 1, "b": 1, "c": 1}


def test_what_can_not_be_made_is_left_out() -> None:
    machine = Machine({"a": 5.0, "b": 6.0})
    original = machine.make
    machine.make = lambda name: None if name == "a" else original(name)  # type: ignore[method-assign]
    assert machine.find() == "b"
    assert find_fastest(["a"], lambda _: None, machine.rounds) == (None, None, {})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_closes_all(error: type[BaseException]) -> None:
    machine = Machine({"a": 5.0, "b": 6.0})

    def rounds(sleeper: Sleeper) -> Generator[float, None, None]:
        if sleeper.name == "b":
            raise error
        yield from machine.rounds(sleeper)

    with pytest.raises(error):
        find_fastest(["a", "b"], machine.make, rounds)
    assert [sleeper.closed for sleeper in machine.made.values()] == [True, True]


class Called(Sleeper):
    """Notes the calls, and has those of a round wait for each other."""

    calls_at_once = 2

    def __init__(self) -> None:
        super().__init__("called")
        self.shapes: list[tuple[int, ...]] = []
        self.meeting = threading.Barrier(2, timeout=PATIENCE_S)

    def call(self, images: Image) -> None:
        self.shapes.append(images.shape)
        if len(self.shapes) > 3:
            self.meeting.wait()


def test_a_round_is_what_a_run_does() -> None:
    called = Called()
    rounds = time_calls(Called.call, (3, 32, 64), most_s=60)(called)
    assert next(rounds) > 0
    assert next(rounds) > 0
    rounds.close()
    assert called.shapes == [(1, 32, 64, 3)] * 2 + [(3, 32, 64, 3)] * 5, "the first calls are not counted"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("measuring")]


def test_where_a_round_would_take_long_a_single_image_is_timed() -> None:
    timed = time_calls(Called.call, (3, 32, 64), most_s=-1)
    for called in (Called(), Called()):
        called.meeting = threading.Barrier(1)
        rounds = timed(called)
        assert next(rounds) > 0
        assert set(called.shapes) == {(1, 32, 64, 3)}


def test_images_are_noise_of_the_right_kind() -> None:
    seen: list[Image] = []
    next(time_calls(lambda _, images: seen.append(images), (2, 8, 8), most_s=60)(Sleeper("a")))
    assert all(images.dtype == np.uint8 for images in seen)
    assert seen[-1].std() > 50
