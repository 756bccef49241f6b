"""What the benchmark of links says of them: ids replaced, people who come back, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tracking_appearance
from benchmarks.tracking_appearance import SAME_PERSON, Watched, as_people, gained, is_right, persons
from benchmarks.tracking_data import Boxes, Unit
from pipeline.appearance.links import TrackLink
from pipeline.types import Detections

PLACE = (10.0, 10.0, 30.0, 70.0)


def boxes(*ids: int) -> Boxes:
    shifted = np.array([PLACE for _ in ids]).reshape(-1, 4) + 100.0 * np.arange(len(ids))[:, None]
    return Boxes(np.array(ids, np.int64), shifted)


def link(track_id: int, linked_to: int) -> TrackLink:
    return TrackLink(track_id, linked_to, 0.9, 0, 0.8, PLACE)


def unit(truth: Sequence[Boxes]) -> Unit:
    none = tuple(boxes() for _ in truth)
    found = tuple(Detections.empty() for _ in truth)
    return Unit("PETS09-S2L1", "made up", "PETS09-S2L1", 10.0, found, tuple(truth), none, none)


def test_an_id_becomes_the_oldest_that_it_is_linked_to() -> None:
    watched = Watched(told=[boxes(1), boxes(4, 2), boxes(7)], links=[link(7, 4), link(4, 1)])
    assert [each.track_id.tolist() for each in watched.linked()] == [[1], [1, 2], [1]]


def test_who_comes_back_is_the_same_person() -> None:
    (new, first), *_ = SAME_PERSON["PETS09-S2L1"].items()
    returned = unit([boxes(first), boxes(new)])
    assert [each.track_id.tolist() for each in as_people(returned).truth] == [[first], [first]]
    elsewhere = replace(returned, name="elsewhere")
    assert [each.track_id.tolist() for each in as_people(elsewhere).truth] == [[first], [new]]


def test_a_link_is_right_where_one_track_ends_and_the_other_begins() -> None:
    told = [*[boxes(1)] * 30, *[boxes(2)] * 30]
    truth = [*[boxes(50)] * 15, *[boxes(60)] * 30, *[boxes(70)] * 15]
    seen = persons(told, unit(truth))
    assert is_right(link(2, 1), seen), "both were on 60 there"
    assert not is_right(link(1, 2), seen)
    assert not is_right(link(3, 1), seen), "nobody knows whom 3 was on"


def test_what_is_gained_is_less_switches_and_more_of_one_identity() -> None:
    truth = [boxes(50)] * 40
    watched = Watched(told=[*[boxes(1)] * 20, *[boxes(2)] * 20], links=[link(2, 1)])
    found = gained(unit(truth), watched)
    assert found.switches == -1
    assert found.mota == pytest.approx(100 / 40)
    assert found.idf1 == pytest.approx(50)
    assert gained(unit(truth), replace(watched, links=[])) == (0, 0, 0, 0)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tracking_appearance.main([str(tmp_path), str(tmp_path), str(tmp_path / "none.onnx")]) == 2
    assert "none.onnx" in capsys.readouterr().err
