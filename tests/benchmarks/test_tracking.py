"""Figures of trackers: the same as TrackEval's, and what is made of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tracking import evaluate, main, run_sequences
from benchmarks.tracking_data import Boxes, Unit, disturbed, read_text, read_unit, worlds
from benchmarks.tracking_scores import judge
from benchmarks.tracking_validation import Measured, choose, follow, gain, peer
from pipeline.errors import ConfigError
from pipeline.types import Detections
from trackers.factory import create_tracker


@pytest.fixture(scope="module")
def campus(eval_dir: Path) -> Unit:
    return read_unit(eval_dir / "mot15" / "TUD-Campus", "sort")


@pytest.mark.parametrize("name", ["TUD-Campus", "ETH-Sunnyday"])
def test_the_figures_are_trackevals(eval_dir: Path, name: str, tmp_path: Path) -> None:
    mot = eval_dir / "mot15"
    theirs = evaluate(run_sequences(mot, [name], "sort", tmp_path), {name: mot / name})[name]
    unit = read_unit(mot / name, "sort")
    ours = judge(follow(create_tracker("sort", confidence=0.0), unit), unit)
    assert ours.switches == theirs["IDSW"]
    for value, key in ((ours.mota, "MOTA"), (ours.idf1, "IDF1"), (ours.hota, "HOTA")):
        assert value == pytest.approx(theirs[key], abs=0.01)


def boxes(*places: float, first_id: int = 1) -> Boxes:
    corner = np.array(places)[:, None] * np.array([1.0, 0.0, 1.0, 0.0]) if places else np.zeros((0, 4))
    return Boxes(np.arange(first_id, first_id + len(places)), corner + np.array([0.0, 0.0, 10.0, 20.0]))


def unit_of(truth: Boxes, neighbours: Boxes, unclear: Boxes) -> Unit:
    return Unit("made up", "none", "made up", 10.0, (Detections.empty(),), (truth,), (neighbours,), (unclear,))


def test_tracks_on_neighbours_and_in_unclear_places_count_neither_way() -> None:
    nothing = boxes()
    shown = boxes(0.0, 100.0, 200.0)
    assert judge([shown], unit_of(boxes(0.0), nothing, nothing)).mota == -100.0
    assert judge([shown], unit_of(boxes(0.0), boxes(102.0), nothing)).mota == 0.0
    assert judge([shown], unit_of(boxes(0.0), boxes(102.0), boxes(196.0))).mota == 100.0
    # A track on an object counts wherever it is, and one with less than half of it in an unclear place, too.
    assert judge([shown], unit_of(boxes(0.0, 100.0, 200.0), nothing, boxes(200.0))).mota == 100.0
    assert judge([shown], unit_of(boxes(0.0), boxes(102.0), boxes(206.0))).mota == 0.0


def test_a_frame_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 1 frames"):
        judge([], unit_of(boxes(), boxes(), boxes()))


def test_other_worlds_hold_the_same_frames(campus: Unit) -> None:
    same, backwards, half, both = worlds(campus)
    assert same is campus
    assert backwards.truth[0] is campus.truth[-1] and backwards.detections[0] is campus.detections[-1]
    assert half.fps == both.fps == campus.fps / 2
    assert half.truth[1] is campus.truth[2] and both.truth[1] is campus.truth[-3]


def test_a_disturbance_is_small_and_the_same_each_time(campus: Unit) -> None:
    one, same, other = disturbed(campus, 1), disturbed(campus, 1), disturbed(campus, 2)
    count = sum(len(found) for found in campus.detections)
    left = sum(len(found) for found in one.detections)
    assert 0.95 * count < left < count
    for first, second in zip(one.detections, same.detections, strict=True):
        np.testing.assert_array_equal(first.xyxy, second.xyxy)
    assert any(
        len(a) != len(b) or (a.xyxy != b.xyxy).any() for a, b in zip(one.detections, other.detections, strict=True)
    )


def measured(**worth: float) -> Measured:
    return {name: np.full(3, value) for name, value in worth.items()}


def scenes(*names: str) -> list[Unit]:
    empty = boxes()
    return [
        Unit(name, scene, scene, 10.0, (Detections.empty(),), (empty,), (empty,), (empty,))
        for name, scene in (each.split("@") for each in names)
    ]


def test_a_scene_counts_once_however_many_saw_it() -> None:
    units = scenes("a@one", "b@one", "c@one", "d@two")
    before = {unit.label: np.zeros(3) for unit in units}
    after = {unit.label: np.full(3, value) for unit, value in zip(units, (3.0, 0.0, 0.0, -3.0), strict=True)}
    found = gain(after, before, units)
    assert found.mean == pytest.approx(-1.0)
    assert found.error == pytest.approx(2.0)
    assert (found.worst, found.worst_unit, found.wins) == (-3.0, "d two", 0.25)


def test_what_wins_by_one_scene_alone_is_not_what_a_choice_without_it_is_worth() -> None:
    units = scenes("a@one", "b@two", "c@three")
    labels = [unit.label for unit in units]
    steady = dict(zip(labels, (np.full(3, 50.0), np.full(3, 50.0), np.full(3, 50.0)), strict=True))
    lucky = dict(zip(labels, (np.full(3, 90.0), np.full(3, 45.0), np.full(3, 45.0)), strict=True))
    chosen = choose({"steady": steady, "lucky": lucky}, units)
    assert chosen.name == "lucky"
    assert chosen.votes == pytest.approx(2 / 3)
    # Without scene one, "steady" is chosen: 50 there; without the others "lucky": 45 each.
    assert chosen.figures == pytest.approx(np.full(3, (50.0 + 45.0 + 45.0) / 3))


def test_candidates_are_compared_from_the_command_line(
    eval_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, name in (("mot15", "TUD-Campus"), ("mot15", "TUD-Stadtmitte"), ("kitti", "kped-0014")):
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / name).symlink_to(eval_dir / kind / name)
    words = ["--cross-validate", str(tmp_path), "--candidate", "sort", "--candidate", "sort iou=0.5"]
    assert main([*words, "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "3 units of 3 scenes" in out and "disturbed, seed 1" in out
    assert main(["--cross-validate", str(tmp_path), "--candidate", "sort iou"]) == 2
    assert "NAME SETTING=NUMBER" in capsys.readouterr().err


def test_a_peer_that_can_not_be_run_is_told(eval_dir: Path, campus: Unit) -> None:
    with pytest.raises(ConfigError, match="no-such-tracker"):
        peer(sys.executable, "no-such-tracker")([campus])


def test_text_without_rows_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert read_text(tmp_path / "empty.txt").shape == (0, 10)
