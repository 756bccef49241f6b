"""Scripts written for ImageAI run on real weights and a real clip when only their import line is changed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from pipeline.detection.factory import create_detector
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.yolov3_family import yolov3_tiny
from pipeline.models.registry import Model
from pipeline.models.weights.formats import Format, read_weights, write_weights
from pipeline.sources.opening import open_source
from pipeline.types import Image
from sightline.imageai import detection_model as model
from tests.sightline.imageai import scripts

ROOT = Path(__file__).parents[3]
# Part of the demo's clip: a man, a cyclist and cars come and go. 2.4 s, so that the last second is a partial one.
FIRST, COUNT, FPS = 95, 60, 25
SHAPE = (272, 640, 3)
# The model files of the two generations, under the names that ImageAI publishes them by.
MODELS: dict[str, Format] = {"yolo-tiny.h5": "keras", "tiny-yolov3.pt": "pytorch"}


@pytest.fixture(scope="module")
def pictures(demo_clip: Path) -> list[Image]:
    """The clip's pictures."""
    with open_source(str(demo_clip)) as source:
        return [frame.image for frame in source if frame.index < FIRST + COUNT][FIRST:]


@pytest.fixture(scope="module")
def originals(pictures: list[Image], tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what scripts expect beside them: a video, a picture, models."""
    folder = tmp_path_factory.mktemp("imageai")
    with av.open(str(folder / "street.mp4"), "w") as output:
        track = output.add_stream("libx264", rate=FPS, options={"crf": "12", "preset": "ultrafast"})
        track.height, track.width, track.pix_fmt = SHAPE[0], SHAPE[1], "yuv420p"
        for picture in pictures:
            output.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(track.encode(None))
    cv2.imwrite(str(folder / "ride.jpg"), pictures[25])
    network = yolov3_tiny()
    parameters = read_weights(tiny_weights, network)
    for name, kind in MODELS.items():
        write_weights(folder / name, parameters, network, kind)
    # What ImageAI's training writes beside the weights: here with names of one's own for what they were trained on.
    sides = [10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319]
    described = {"labels": [f"my {name}" for name in COCO_CLASS_NAMES], "anchors": sides}
    (folder / "riders_tiny-yolov3_detection_config.json").write_text(json.dumps(described))
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is also the current one."""
    for path in originals.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _models_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the same file for every script would only take time."""
    monkeypatch.setattr(model, "create_detector", _kept)


@functools.cache
def _loaded(model_name: str, target: Path, **options: Any) -> Any:
    return create_detector(model_name, weights=target, **options)


def _kept(described: str | Model, *, weights: Path, **options: Any) -> Any:
    if isinstance(described, Model):
        return create_detector(described, weights=weights, **options)
    return _loaded(described, weights.resolve(), **options)


def ported(script: str) -> str:
    """The script with its one line changed."""
    lines = script.strip().splitlines()
    changed = [scripts.PORTED.get(line, line) for line in lines]
    assert sum(before != after for before, after in zip(lines, changed, strict=True)) == 1
    return "\n".join(changed)


def run(script: str, **names: object) -> dict[str, Any]:
    """Run a ported script; returns its variables."""
    variables: dict[str, Any] = dict(names)
    exec(compile(ported(script), "script.py", "exec"), variables)
    return variables


def video(path: str | Path) -> tuple[int, float, float]:
    """Frames, their rate, and seconds of a video."""
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        return track.frames, float(track.average_rate or 0), round(float(container.duration or 0) / 1e6, 3)


def read(path: str | Path) -> Image:
    """A picture file, by OpenCV itself."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def assert_objects(objects: object, *, tracked: bool = True, minimum: float = 30) -> None:
    """A list of what ImageAI documents for each object."""
    assert isinstance(objects, list)
    for item in objects:
        extra = {"track_id"} if tracked else set()
        assert set(item) == {"name", "percentage_probability", "box_points"} | extra
        assert isinstance(item["name"], str)
        assert isinstance(item["percentage_probability"], float)
        assert minimum <= item["percentage_probability"] <= 100
        left, top, right, bottom = item["box_points"]
        assert all(type(value) is int for value in item["box_points"])
        assert 0 <= left < right <= SHAPE[1]
        assert 0 <= top < bottom <= SHAPE[0]


def test_first_video_as_a_program_of_its_own(folder: Path) -> None:
    """Nothing of the tests around it: a file, run by Python."""
    (folder / "first.py").write_text(ported(scripts.FIRST_VIDEO))
    done = subprocess.run(
        [sys.executable, "first.py"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *progress, last = done.stdout.splitlines()
    assert progress == [f"Processing Frame :  {number}" for number in range(1, COUNT + 1)]
    assert last == str(folder / "street_found.mp4")
    # At 20 frames per second it still lasts as long as its input.
    assert video(last) == (48, 20, 2.4)


def test_custom_objects_in_a_video_as_in_imageai_2(folder: Path) -> None:
    variables = run(scripts.CUSTOM_VIDEO_2)
    seen = Counter(variables["seen"])
    assert set(seen) <= {"person", "motorcycle"}
    assert seen["person"] > 20
    assert variables["written"] == str(folder / "people_found.mp4")
    assert video(variables["written"])[0] == 48


def test_custom_objects_in_a_video_as_in_imageai_3(folder: Path) -> None:
    variables = run(scripts.CUSTOM_VIDEO_3)
    assert variables["written"] is None
    ((arrays, counts, average),) = variables["everything"]
    assert len(arrays) == len(counts) == COUNT
    assert set(average) == {"bicycle"}
    assert average["bicycle"] == pytest.approx(sum(len(objects) for objects in arrays) / COUNT)
    assert not list(folder.glob("*.mp4.*")) and [path.name for path in folder.glob("*.mp4")] == ["street.mp4"]


def test_analysis_per_frame_second_minute_and_video(folder: Path, pictures: list[Image]) -> None:
    variables = run(scripts.ANALYSIS)
    frames, seconds = variables["frames"], variables["seconds"]
    assert [number for number, _, _ in frames] == list(range(1, COUNT + 1))
    for _, objects, counts in frames:
        assert_objects(objects)
        assert counts == Counter(item["name"] for item in objects)
    arrays, counts = [objects for _, objects, _ in frames], [counts for _, _, counts in frames]
    # Seconds of the video, not of ten frames each; the last one is there although it is not full.
    assert [number for number, *_ in seconds] == [1, 2, 3]
    for (number, some_arrays, some_counts, average), start in zip(seconds, (0, 25, 50), strict=True):
        expected = counts[start : start + 25]
        assert (some_arrays, some_counts) == (arrays[start : start + 25], expected), number
        assert average == pytest.approx(mean(expected))
    assert any(value % 1 for *_, average in seconds for value in average.values())
    (minute,) = variables["minutes"]
    assert minute == (1, arrays, counts, pytest.approx(mean(counts)))
    assert variables["complete"] == [(arrays, counts, pytest.approx(mean(counts)))]
    assert video(folder / "street_analysed.mp4") == (24, 10, 2.4)


def test_what_is_reported_is_what_the_detector_finds(folder: Path) -> None:
    frames = run(scripts.ANALYSIS)["frames"]
    detector = _kept("tiny-yolov3", weights=folder / "yolo-tiny.h5", input_size=416, confidence=0.07)
    with open_source(str(folder / "street.mp4"), reduce_to=detector.input_size) as source:
        found = [detector.detect_reduced([frame.reduced], [SHAPE[:2]])[0] for frame in source]
    compared = 0
    for (_, objects, _), detections in zip(frames, found, strict=True):
        # Scores right at the limit may fall on either side of it when frames go through the network in other batches.
        sure = detections.select(detections.score >= 0.31)
        given = [item for item in objects if item["percentage_probability"] >= 31.5]
        assert len(given) <= len(sure)
        for item in given:
            distance = np.abs(sure.xyxy - np.array(item["box_points"])).max(axis=1)
            best = int(distance.argmin())
            assert distance[best] <= 1.5
            assert detector.class_names[sure.class_id[best]] == item["name"]
            assert item["percentage_probability"] == pytest.approx(100 * sure.score[best], abs=1.5)
            compared += 1
    assert compared > 60


def test_identities_hold_from_frame_to_frame(folder: Path) -> None:
    frames = run(scripts.ANALYSIS)["frames"]
    people = [item for _, objects, _ in frames for item in objects if item["name"] == "person"]
    ids = Counter(item["track_id"] for item in people)
    assert ids.most_common(1)[0][1] > 15
    for _, objects, _ in frames:
        known = [item["track_id"] for item in objects if item["track_id"] is not None]
        assert len(known) == len(set(known))


def test_analysis_with_the_returned_frame_and_an_interval(folder: Path) -> None:
    shown = run(scripts.RETURNED_FRAME)["shown"]
    assert all(entry[2:4] == (np.ndarray, SHAPE) for entry in shown)
    numbers = {kind: [entry[1] for entry in shown if entry[0] == kind] for kind in ("frame", "second", "minute")}
    assert numbers == {"frame": [1, *range(5, COUNT + 1, 5)], "second": [1, 2, 3], "minute": [1]}
    assert any("person = " in label for entry in shown if entry[0] == "second" for label in entry[4])


def test_a_camera_until_the_timeout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", str(folder / "street.mp4"))
    variables = run(scripts.CAMERA)
    assert variables["numbers"] == list(range(1, FPS + 1))
    assert not variables["camera"].isOpened()
    assert variables["written"] == str(folder / "camera_found.mp4")
    assert video(variables["written"]) == (20, 20, 1.0)


def test_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(scripts.PICTURE)["found"]
    assert_objects(found, tracked=False)
    assert {"person", "bicycle"} <= {item["name"] for item in found}
    drawn, plain = read(folder / "ride_found.jpg"), read(folder / "ride.jpg")
    assert drawn.shape == plain.shape == SHAPE
    assert np.abs(drawn.astype(int) - plain).max() > 100
    assert "person  :  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("yolo-tiny.h5", "ride_found.jpg-objects/{name}-{number}.jpg"),
        ("tiny-yolov3.pt", "ride_found-extracted/ride_found-{number}.jpg"),
    ],
)
def test_cut_out_objects(folder: Path, name: str, pattern: str) -> None:
    variables = run(scripts.EXTRACTION, MODEL=name)
    found, paths = variables["found"], variables["paths"]
    assert_objects(found, tracked=False)
    assert len(found) >= 2
    expected = [pattern.format(name=item["name"], number=number) for number, item in enumerate(found, 1)]
    assert paths == [str(folder / path) for path in expected]
    picture = read(folder / "ride.jpg")
    for item, path in zip(found, paths, strict=True):
        left, top, right, bottom = item["box_points"]
        part = read(path)
        assert part.shape == (bottom - top, right - left, 3)
        # The picture itself, without the boxes drawn on it: JPEG changes little.
        assert np.abs(part.astype(int) - picture[top:bottom, left:right]).mean() < 4


def test_arrays_and_streams_in_and_out(folder: Path) -> None:
    variables = run(scripts.ARRAYS)
    picture, objects = variables["from_array"]
    assert (picture.dtype, picture.shape) == (np.uint8, SHAPE)
    assert_objects(objects, tracked=False)
    # The script's own array is left alone.
    assert np.array_equal(variables["array"], read(folder / "ride.jpg"))
    drawn, same, parts = variables["from_stream"]
    assert same == objects == variables["to_file"]
    assert np.array_equal(drawn, picture)
    assert np.array_equal(read(folder / "ride_found.png"), picture)
    for item, part in zip(objects, parts, strict=True):
        left, top, right, bottom = item["box_points"]
        assert np.array_equal(part, variables["array"][top:bottom, left:right])


def test_custom_objects_in_a_picture(folder: Path) -> None:
    found = run(scripts.CUSTOM_PICTURE)["found"]
    assert {item["name"] for item in found} == {"bicycle"}
    assert (folder / "bikes_found.jpg").stat().st_size > 0


def test_names_probabilities_and_boxes_can_be_hidden(folder: Path) -> None:
    variables = run(scripts.HIDDEN)
    plain, full, boxes, bare = (variables[name].astype(int) for name in ("plain", "full", "boxes", "bare"))
    assert variables["none"] == []
    assert np.array_equal(plain, bare)
    changed = [int((picture != plain).any(axis=2).sum()) for picture in (full, boxes)]
    assert changed[0] > 1.3 * changed[1] > 0
    for item in variables["found"]:
        left, top, right, bottom = item["box_points"]
        middle = (slice(top + 4, bottom - 4), slice(left + 4, right - 4))
        # Boxes are frames: nothing is drawn inside, but where another's edge crosses.
        assert (boxes[middle] == plain[middle]).mean() > 0.8


def test_a_model_of_ones_own_in_pictures(folder: Path) -> None:
    variables = run(scripts.OWN_PICTURE)
    assert_objects(variables["found"], tracked=False, minimum=40)
    assert {"my person", "my bicycle"} == {item["name"] for item in variables["found"]}
    assert_objects(variables["weaker"], tracked=False, minimum=5)
    assert len(variables["weaker"]) > len(variables["found"])
    assert (folder / "ride_found.jpg").stat().st_size > 0


def test_a_model_of_ones_own_in_videos(folder: Path) -> None:
    variables = run(scripts.OWN_VIDEO)
    assert variables["written"] == str(folder / "street_found.mp4")
    total = sum((Counter(counts) for counts in variables["counts"]), Counter())
    assert len(variables["counts"]) == COUNT
    assert total["my person"] > 20


def mean(counts: list[dict[str, int]]) -> dict[str, float]:
    """The mean number of each name, in plain words."""
    names = {name for frame in counts for name in frame}
    return {name: sum(frame.get(name, 0) for frame in counts) / len(counts) for name in names}
