"""What ImageAI's two detection classes share: choosing a network, its weights and its speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pipeline.detection.factory import create_detector
from pipeline.errors import ConfigError
from pipeline.files import InputFiles, read_files
from pipeline.hardware import has_gpu_device
from pipeline.interfaces import Detector
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.registry import Model, find_model, local_weights
from sightline.imageai.model_file import ModelFileUser
from sightline.imageai.names import Generation, custom_objects, generation_of, spelled

# Sizes of the network's input in pixels: the long side for YOLO, the short one for RetinaNet. They are ImageAI 2's, but
# for 224, which is 208 there and no multiple of 32. For TinyYOLOv3 it takes twice as much: 2.7 times the work,
# and it finds no more: AP50 is 0.371 at 832 and 0.374 at 416 (more of the small things, fewer of the large ones).
SPEEDS = ("normal", "fast", "faster", "fastest", "flash")
_YOLO_SIZES = (416, 320, 224, 128, 96)
INPUT_SIZES: Mapping[str, tuple[int, ...]] = {
    "tiny-yolov3": _YOLO_SIZES,
    "yolov3": _YOLO_SIZES,
    "retinanet": (800, 400, 300, 200, 100),
}

# Weaker detections help the tracker to hold on to objects; a script is given those that it asked for.
_LOWEST_SCORE = 0.07


class DetectionModel(ModelFileUser[Detector]):
    """The base of ``VideoObjectDetection`` and ``ObjectDetection``.

    Args:
        strict: give ImageAI's numbers also where they are wrong; docs/from-imageai.md tells which.
        generation: whose class names and file names to use, 2 or 3; by default the one that the model file belongs to.
    """

    _TYPES: ClassVar[str] = "setModelTypeAsYOLOv3(), setModelTypeAsTinyYOLOv3() or setModelTypeAsRetinaNet()"

    def __init__(self, *, strict: bool = False, generation: Generation | None = None) -> None:
        if generation not in (None, 2, 3):
            raise ConfigError(f"generation: expected 2 or 3, got {generation!r}")
        super().__init__()
        self._strict = strict
        self._wanted_generation = generation
        self._model: str | None = None
        self._speed = "normal"
        self._lowest = _LOWEST_SCORE
        self._engine: str | None = None  # the default
        self._iou: float | None = None  # the detector's own

    def setModelTypeAsYOLOv3(self) -> None:
        """Use YOLOv3."""
        self._choose("yolov3")

    def setModelTypeAsTinyYOLOv3(self) -> None:
        """Use YOLOv3-tiny."""
        self._choose("tiny-yolov3")

    def setModelTypeAsRetinaNet(self) -> None:
        """Use RetinaNet."""
        self._choose("retinanet")

    def useCPU(self) -> None:
        """Compute on the processor, also where there is a GPU."""
        self._engine = "openvino"
        if self._loaded is not None and has_gpu_device() and self._model != "retinanet":  # which never uses one
            self._load()

    def loadModel(self, detection_speed: str = "normal") -> None:
        """Load the network. A second call does nothing unless something was changed.

        Args:
            detection_speed: ``normal``, ``fast``, ``faster``, ``fastest`` or ``flash``: see ``INPUT_SIZES``.

        Raises:
            ConfigError: no type was set, or an unknown speed.
            ModelError: weights that are missing, damaged, or belong to another network.
        """
        if detection_speed not in SPEEDS:
            raise ConfigError(f"detection_speed: got {detection_speed!r}, expected one of {', '.join(SPEEDS)}")
        if self._loaded is not None and detection_speed == self._speed:
            return
        self._speed = detection_speed
        self._load()

    def CustomObjects(self, **objects: bool) -> dict[str, bool]:
        """Which objects to detect, such as ``CustomObjects(person=True, hair_dryer=True)``, for ``custom_objects``.

        Both generations' names and COCO's are known, with ``_`` for a space.

        Raises:
            ConfigError: an unknown object, with near matches.
        """
        return custom_objects(objects, self._loaded.class_names if self._loaded is not None else COCO_CLASS_NAMES)

    def _choose(self, model: str) -> None:
        if model != self._model:
            self._model = model
            self._loaded = None

    def _load(self) -> None:
        if self._model is None:
            raise ConfigError(f"no model type is set: call {self._TYPES} before loadModel()")
        described = self._described(self._model)
        size: int | None = INPUT_SIZES[self._model][SPEEDS.index(self._speed)]
        if isinstance(described, Model) and isinstance(described.network(), OnnxNetwork):
            size = None  # that which the file was exported for
        engine = None if self._model == "retinanet" else self._engine
        options = {"weights": self._path, "input_size": size, "confidence": self._lowest, "iou": self._iou}
        self._loaded = create_detector(described, engine=engine, **options)

    def _reads(self) -> tuple[InputFiles, ...]:
        """The files of the model: what no output may be."""
        path = self._path
        if path is None and self._model is not None:
            path = local_weights(find_model(self._model))
        return read_files([("the model", path)])

    def _described(self, model: str) -> str | Model:
        """What is to be loaded for a model type."""
        return model

    def _detector(self, minimum_percentage: float) -> Detector:
        """The loaded detector, which reports objects of that percentage and more.

        Raises:
            ConfigError: nothing was loaded, or no such percentage.
        """
        if self._loaded is None:
            raise ConfigError("no model is loaded: call loadModel() first")
        if not 0 <= minimum_percentage <= 100:
            raise ConfigError(f"minimum_percentage_probability: expected 0 to 100, got {minimum_percentage}")
        if minimum_percentage / 100 < self._lowest:
            self._lowest = minimum_percentage / 100
            self._load()
        return self._loaded

    def _spelling(self, detector: Detector) -> tuple[str, ...]:
        return spelled(detector.class_names, self._generation, yolo=self._model != "retinanet")

    @property
    def _generation(self) -> Generation:
        return self._wanted_generation or generation_of(self._path)
