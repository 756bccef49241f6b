"""``VideoObjectDetection``: ImageAI's numbers in strict mode, the right ones otherwise, and what is refused."""

from __future__ import annotations

import gc
import inspect
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from benchmarks.peers.imageai_analysis import FRAMES, frames_of, prescribed, record
from pipeline.errors import CallbackError, ConfigError, PipelineError, SinkError, SourceError, SourceNotFoundError
from pipeline.interfaces import Detector
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Image
from sightline.imageai import ObjectDetection, VideoObjectDetection
from sightline.imageai import detection_model as model
from sightline.imageai.inputs import CaptureSource
from sightline.imageai.results import AnalysedFrame
from tests.support.clips import read_number, write_clip

RECORDED = json.loads(Path(__file__).with_name("analysis.json").read_text())
FPS = 25


class PrescribedDetector(Detector):
    """Finds in the picture numbered n what `prescribed` says of it; so what comes out can be known exactly."""

    class_names = COCO_CLASS_NAMES
    precision = "none"

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return [self._detect(prescribed(read_number(image) + 1)) for image in images]

    def _detect(self, names: list[str]) -> Detections:
        left = np.arange(len(names), dtype=np.float32) * 20 + 2.6
        top = np.full(len(names), 30.4, np.float32)
        return Detections(
            np.stack([left, top, left + 15, top + 40], axis=1),
            np.full(len(names), 0.9, np.float32),
            np.array([COCO_CLASS_NAMES.index(name) for name in names], np.int32),
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """65 numbered pictures at 25 frames per second."""
    return write_clip(tmp_path_factory.mktemp("numbered") / "clip.mp4", count=FRAMES, fps=FPS)


@pytest.fixture(autouse=True)
def _detections_are_prescribed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "create_detector", lambda *_, **__: PrescribedDetector())


def loaded(**options: Any) -> VideoObjectDetection:
    detector = VideoObjectDetection(**options)
    detector.setModelTypeAsTinyYOLOv3()
    detector.loadModel()
    return detector


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["case"]))
def test_strict_mode_gives_what_imageai_gave(recorded: dict[str, Any], clip: Path, tmp_path: Path) -> None:
    detect = loaded(strict=True).detectObjectsFromVideo
    told = record(detect, recorded["case"], tmp_path, clip)
    frames, rate = told.pop("written")
    expected = dict(recorded)
    expected_frames, expected_rate = expected.pop("written")
    assert told == expected
    assert frames == expected_frames
    assert rate == pytest.approx(expected_rate, abs=0.01)


def test_strict_mode_keeps_to_imageais_form_of_objects(clip: Path) -> None:
    given: list[Any] = []
    loaded(strict=True).detectObjectsFromVideo(
        str(clip), save_detected_video=False, per_frame_function=lambda *arguments: given.append(arguments)
    )
    assert given[0] == (
        1,
        [
            {"name": "person", "percentage_probability": 90.0, "box_points": [2, 30, 17, 70]},
            {"name": "car", "percentage_probability": 90.0, "box_points": [22, 30, 37, 70]},
        ],
        {"person": 1, "car": 1},
    )


