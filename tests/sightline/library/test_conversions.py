"""Results as other libraries hold them, with the real libraries."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import sightline
from pipeline.errors import ConfigError
from pipeline.types import Detections, Tracks
from tests.support.fakes import BlobDetector, moving_box

NAMES = ("person", "bicycle", "car")


def found() -> Tracks:
    return Tracks(
        np.array([[10, 20, 60, 90], [100, 20, 140, 60]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([0, 2], np.int32),
        track_id=np.array([3, 7], np.int64),
        age_s=np.array([1, 2], np.float32),
        unseen_s=np.zeros(2, np.float32),
        class_names=NAMES,
    )


def results() -> list[sightline.Result]:
    return list(sightline.analyze(moving_box(5), detector=BlobDetector()))


def test_supervision_and_back() -> None:
    sv = pytest.importorskip("supervision", reason="supervision is not installed")
    there = sightline.to_supervision(found())
    assert isinstance(there, sv.Detections)
    assert there.tracker_id.tolist() == [3, 7]
    assert there.data["class_name"].tolist() == ["person", "car"]
    back = sightline.from_supervision(there, NAMES)
    assert isinstance(back, Tracks)
    assert [(thing.track_id, thing.class_name, thing.xyxy) for thing in back] == [
        (thing.track_id, thing.class_name, thing.xyxy) for thing in found()
    ]
    assert sightline.from_supervision(there)[1].class_name == "car"
    assert not isinstance(sightline.from_supervision(sv.Detections(there.xyxy)), Tracks)
    assert len(sightline.from_supervision(sv.Detections.empty())) == 0
    assert len(sightline.to_supervision(Detections.empty())) == 0
    with pytest.raises(ConfigError, match="got list, expected the result, tracks or detections of one frame"):
        sightline.to_supervision([found()])  # type: ignore[arg-type]


def test_the_annotators_of_supervision_draw_our_tracks() -> None:
    sv = pytest.importorskip("supervision", reason="supervision is not installed")
    result = results()[-1]
    tracks = result.to_supervision()
    labels = [
        f"{name} {number}" for name, number in zip(tracks.data["class_name"], result.tracks.track_id, strict=True)
    ]
    picture = sv.BoxAnnotator().annotate(result.image.copy(), tracks)
    picture = sv.LabelAnnotator().annotate(picture, tracks, labels)
    assert (picture != result.image).any()


def test_a_table_of_pandas() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    table = sightline.to_pandas(sightline.analyze(moving_box(5), detector=BlobDetector()))
    assert isinstance(table, pd.DataFrame)
    assert table.groupby("track_id")["frame"].count().to_dict() == {1: 5}
    assert set(table["class"]) == {"blob"}
    assert sightline.to_pandas(found())["class"].tolist() == ["person", "car"]
    assert list(sightline.to_pandas([]).columns) == list(table.columns)
    assert len(results()[0].to_pandas()) == 1


def test_a_table_of_polars() -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    table = sightline.to_polars(results())
    assert isinstance(table, pl.DataFrame)
    assert table.height == 5
    assert table["track_id"].unique().to_list() == [1]


def test_coco() -> None:
    data = sightline.to_coco([found(), found()[:1]], ["a.jpg", "b.jpg"])
    assert [image["file_name"] for image in data["images"]] == ["a.jpg", "b.jpg"]
    assert [(one["image_id"], one["category_id"], one["track_id"]) for one in data["annotations"]] == [
        (1, 1, 3),
        (1, 3, 7),
        (2, 1, 3),
    ]
    assert data["annotations"][0]["bbox"] == [10, 20, 50, 70]
    assert data["categories"][2] == {"id": 3, "name": "car"}
    assert results()[0].to_coco()["images"][0] == {"id": 1, "file_name": "frames-000000", "width": 160, "height": 120}


def test_mot() -> None:
    lines = sightline.to_mot(results()).splitlines()
    assert [line.split(",")[:2] for line in lines] == [[str(number), "1"] for number in range(1, 6)]
    assert sightline.to_mot(found()[:1]) == "1,3,10.00,20.00,50.00,70.00,0.7500,-1,-1,-1\n"
    with pytest.raises(ConfigError, match="expected tracks"):
        sightline.to_mot(Detections.empty())  # type: ignore[arg-type]


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    conversions = {"supervision": sightline.to_supervision, "pandas": sightline.to_pandas}
    for name, convert in (*conversions.items(), ("polars", sightline.to_polars)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ConfigError, match=f"{name} is not installed; get it with: pip install {name}"):
            convert(found())


def test_rows_masks_and_counts() -> None:
    tracks = found()
    assert repr(tracks) == "Tracks(2: 1 person, 1 car)"
    assert [thing.class_name for thing in tracks] == ["person", "car"]
    assert tracks[-1].track_id == 7
    assert tracks[tracks.class_id == 2].track_id.tolist() == [7]
    assert tracks[1:].class_names == NAMES
    assert tracks[[1, 0]].track_id.tolist() == [7, 3]
    with pytest.raises(IndexError):
        tracks[2]
    assert repr(Detections.empty()) == "Detections(0)"
