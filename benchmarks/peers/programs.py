"""The programs that are compared: what each is, how it is started, and what can be asked of it."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.environments import PeerUnavailableError, environment
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.registry import find_weights


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder for what the programs write, with what the peers read: the weights and the classes' names."""

    folder: Path
    weights: Path
    names: Path

    @classmethod
    def make(cls, folder: Path) -> Workplace:
        """With ``coco.names`` written, and the weights that Sightline uses found."""
        names = folder / "coco.names"
        names.write_text("\n".join(COCO_CLASS_NAMES) + "\n")
        return cls(folder, find_weights("tiny-yolov3"), names)


class Program(ABC):
    """One row of the table. Commands end in a line of JSON; see ``benchmarks.peers.clock``.

    Attributes:
        name: on the command line.
        what: in the table.
    """

    name: ClassVar[str]
    what: ClassVar[str]

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Install what it needs.

        Raises:
            PeerUnavailableError: that can't be had here.
        """

    @abstractmethod
    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """The command that processes a clip."""

    def on_images(self, images: Path, annotations: Path, results: Path, place: Workplace) -> list[str] | None:
        """The command that detects in the images of a COCO annotation file, down to low scores, and writes
        ``results``: JSON objects with ``image_id``, ``name``, ``bbox`` and ``score``. None if the row needs none."""
        return None

    def on_people(self, clip: Path, tracks: Path, place: Workplace) -> list[str] | None:
        """The command that writes the tracks of people as MOT text. None if the program tracks nothing."""
        return None


class SightlineMp4(Program):
    """Everything: detected, tracked, counted, drawn, written as H.264."""

    name, what = "sightline", "Sightline, MP4 out (H.264)"
    _module: ClassVar[str] = "benchmarks.peers.sightline"

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With an annotated video."""
        return [sys.executable, "-m", self._module, str(clip), "--output", str(place.folder / "sightline.mp4")]

    def on_images(self, images: Path, annotations: Path, results: Path, place: Workplace) -> list[str]:
        """At the input shape and precision of the default."""
        return [
            *(sys.executable, "-m", "benchmarks.peers.sightline_coco", "--images", str(images)),
            *("--annotations", str(annotations), "--results", str(results)),
        ]

    def on_people(self, clip: Path, tracks: Path, place: Workplace) -> list[str]:
        """With the default tracker."""
        return [sys.executable, "-m", self._module, str(clip), "--classes", "person", "--tracks", str(tracks)]


class SightlineEvents(Program):
    """The same without a video: events only."""

    name, what = "sightline-events", "Sightline, events only (JSONL)"

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With events as JSON Lines."""
        output = str(place.folder / "sightline.jsonl")
        return [sys.executable, "-m", "benchmarks.peers.sightline", str(clip), "--jsonl", output]


class Engine(Program):
    """The detector in a loop, on frames decoded beforehand."""

    name, what = "engine", "the engine alone (detector in a loop)"

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """Nothing is written."""
        return [sys.executable, "-m", "benchmarks.peers.engine", str(clip)]


class EngineAtOnce(Program):
    """The same with as many batches at a time as a run has in the network: nothing can be faster."""

    name, what = "engine-at-once", "the engine alone, batches at once as in a run"

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """Nothing is written."""
        return [sys.executable, "-m", "benchmarks.peers.engine", str(clip), "--at-once"]


class OpenCvScript(Program):
    """What one writes oneself."""

    name, what = "opencv", "hand-written: OpenCV DNN, filterpy SORT, mp4v"
    _installs: ClassVar[Sequence[Sequence[str]]] = (
        ("opencv-python-headless>=4.10,<5", "numpy>=2,<3", "scipy", "filterpy>=1.4.5"),
    )
    _module: ClassVar[str] = "benchmarks.peers.opencv_script"

    def prepare(self) -> None:
        """Install OpenCV and filterpy."""
        environment(self.name, *self._installs)

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With an annotated video."""
        return [*self._start("video", place), "--output", str(place.folder / "opencv.mp4"), str(clip)]

    def on_images(self, images: Path, annotations: Path, results: Path, place: Workplace) -> list[str]:
        """As Darknet's evaluations do."""
        given = ["--images", str(images), "--annotations", str(annotations), "--results", str(results)]
        return [*self._start("coco", place), *given]

    def on_people(self, clip: Path, tracks: Path, place: Workplace) -> list[str]:
        """With its own SORT."""
        return [*self._start("video", place), "--classes", "person", "--tracks", str(tracks), str(clip)]

    def _start(self, mode: str, place: Workplace) -> list[str]:
        python = str(environment(self.name, *self._installs))
        return [python, "-m", self._module, mode, "--weights", str(place.weights), "--names", str(place.names)]