@pytest.mark.parametrize("interval", [1, 4])
def test_the_right_numbers(clip: Path, interval: int) -> None:
    seconds: list[Any] = []
    minutes: list[Any] = []
    complete: list[Any] = []
    loaded().detectObjectsFromVideo(
        str(clip),
        save_detected_video=False,
        frames_per_second=10,
        frame_detection_interval=interval,
        per_second_function=lambda *arguments: seconds.append(arguments),
        per_minute_function=lambda *arguments: minutes.append(arguments),
        video_complete_function=lambda *arguments: complete.append(arguments),
    )
    looked = [number == 1 or number % interval == 0 for number in range(1, FRAMES + 1)]
    counts = [Counter(prescribed(number)) if looked[number - 1] else Counter() for number in range(1, FRAMES + 1)]

    def expected(start: int, stop: int) -> tuple[list[dict[str, int]], Any]:
        part = counts[start:stop]
        total: Counter[str] = Counter()
        for frame in part:
            total += frame
        return [dict(frame) for frame in part], pytest.approx(
            {name: count / sum(looked[start:stop]) for name, count in total.items()}
        )

    assert [(number, list_of_counts, average) for number, _, list_of_counts, average in seconds] == [
        (1, *expected(0, 25)), (2, *expected(25, 50)), (3, *expected(50, 65))
    ]  # fmt: skip
    assert [len(arrays) for _, arrays, _, _ in seconds] == [25, 25, 15]
    assert [(number, *lists[1:]) for number, *lists in minutes] == [(1, *expected(0, 65))]
    assert [tuple(lists[1:]) for lists in complete] == [expected(0, 65)]


def test_seconds_are_those_of_the_video_at_an_uneven_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 1.95, 4.2, 4.3]
    uneven = write_clip(tmp_path / "uneven.mp4", pts_s=times)
    seconds: list[tuple[int, int]] = []
    loaded().detectObjectsFromVideo(
        str(uneven),
        save_detected_video=False,
        per_second_function=lambda number, arrays, counts, average: seconds.append((number, len(arrays))),
    )
    assert seconds == [(1, 4), (2, 2), (5, 2)]


def test_a_script_that_gives_no_function_for_it_keeps_nothing(clip: Path) -> None:
    alive: list[int] = []

    def count(number: int, *_: object) -> None:
        gc.collect()
        alive.append(sum(isinstance(item, AnalysedFrame) for item in gc.get_objects()))

    loaded().detectObjectsFromVideo(str(clip), save_detected_video=False, per_second_function=count)
    assert len(alive) == 3
    assert max(alive) <= FPS + 1


def test_functions_run_in_the_thread_of_the_script(clip: Path, tmp_path: Path) -> None:
    threads = set()
    loaded().detectObjectsFromVideo(
        str(clip),
        output_file_path=tmp_path / "out",
        per_frame_function=lambda *_: threads.add(threading.current_thread()),
    )
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("strict", [False, True])
def test_between_two_looks_tracks_are_drawn_and_in_strict_mode_nothing(strict: bool, clip: Path) -> None:
    """The last frame of a second, which the detector did not look at."""
    pictures: list[Image] = []
    loaded(strict=strict).detectObjectsFromVideo(
        str(clip),
        save_detected_video=False,
        frames_per_second=25,
        frame_detection_interval=23,
        per_second_function=lambda *arguments: pictures.append(arguments[-1]),
        return_detected_frame=True,
    )
    with open_source(str(clip)) as source:
        original = next(frame.image for frame in source if frame.index == 24)
    assert np.array_equal(pictures[0], original) == strict
    assert pictures[0].flags.writeable


def test_the_output_lasts_as_long_as_the_input_and_has_its_sound(tmp_path: Path) -> None:
    with_sound = write_clip(tmp_path / "sound.mp4", count=50, fps=25, audio=True)
    path = loaded().detectObjectsFromVideo(
        str(with_sound), output_file_path=str(tmp_path / "out"), frames_per_second=12
    )
    assert path == str(tmp_path / "out.mp4")
    assert frames_of(path) == [24, 12.0]
    with av.open(path) as container:
        assert len(container.streams.audio) == 1
    path = loaded(strict=True).detectObjectsFromVideo(
        str(with_sound), output_file_path=str(tmp_path / "strict.mp4"), frames_per_second=12
    )
    assert path == str(tmp_path / "strict.mp4")
    assert frames_of(path) == [50, 12.0]
    with av.open(path) as container:
        assert len(container.streams.audio) == 0


