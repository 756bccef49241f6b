"""ImageAI's classes for detectors that people trained with it: their weights, and the JSON file with names and anchors.

detector = CustomObjectDetection()
detector.setModelTypeAsYOLOv3()
detector.setModelPath("hololens-ex-60--loss-2.76.h5")
detector.setJsonPath("detection_config.json")
detector.loadModel()
objects = detector.detectObjectsFromImage(input_image="in.jpg", output_image_path="out.jpg")

An ONNX file will do as well, whatever type is set; its JSON file may be left out where it holds its class names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.files import InputFiles, read_files
from pipeline.interfaces import Detector
from pipeline.models.custom import ModelFiles, custom_model
from pipeline.models.onnx.description import is_onnx
from pipeline.models.registry import Model
from sightline.imageai.detection_model import DetectionModel
from sightline.imageai.model_file import PathLike
from sightline.imageai.object_detection import ObjectDetection
from sightline.imageai.video_detection import VideoObjectDetection

# Of the parameters that may be given without their names, the one of the least percentage, in both methods.
_PERCENTAGE, _PERCENTAGE_POSITION = "minimum_percentage_probability", 5
_USUAL_IOU = 0.4


class _OwnModel(DetectionModel):
    """A model of the user's own in place of the catalogue's."""

    _TYPES = "setModelTypeAsYOLOv3() or setModelTypeAsTinyYOLOv3()"
    _json: Path | None = None

    def setModelTypeAsRetinaNet(self) -> None:
        """Refused: ImageAI trains none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"setModelTypeAsRetinaNet: there are no models of one's own of that type; use {self._TYPES}")

    def setJsonPath(self, configuration_json: PathLike) -> None:
        """Take class names and anchors from the file that ImageAI's training wrote (``..._detection_config.json``).

        Raises:
            ConfigError: there is no such file.
        """
        if not Path(configuration_json).is_file():
            raise ConfigError(f"setJsonPath: there is no file {os.fspath(configuration_json)!r}")
        self._json = Path(configuration_json)
        self._loaded = None

    def _reads(self) -> tuple[InputFiles, ...]:
        return (*super()._reads(), *read_files([("the JSON file of the model", self._json)]))

    def _described(self, model: str) -> Model:
        if self._path is not None and is_onnx(self._path):
            return custom_model("custom", ModelFiles(onnx=self._path, names=self._json))
        if self._path is None or self._json is None:
            raise ConfigError("no model is set: call setModelPath() and setJsonPath() before loadModel()")
        self._iou = _USUAL_IOU if self._iou is None else self._iou
        return custom_model("custom", ModelFiles(weights=self._path, network=model, names=self._json))

    def _spelling(self, detector: Detector) -> tuple[str, ...]:
        return tuple(detector.class_names)

    def _with_usual_percentage(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """The options with the default that the script's generation has for own models."""
        if len(arguments) > _PERCENTAGE_POSITION:
            return options
        return {_PERCENTAGE: 40 if self._generation == 3 else 50, **options}


class CustomVideoObjectDetection(_OwnModel, VideoObjectDetection):
    """``VideoObjectDetection`` with a model of one's own."""

    def detectObjectsFromVideo(self, *arguments: Any, **options: Any) -> str | None:
        """As in ``VideoObjectDetection``, but the least percentage is 40 by default for models of ImageAI 3."""
        return super().detectObjectsFromVideo(*arguments, **self._with_usual_percentage(arguments, options))


class CustomObjectDetection(_OwnModel, ObjectDetection):
    """``ObjectDetection`` with a model of one's own."""

    def detectObjectsFromImage(
        self, *arguments: Any, nms_treshold: float = _USUAL_IOU, objectness_treshold: float = 0.4, **options: Any
    ) -> Any:
        """As in ``ObjectDetection``, with the default percentage of 40 for models of ImageAI 3, and besides:

        Args:
            arguments, options: those of ``ObjectDetection.detectObjectsFromImage``.
            nms_treshold: boxes of one class that overlap a better one by more than this are dropped.
            objectness_treshold: changes nothing: the probability decides, of which the objectness is a part.
        """
        if self._loaded is not None and nms_treshold != self._iou:
            self._iou = nms_treshold
            self._load()
        return super().detectObjectsFromImage(*arguments, **self._with_usual_percentage(arguments, options))
