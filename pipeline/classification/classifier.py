"""Classifier: pictures in, the names of what they show out.

    classifier = Classifier("resnet50")
    for name, probability in map(astuple, classifier.classify("photo.jpg", top=3)): ...

The networks, their preprocessing and, by default, their weights are those of ``tf.keras.applications``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast, overload

import cv2
import numpy as np

from pipeline.classification.keras_weights import class_count, load_weights
from pipeline.classification.registry import find_classifier, find_classifier_weights
from pipeline.errors import ConfigError
from pipeline.images.reading import ImageLike, read_image, several_pictures
from pipeline.models.class_names import imagenet_names
from pipeline.models.network_output import not_finite
from pipeline.types import Float32Array, Image

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Classification:
    """One answer.

    Attributes:
        name: of the class.
        probability: in [0, 1]; those of all classes sum to 1.
    """

    name: str
    probability: float


class Classifier:
    """One of ``mobilenetv2``, ``resnet50``, ``inceptionv3`` and ``densenet121``. One thread at a time may use it.

    A picture is scaled to the network's input (224 x 224 pixels, InceptionV3's 299 x 299) whatever its proportions, as
    Keras's own examples do, and goes through the preprocessing that Keras has for the network.

    Args:
        model: a name; capitals and hyphens don't matter.
        weights: an HDF5 file of Keras in place of the published weights.
        names: of the classes, in the order of the network's outputs; default: ImageNet's.
        batch_size: most pictures that go through the network at once.

    Raises:
        ConfigError: a model that there is not, a file that is not there, or not as many names as classes.
        ModelError: weights that can't be got, are damaged, or belong to another network.
    """

    def __init__(
        self,
        model: str = "mobilenetv2",
        *,
        weights: str | Path | None = None,
        names: Sequence[str] | None = None,
        batch_size: int = 8,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size: got {batch_size}, expected at least 1.")
        self._model = find_classifier(model)
        path = find_classifier_weights(self._model, weights)
        count = class_count(path)
        self._names = _fitting_names(names, count, path)
        self._batch_size = batch_size
        self._path = path

        from pipeline.models.engines.quiet_tensorflow import tf

        module = getattr(tf.keras.applications, self._model.module)
        if tf.keras.backend.backend() != "tensorflow":
            raise ConfigError(
                f"Keras is set to compute with {tf.keras.backend.backend()}; set KERAS_BACKEND=tensorflow."
            )
        network = getattr(module, self._model.function)(weights=None, classes=count)
        load_weights(network, path)
        self._preprocess = module.preprocess_input
        size = self._model.size
        # One graph for every batch size, so that the last, smaller batch does not make a second one.
        signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
        self._run: Any = tf.function(lambda images: network(images, training=False), input_signature=signature)

    @property
    def model(self) -> str:
        """Name of the network, such as ``"mobilenetv2"``."""
        return self._model.name

    @property
    def class_names(self) -> Sequence[str]:
        """The classes, in the order of the network's outputs."""
        return self._names

    @property
    def batch_size(self) -> int:
        """Most pictures that go through the network at once."""
        return self._batch_size

    @overload
    def classify(self, pictures: ImageLike, top: int = 5) -> list[Classification]: ...  # type: ignore[overload-overlap]

    @overload
    def classify(self, pictures: Sequence[ImageLike], top: int = 5) -> list[list[Classification]]: ...

    def classify(
        self, pictures: ImageLike | Sequence[ImageLike], top: int = 5
    ) -> list[Classification] | list[list[Classification]]:
        """The most probable classes of each picture, best first.

        Args:
            pictures: a list of pictures, or one; see ``pipeline.images.reading``. Only a batch of them is held at a
                time.
            top: how many classes; of fewer classes, all.

        Returns:
            A list for each picture, or that of the one.

        Raises:
            ValueError: ``top`` is not positive, or an array is no picture.
            SourceError: a file that is not there or can't be decoded.
            ModelError: the weights make the network compute what is not a number.
        """
        if top < 1:
            raise ValueError(f"top: expected at least 1, got {top}")
        several = several_pictures(pictures)
        if several is None:
            return self._named(self.probabilities([cast("ImageLike", pictures)]), top)[0]
        return self._named(self.probabilities(several), top)

    def probabilities(self, pictures: Sequence[ImageLike]) -> Float32Array:
        """float32 ``(pictures, classes)``: the network's own outputs; errors as `classify` has them."""
        rows = [np.zeros((0, len(self._names)), np.float32)]
        remaining = iter(enumerate(pictures))
        while chunk := list(islice(remaining, self._batch_size)):
            inputs = np.stack([self._scaled(read_image(entry, name=f"picture {n}")) for n, entry in chunk])
            rows.append(np.asarray(self._run(self._preprocess(inputs)), np.float32))
        found = np.concatenate(rows)
        if not np.isfinite(found).all():
            raise not_finite(self._path)
        return found

    def close(self) -> None:
        """Let go of the network. May be called more than once."""
        self._run = None

    def _scaled(self, image: Image) -> Float32Array:
        """RGB as the network's preprocessing takes it: float32 ``(size, size, 3)`` in [0, 255]."""
        size = self._model.size
        if image.shape[:2] != (size, size):
            # Averaging where it shrinks, so that nothing is skipped.
            shrinks = image.shape[0] > size and image.shape[1] > size
            way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, (size, size), interpolation=way), np.uint8)
        return image[..., ::-1].astype(np.float32)

    def _named(self, probabilities: Float32Array, top: int) -> list[list[Classification]]:
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            [Classification(self._names[number], float(row[number])) for number in order]
            for row, order in zip(probabilities, best, strict=True)
        ]


def _fitting_names(names: Sequence[str] | None, count: int, path: Path) -> tuple[str, ...]:
    if names is None:
        if count == _IMAGENET_CLASSES:
            return imagenet_names()
        raise ConfigError(
            f"{path}: tells {count} classes apart, which are not ImageNet's; give their names (--names FILE)"
        )
    if len(names) != count:
        raise ConfigError(f"names: got {len(names)} for the {count} classes that {path} tells apart")
    return tuple(names)