class ImageAi(Program):
    """The library that does this in five lines."""

    name, what = "imageai", "ImageAI 3.0.3 VideoObjectDetection, TinyYOLOv3, mp4v"
    _installs: ClassVar[Sequence[Sequence[str]]] = (
        ("torch==2.13.0", "opencv-python-headless<5", "numpy>=2,<3", "pillow", "scipy", "tqdm", "pyyaml", "matplotlib"),
        ("imageai==3.0.3",),
    )

    def prepare(self) -> None:
        """Install PyTorch and ImageAI."""
        environment(self.name, *self._installs)

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With an annotated video."""
        return [*self._start("video", place), "--output", str(place.folder / "imageai.mp4"), str(clip)]

    def on_images(self, images: Path, annotations: Path, results: Path, place: Workplace) -> list[str]:
        """With its objectness threshold lowered."""
        given = ["--images", str(images), "--annotations", str(annotations), "--results", str(results)]
        given += ["--names", str(place.names)]
        return [*self._start("coco", place), *given]

    def _start(self, mode: str, place: Workplace) -> list[str]:
        python = str(environment(self.name, *self._installs))
        return [python, "-m", "benchmarks.peers.imageai_video", mode, "--weights", str(place.weights)]


class UltralyticsTrack(Program):
    """The library most would pick today, by its own export for processors."""

    name, what = "ultralytics", "Ultralytics 8.4 track(save=True), YOLO11n at 416 in OpenVINO, random weights"
    _installs: ClassVar[Sequence[Sequence[str]]] = (
        ("torch==2.13.0", "torchvision", "ultralytics==8.4.190", "openvino>=2025.4", "opencv-python<5", "lap", "nncf"),
    )

    def prepare(self) -> None:
        """Install PyTorch, Ultralytics and OpenVINO."""
        environment(self.name, *self._installs)

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With an annotated video."""
        python = str(environment(self.name, *self._installs))
        folder = place.folder / self.name
        folder.mkdir(exist_ok=True)
        return [python, "-m", "benchmarks.peers.ultralytics_track", str(clip), "--folder", str(folder)]


class SupervisionScript(Program):
    """What one writes today around an ONNX detector."""

    name, what = "supervision", "roboflow supervision and trackers (ByteTrack), YOLOX-nano in onnxruntime, mp4v"
    _installs: ClassVar[Sequence[Sequence[str]]] = (
        ("supervision==0.31.2", "trackers==2.6.1", "onnxruntime>=1.23", "opencv-python<5"),
    )

    def prepare(self) -> None:
        """Install the libraries, and find the detector in the evaluation data."""
        environment(self.name, *self._installs)
        self._model()

    def on_video(self, clip: Path, place: Workplace) -> list[str]:
        """With an annotated video."""
        python = str(environment(self.name, *self._installs))
        given = ["--model", str(self._model()), "--names", str(place.names)]
        output = str(place.folder / "supervision.mp4")
        return [python, "-m", "benchmarks.peers.supervision_script", str(clip), *given, "--output", output]

    def _model(self) -> Path:
        data = os.environ.get("SIGHTLINE_EVAL")
        model = Path(data or ".").resolve() / "models" / "yolox_nano.onnx"
        if not data or not model.is_file():
            raise PeerUnavailableError(f"{self.name}: its detector is {model.name} of the evaluation data")
        return model


OURS: tuple[Program, ...] = (SightlineMp4(), SightlineEvents())
PEERS: dict[str, Program] = {
    program.name: program
    for program in (Engine(), EngineAtOnce(), OpenCvScript(), ImageAi(), UltralyticsTrack(), SupervisionScript())
}