def test_a_timeout_is_in_seconds_of_the_video(clip: Path) -> None:
    numbers: list[int] = []
    detector = loaded()
    detector.detectObjectsFromVideo(
        str(clip),
        save_detected_video=False,
        frames_per_second=100,
        detection_timeout=1.2,
        per_frame_function=lambda number, *_: numbers.append(number),
    )
    assert numbers == list(range(1, 31))
    assert detector.report is not None
    assert detector.report.streams["clip"].processed == 30


def test_a_capture_of_a_file_has_the_files_frames_and_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.3, 0.31, 1.5, 1.54]
    uneven = write_clip(tmp_path / "uneven.mp4", pts_s=times)
    capture = cv2.VideoCapture(str(uneven))
    with CaptureSource(capture) as source:
        assert not source.info.live
        assert (source.info.width, source.info.height, source.info.frame_count) == (160, 120, len(times))
        frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(len(times)))
    assert [frame.pts_s for frame in frames] == pytest.approx(times, abs=0.002)
    assert not capture.isOpened()


class LiveCapture:
    """A capture of a file that behaves like a camera: it does not know how long it is, and brings pictures in real
    time, of which one that is not fetched is gone. After the last it brings none."""

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path))
        self._began_s: float | None = None
        self._next = 0

    def isOpened(self) -> bool:
        return self._capture.isOpened()

    def get(self, number: int, /) -> float:
        return 0.0 if number == cv2.CAP_PROP_FRAME_COUNT else self._capture.get(number)

    def read(self) -> tuple[bool, Any]:
        self._began_s = self._began_s or time.monotonic()
        now = int((time.monotonic() - self._began_s) * FPS)
        while self._next < now and self._capture.grab():
            self._next += 1
        due_s = self._began_s + self._next / FPS
        time.sleep(max(0.0, due_s - time.monotonic()))
        self._next += 1
        return self._capture.read()

    def release(self) -> None:
        self._capture.release()


@pytest.mark.parametrize("strict", [False, True])
def test_a_live_camera_loses_pictures_and_not_time_and_in_strict_mode_the_reverse(strict: bool, clip: Path) -> None:
    camera = LiveCapture(clip)
    seconds: list[tuple[int, int]] = []
    numbers: list[int] = []

    def slow(number: int, *_: object) -> None:
        time.sleep(0.1)
        numbers.append(number)

    detector = loaded(strict=strict)
    detector.detectObjectsFromVideo(
        camera_input=camera,
        save_detected_video=False,
        frames_per_second=5,
        detection_timeout=1,
        per_frame_function=slow,
        per_second_function=lambda number, arrays, *_: seconds.append((number, len(arrays))),
    )
    assert not camera.isOpened()
    assert detector.report is not None
    ledger = detector.report.streams["camera"]
    if strict:
        # Four frames, one after the other: a second of five, less the one at which the time was out.
        assert numbers == [1, 2, 3, 4]
        assert seconds == []
    else:
        assert ledger.dropped["stale"] > 0
        assert len(numbers) == ledger.processed < 0.9 * ledger.decoded
        assert numbers == sorted(set(numbers))
        assert seconds == [(1, len(numbers))]


def test_a_camera_that_brings_no_picture_any_more_ends_the_run(tmp_path: Path) -> None:
    short = LiveCapture(write_clip(tmp_path / "short.mp4", count=10, fps=FPS))
    numbers: list[int] = []
    loaded().detectObjectsFromVideo(
        camera_input=short, save_detected_video=False, per_frame_function=lambda n, *_: numbers.append(n)
    )
    assert 0 < len(numbers) <= 10


def test_an_address_or_a_number_will_do_for_a_camera(clip: Path) -> None:
    numbers: list[int] = []
    loaded().detectObjectsFromVideo(
        camera_input=str(clip), save_detected_video=False, per_frame_function=lambda number, *_: numbers.append(number)
    )
    assert len(numbers) == FRAMES
    with pytest.raises(SourceNotFoundError, match="webcam:77"):
        loaded().detectObjectsFromVideo(camera_input=77, save_detected_video=False)


