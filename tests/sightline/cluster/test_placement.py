"""On which node a stream runs."""

from __future__ import annotations

import pytest

from sightline.cluster.placement import Node, Placed, choose_move, choose_node, fits, need
from sightline.config.loading import load_config

YARD = Node("1", "yard", "10.0.0.1", 4, {"site": "yard"}, capacity=100)
GATE = Node("2", "gate", "10.0.0.2", 4, {"site": "gate"}, capacity=200)
BARE = Node("3", "bare", "10.0.0.3", 2)


@pytest.mark.parametrize(
    ("settings", "fps", "looks"),
    [
        ({}, None, 25.0),
        ({"input": {"fps": 10}}, None, 10.0),
        ({"input": {"fps": 10}}, 12.0, 12.0),
        ({"detect_every": 5}, 10.0, 2.0),
        ({"detect_every": "auto"}, 30.0, 10.0),
    ],
)
def test_what_a_stream_needs(settings: dict[str, object], fps: float | None, looks: float) -> None:
    (stream,) = load_config(None, (), {"source": "rtsp://127.0.0.1/x", **settings}).resolved_streams()
    assert need(stream, fps) == pytest.approx(looks)


def test_it_is_spread_by_the_share_that_is_taken() -> None:
    assert choose_node({}, 25, [YARD, GATE], {}, "spread") is GATE
    assert choose_node({}, 25, [YARD, GATE], {"2": 100}, "spread") is YARD


def test_it_is_kept_together_while_there_is_room() -> None:
    assert choose_node({}, 25, [YARD, GATE], {"1": 50}, "together") is YARD
    assert choose_node({}, 60, [YARD, GATE], {"1": 50}, "together") is GATE
    assert choose_node({}, 500, [YARD, GATE], {"1": 50}, "together") is not None, "too much is better than nothing"


def test_it_is_pinned() -> None:
    assert choose_node({"site": "yard"}, 25, [YARD, GATE], {"1": 99}, "spread") is YARD
    assert choose_node({"site": "roof"}, 25, [YARD, GATE], {}, "spread") is None
    assert fits({}, BARE) and not fits({"site": "yard"}, BARE)


def test_a_node_that_is_not_measured_counts_by_its_cores() -> None:
    assert BARE.looks == 50.0


def test_the_move_that_evens_out_most() -> None:
    streams = [Placed(name, {}, 25, "1") for name in "abcd"]
    move = choose_move(streams, [YARD, GATE], "spread")
    assert move is not None and move[1] is GATE
    even = [Placed("a", {}, 25, "1"), Placed("b", {}, 25, "2"), Placed("c", {}, 25, "2")]
    assert choose_move(even, [YARD, GATE], "spread") is None
    pinned = [Placed(name, {"site": "yard"}, 25, "1") for name in "abcd"]
    assert choose_move(pinned, [YARD, GATE], "spread") is None


def test_together_only_what_is_too_much_moves() -> None:
    assert choose_move([Placed(name, {}, 25, "1") for name in "abcd"], [YARD, GATE], "together") is None
    assert choose_move([Placed(name, {}, 25, "1") for name in "abcde"], [YARD, GATE], "together") is not None
