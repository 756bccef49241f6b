"""The comparison runs, counts every frame, and computes its ratios within rounds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import throughput
from benchmarks.accuracy import average_precision_50
from benchmarks.measure import ProgramError, run
from benchmarks.peers.clock import RunClock
from benchmarks.peers.darknet_cfg import tiny_yolov3_cfg
from benchmarks.peers.opencv_sort import Sort
from benchmarks.peers.programs import Workplace
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.yolov3_family import yolov3_tiny


def test_the_comparison_runs_on_a_clip(
    short_clip: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "figures.json"
    arguments = [
        "--clips",
        str(short_clip),
        "--runs",
        "1",
        "--peers",
        "engine,engine-at-once",
        "--no-accuracy",
        "--json",
        str(target),
    ]
    assert throughput.main(arguments) == 0
    report = json.loads(target.read_text())
    runs = report["clips"]["short.mp4"]
    assert set(runs) == {"sightline", "sightline-events", "engine", "engine-at-once"}
    for (figures,) in runs.values():
        assert figures["said"]["frames"] == 10
        assert figures["cpu_ms"] > 0
        # Sightline's processes hold TensorFlow, and a whole command takes longer than the frames in it.
        assert figures["peak_mb"] > 100
        assert figures["wall_s"] > 10 / figures["fps"]
    assert report["machine"]["cores"] >= 1
    printed = capsys.readouterr().out
    assert "Sightline, MP4 out" in printed
    assert "by the hand-written script (fps): not measured" in printed


def test_the_hand_written_script_processes_every_frame(short_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    place = Workplace.make(tmp_path)
    output, tracks = tmp_path / "out.mp4", tmp_path / "tracks.txt"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.peers.opencv_script",
        "video",
        short_clip,
        "--weights",
        place.weights,
    ]
    said = run([*command, "--names", place.names, "--output", output, "--tracks", tracks]).said
    assert said["frames"] == 10
    assert said["boxes"] == len(tracks.read_text().splitlines()) > 0
    reader = cv2.VideoCapture(str(output))
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == 10


def test_the_ratio_is_taken_within_each_round() -> None:
    # The machine was three times slower in the second round.
    runs = {"sightline": [{"fps": 60.0}, {"fps": 20.0}], "opencv": [{"fps": 20.0}, {"fps": 10.0}]}
    assert throughput.ratio(runs, "sightline", "opencv") == 2.5
    assert throughput.ratio(runs, "sightline", "imageai") is None


def test_an_unknown_peer_and_a_missing_clip_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert throughput.main(["--clips", "nowhere.mp4"]) == 2
    assert "nowhere.mp4" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no peer 'yolo'; there are engine, engine-at-once, opencv, imageai"):
        throughput.main(["--clips", __file__, "--peers", "yolo"])


def test_a_run_is_measured_as_a_process_of_its_own() -> None:
    program = "import json, numpy; a = numpy.ones(25_000_000); print('more'); print(json.dumps({'sum': a.sum()}))"
    cost = run([sys.executable, "-c", program])
    assert cost.said == {"sum": 25_000_000}
    assert cost.peak_mb > 200
    assert cost.cpu_s > 0


@pytest.mark.parametrize("program", ["print('no object')", "print('{}'); raise SystemExit(3)", "", "print([])"])
def test_a_program_that_fails_or_reports_nothing_is_an_error(program: str) -> None:
    with pytest.raises(ProgramError, match="exit code"):
        run([sys.executable, "-c", program])


def test_the_clock_counts_from_its_first_start(capsys: pytest.CaptureFixture[str]) -> None:
    clock = RunClock()
    with pytest.raises(RuntimeError, match="never started"):
        clock.stop()
    clock.start()
    clock.start()
    clock.stop()
    clock.report(3, boxes=5)
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == 3
    assert said["boxes"] == 5
    assert said["seconds"] >= 0


def test_the_peers_network_is_the_same(tiny_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.cfg"
    path.write_text(tiny_yolov3_cfg())
    sections = [line for line in path.read_text().splitlines() if line.startswith("[")]
    assert len(sections) == 1 + len(yolov3_tiny().layers)
    network = cv2.dnn.readNetFromDarknet(str(path), str(tiny_weights))
    network.setInput(np.zeros((1, 3, 416, 416), np.float32))
    assert [len(rows) for rows in network.forward(network.getUnconnectedOutLayersNames())] == [13 * 13 * 3, 26 * 26 * 3]


def test_the_peers_tracker_keeps_two_objects_apart() -> None:
    tracker = Sort()
    labels = np.array([0, 2])
    seen: set[tuple[int, ...]] = set()
    for number in range(12):
        moved = 6.0 * number
        boxes = np.array([[10 + moved, 10, 50 + moved, 90], [300 - moved, 20, 380 - moved, 70]])
        shown = tracker.update(boxes, labels)
        seen.add(tuple(track.track_id for track in shown))
        for track in shown:
            truth = boxes[int(track.label == 2)]
            assert np.abs(track.box - truth).max() < 12
    assert seen == {(1, 2)}


def test_perfect_and_empty_results_score_one_and_zero(tmp_path: Path) -> None:
    annotations, results = tmp_path / "truth.json", tmp_path / "results.json"
    objects = [
        {"id": number, "image_id": 7, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, box in enumerate([[10, 10, 40, 50], [100, 20, 30, 30]], start=1)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(COCO_CLASS_NAMES, start=1)]
    image = {"id": 7, "file_name": "7.jpg", "width": 200, "height": 100}
    annotations.write_text(json.dumps({"images": [image], "annotations": objects, "categories": categories}))
    found = [{"image_id": 7, "name": "person", "bbox": entry["bbox"], "score": 0.9} for entry in objects]
    results.write_text(json.dumps(found))
    assert average_precision_50(results, annotations) == pytest.approx(1.0)
    results.write_text(json.dumps([entry | {"name": "dog"} for entry in found]))
    assert average_precision_50(results, annotations) == pytest.approx(0.0)