def test_a_function_that_raises_ends_the_run_and_says_where(clip: Path, tmp_path: Path) -> None:
    def fail(number: int, *_: object) -> None:
        if number == 2:
            raise KeyError("bus")

    with pytest.raises(
        CallbackError, match=r"per_second_function raised KeyError: 'bus' \(.*:\d+; frame 51\)"
    ) as caught:
        loaded().detectObjectsFromVideo(str(clip), output_file_path=tmp_path / "out", per_second_function=fail)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not (tmp_path / "out.mp4").exists()

    def fail_at_the_end(*_: object) -> None:
        raise ValueError("at the end")

    with pytest.raises(CallbackError, match="video_complete_function raised ValueError: at the end"):
        loaded().detectObjectsFromVideo(
            str(clip), output_file_path=tmp_path / "out", video_complete_function=fail_at_the_end
        )
    assert frames_of(str(tmp_path / "out.mp4"))[0] == 52  # complete by then


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ConfigError, "set input_file_path to a video, or camera_input to a camera"),
        ({"input_file_path": "{folder}/missing.mp4"}, SourceNotFoundError, "missing.mp4"),
        ({"input_file_path": "{folder}/broken.mp4"}, SourceError, "broken.mp4"),
        ({"camera_input": 1.5}, ConfigError, "expected a cv2.VideoCapture, got float"),
        ({"camera_input": cv2.VideoCapture()}, SourceError, "the capture is not open"),
        ({"save_detected_video": True}, ConfigError, "output_file_path: name the video to write"),
        ({"save_detected_video": True, "output_file_path": "/dev/null/out"}, SinkError, "part of its path is a file"),
        ({"frames_per_second": 0}, ConfigError, "frames_per_second: expected more than 0 and up to 1000, got 0"),
        ({"frames_per_second": "many"}, ConfigError, "frames_per_second: expected a number, got 'many'"),
        ({"frame_detection_interval": 0}, ConfigError, "frame_detection_interval: expected 1 or more, got 0"),
        ({"detection_timeout": -1}, ConfigError, "detection_timeout: expected more than 0 seconds, got -1"),
        ({"minimum_percentage_probability": 101}, ConfigError, "expected 0 to 100, got 101"),
        ({"custom_objects": {"persn": True}}, ConfigError, "no class 'persn' .*did you mean 'person'"),
        ({"custom_objects": {"person": "yes"}}, ConfigError, "person: expected True or False, got 'yes'"),
        ({"custom_objects": "person"}, ConfigError, "expected what CustomObjects.. returns"),
        (
            {"per_frame_function": lambda number, objects: None},
            ConfigError,
            "per_frame_function.* can't be called with",
        ),
        ({"per_second_function": lambda *_: None, "per_minute_function": 3}, ConfigError, "per_minute_function is int"),
    ],
    # Addresses of functions differ between the processes that share the tests.
    ids=lambda value: re.sub(r" at 0x\w+|\w{12,}(?=>)", "", str(value)),
)
def test_what_can_not_be_done_is_said_before_anything_is_read(
    arguments: dict[str, Any], error: type[PipelineError], message: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    given: dict[str, Any] = {"save_detected_video": False}
    given |= {
        name: value.format(folder=tmp_path) if isinstance(value, str) else value for name, value in arguments.items()
    }
    with pytest.raises(error, match=message):
        loaded().detectObjectsFromVideo(**given)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_model_must_be_chosen_and_loaded(tmp_path: Path) -> None:
    detector = VideoObjectDetection()
    with pytest.raises(ConfigError, match=r"call setModelTypeAsYOLOv3\(\), .* before loadModel"):
        detector.loadModel()
    detector.setModelTypeAsYOLOv3()
    with pytest.raises(ConfigError, match=r"call loadModel\(\) first"):
        detector.detectObjectsFromVideo(str(tmp_path / "any.mp4"))
    with pytest.raises(ConfigError, match="detection_speed: got 'warp', expected one of normal, fast"):
        detector.loadModel(detection_speed="warp")
    with pytest.raises(ConfigError, match=r"setModelPath: there is no file '.*yolo\.h5'"):
        detector.setModelPath(tmp_path / "yolo.h5")
    with pytest.raises(ConfigError, match="generation: expected 2 or 3, got 4"):
        VideoObjectDetection(generation=4)  # type: ignore[arg-type]


def test_speeds_and_weights_reach_the_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, dict[str, Any]]] = []

    def create(name: str, **options: Any) -> PrescribedDetector:
        made.append((name, options))
        return PrescribedDetector()

    monkeypatch.setattr(model, "create_detector", create)
    path = tmp_path / "own.weights"
    path.touch()
    detector = ObjectDetection()
    detector.setModelTypeAsYOLOv3()
    detector.setModelPath(path=str(path))
    detector.loadModel(detection_speed="faster")
    detector.loadModel(detection_speed="faster")
    detector.loadModel("flash")
    detector.setModelTypeAsTinyYOLOv3()
    detector.loadModel()
    picture = cv2.resize(np.zeros((1, 1, 3), np.uint8), (64, 64))
    monkeypatch.setattr(PrescribedDetector, "detect", lambda self, images: [Detections.empty()])
    detector.detectObjectsFromImage(picture, output_type="array", minimum_percentage_probability=1)
    detector.detectObjectsFromImage(picture, output_type="array", minimum_percentage_probability=50)
    common = {"weights": path, "iou": None, "engine": None}
    assert made == [
        ("yolov3", {**common, "input_size": 224, "confidence": 0.07}),
        ("yolov3", {**common, "input_size": 96, "confidence": 0.07}),
        ("tiny-yolov3", {**common, "input_size": 416, "confidence": 0.07}),
        # Weaker objects were asked for than it had been loaded to report.
        ("tiny-yolov3", {**common, "input_size": 416, "confidence": 0.01}),
    ]


