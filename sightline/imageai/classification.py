"""``ImageClassification``: what a picture shows, with ImageAI's methods."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.classification.classifier import Classification, Classifier
from pipeline.errors import ConfigError
from pipeline.images.reading import several_pictures
from pipeline.types import Image
from sightline.imageai.model_file import ModelFileUser
from sightline.imageai.names import Generation, generation_of
from sightline.imageai.picture_lists import read_given

INPUT_TYPES = ("file", "array", "stream")
# Pictures of a list that are read and looked at before the next are read.
_BATCH = 16
SPEEDS = ("normal", "fast", "faster", "fastest")
_TYPES = "setModelTypeAsMobileNetV2(), ...ResNet50(), ...InceptionV3() or ...DenseNet121()"


class ImageClassification(ModelFileUser[Classifier]):
    """ImageNet's thousand classes, by four networks.

        classifier = ImageClassification()
        classifier.setModelTypeAsResNet50()
        classifier.loadModel()
        names, percentages = classifier.classifyImage("in.jpg", result_count=5)

    Args:
        generation: whose class names to give, 2 (``sports_car``) or 3 (``sports car``); by default the one that the
            model file belongs to.
    """

    def __init__(self, *, generation: Generation | None = None) -> None:
        if generation not in (None, 2, 3):
            raise ConfigError(f"generation: expected 2 or 3, got {generation!r}")
        super().__init__()
        self._wanted_generation = generation
        self._model: str | None = None
        self._turn = threading.Lock()

    def setModelTypeAsMobileNetV2(self) -> None:
        """Use MobileNetV2."""
        self._choose("mobilenetv2")

    def setModelTypeAsResNet50(self) -> None:
        """Use ResNet50."""
        self._choose("resnet50")

    def setModelTypeAsInceptionV3(self) -> None:
        """Use InceptionV3."""
        self._choose("inceptionv3")

    def setModelTypeAsDenseNet121(self) -> None:
        """Use DenseNet121."""
        self._choose("densenet121")

    # Their names before ImageAI 2.1.6.
    setModelTypeAsResNet = setModelTypeAsResNet50  # noqa: N815
    setModelTypeAsDenseNet = setModelTypeAsDenseNet121  # noqa: N815

    def setModelTypeAsSqueezeNet(self) -> None:
        """Refused, as ImageAI has done since 2.1.6.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("setModelTypeAsSqueezeNet: there is no SqueezeNet; use setModelTypeAsMobileNetV2()")

    def loadModel(self, classification_speed: str = "normal", *, prediction_speed: str = "normal") -> None:
        """Load the network. A second call does nothing unless something was changed.

        Args:
            classification_speed: ``normal``, ``fast``, ``faster`` or ``fastest``; changes nothing: pictures are looked
                at in the size that the network was trained on.
            prediction_speed: the same, as older ImageAI names it.

        Raises:
            ConfigError: no type was set, or an unknown speed.
            ModelError: weights that are missing, damaged, or belong to another network.
        """
        for name, speed in (("classification_speed", classification_speed), ("prediction_speed", prediction_speed)):
            if speed not in SPEEDS:
                raise ConfigError(f"{name}: got {speed!r}, expected one of {', '.join(SPEEDS)}")
        if self._model is None:
            raise ConfigError(f"no model type is set: call {_TYPES} before loadModel()")
        if self._loaded is None:
            self._loaded = Classifier(self._model, weights=self._path)

    def classifyImage(self, image_input: Any, result_count: int = 5, input_type: str = "file") -> Any:
        """What the picture, or each picture of a list, shows most probably.

        Args:
            image_input: a path, an array (RGB, unlike what detection takes), an open file, bytes or a PIL image; or a
                list of these, which go through the network in batches.
            result_count: how many classes to give.
            input_type: ``file``, ``array`` or ``stream``; what ``image_input`` is shows by itself.

        Returns:
            The names, most probable first, and their probabilities in percent; for a list, a list of such pairs.

        Raises:
            ConfigError: a parameter that can't be used, or no model is loaded.
            SourceError: the picture can't be read; of a list, the message names which.
        """
        several = several_pictures(image_input)
        given = [image_input] if several is None else several
        results = [self._lists(found) for found in self._classify(given, result_count, input_type)]
        return results[0] if several is None else results

    # Its name before ImageAI 2.1.6.
    predictImage = classifyImage  # noqa: N815

    def predictMultipleImages(
        self, sent_images_array: Sequence[Any], result_count_per_image: int = 2, input_type: str = "file"
    ) -> list[dict[str, list[Any]]]:
        """Several pictures at once, as ImageAI did up to 2.1.5; parameters and errors as for ``classifyImage``.

        Returns:
            For each picture a dictionary with the names as ``predictions`` and the percentages as
            ``percentage_probabilities``.
        """
        found = [self._lists(each) for each in self._classify(sent_images_array, result_count_per_image, input_type)]
        return [{"predictions": names, "percentage_probabilities": percentages} for names, percentages in found]

    def _choose(self, model: str) -> None:
        if model != self._model:
            self._model = model
            self._loaded = None

    def _classify(self, pictures: Sequence[Any], count: int, input_type: str) -> list[list[Classification]]:
        if self._loaded is None:
            raise ConfigError("no model is loaded: call loadModel() first")
        if input_type not in INPUT_TYPES:
            raise ConfigError(f"input_type: got {input_type!r}, expected {' or '.join(INPUT_TYPES)}")
        if not 1 <= count <= 1000:
            raise ConfigError(f"result_count: expected 1 to 1000, got {count}")
        with self._turn:
            found: list[list[Classification]] = []
            for start in range(0, len(pictures), _BATCH):
                batch = enumerate(pictures[start : start + _BATCH], start)
                images = [_picture(picture, f"image_input[{number}]") for number, picture in batch]
                found += self._loaded.classify(images, top=int(count))
            return found

    def _lists(self, found: Sequence[Classification]) -> tuple[list[str], list[float]]:
        generation = self._wanted_generation or generation_of(self._path)
        names = [each.name.replace(" ", "_") if generation == 2 else each.name for each in found]
        return names, [round(100 * float(each.probability), 4) for each in found]


# The class of older scripts: ``from imageai.Prediction import ImagePrediction``.
ImagePrediction = ImageClassification


def _picture(given: Any, name: str) -> Image:
    """A picture, BGR: ImageAI gives arrays to classifiers as RGB or RGBA."""
    if isinstance(given, np.ndarray) and given.ndim == 3 and given.shape[2] in (3, 4):
        given = given[..., [2, 1, 0, 3][: given.shape[2]]]
    return read_given(given, name)