IMAGE_PARAMETERS = {
    "input_image": "", "output_image_path": "", "input_type": "file", "output_type": "file",
    "extract_detected_objects": False, "minimum_percentage_probability": 50, "display_percentage_probability": True,
    "display_object_name": True, "display_box": True, "thread_safe": False, "custom_objects": None,
}  # fmt: skip
VIDEO_PARAMETERS = {
    "input_file_path": "", "camera_input": None, "output_file_path": "", "frames_per_second": 20,
    "frame_detection_interval": 1, "minimum_percentage_probability": 50, "log_progress": False,
    "display_percentage_probability": True, "display_object_name": True, "display_box": True,
    "save_detected_video": True, "per_frame_function": None, "per_second_function": None, "per_minute_function": None,
    "video_complete_function": None, "return_detected_frame": False, "detection_timeout": None, "thread_safe": False,
    "custom_objects": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (VideoObjectDetection.detectObjectsFromVideo, VIDEO_PARAMETERS),
        (VideoObjectDetection.detectCustomObjectsFromVideo, VIDEO_PARAMETERS),
        (ObjectDetection.detectObjectsFromImage, IMAGE_PARAMETERS),
        (ObjectDetection.detectCustomObjectsFromImage, IMAGE_PARAMETERS),
        (VideoObjectDetection.loadModel, {"detection_speed": "normal"}),
    ],
)
def test_parameters_and_defaults_are_those_of_imageai_2_1_6_in_its_order(method: Any, expected: dict[str, Any]) -> None:
    """ImageAI 3.0.3 has the same but ``input_type``, ``thread_safe`` and ``detection_speed``."""
    parameters = {name: entry.default for name, entry in inspect.signature(method).parameters.items()}
    del parameters["self"]
    assert list(parameters.items()) == list(expected.items())
