"""Detecting and drawing, one call each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from os import PathLike, fspath
from typing import Any, cast, overload

import numpy as np

from pipeline.detection.base import ImageDetector
from pipeline.detection.factory import create_detector, default_confidence
from pipeline.errors import ConfigError
from pipeline.images.reading import ImageLike, read_image, several_pictures
from pipeline.models.class_names import class_ids
from pipeline.models.custom import choose_model
from pipeline.models.registry import DEFAULT_MODEL
from pipeline.types import Detections, Image
from sightline.library.result import Result
from sinks.drawing.annotator import Annotator, ColorBy

# What the detector itself leaves out; the threshold that is asked for is applied afterwards, so that another one
# needs no other detector.
_LOWEST = 0.01


@overload
def detect(  # type: ignore[overload-overlap]  # a str is a path
    images: ImageLike,
    *,
    model: str = ...,
    confidence: float | None = ...,
    classes: Sequence[str] | None = ...,
    input_size: int | None = ...,
    weights: str | PathLike[str] | None = ...,
    engine: str | None = ...,
    precision: str = ...,
) -> Detections: ...


@overload
def detect(
    images: Sequence[ImageLike],
    *,
    model: str = ...,
    confidence: float | None = ...,
    classes: Sequence[str] | None = ...,
    input_size: int | None = ...,
    weights: str | PathLike[str] | None = ...,
    engine: str | None = ...,
    precision: str = ...,
) -> list[Detections]: ...


def detect(
    images: ImageLike | Sequence[ImageLike],
    *,
    model: str = DEFAULT_MODEL,
    confidence: float | None = None,
    classes: Sequence[str] | None = None,
    input_size: int | None = None,
    weights: str | PathLike[str] | None = None,
    engine: str | None = None,
    precision: str = "auto",
) -> Detections | list[Detections]:
    """The objects in an image, or in each image of a list, best first. They know the names of their classes.

    The network stays loaded for the next call with the same model; for more control make a ``pipeline.YoloDetector``.

    Args:
        images: a path, a file's bytes, a Pillow image, or an array uint8 ``(height, width, 3)`` BGR; or a list of them.
        model: a name from ``models list``.
        confidence: smallest score to report; None for the model's own, 0.25 for most.
        classes: names of those to report; None for all.
        input_size, weights, engine, precision: as in the configuration.

    Raises:
        ConfigError: an option or a class that there is not.
        SourceError: a file that is no picture.

    >>> detect(np.zeros((240, 320, 3), np.uint8))
    Detections(0)
    """
    detector, own = _detector(model, input_size, None if weights is None else fspath(weights), engine, precision)
    if confidence is not None and not 0 <= confidence <= 1:
        raise ConfigError(f"confidence: got {confidence}, expected a number from 0 to 1")
    least = np.float32(own if confidence is None else confidence)
    several = several_pictures(images)
    wanted = None if classes is None else class_ids(classes, detector.class_names)
    results = []
    for found in detector.detect([cast("ImageLike", images)] if several is None else several):
        kept = found.score >= least
        if wanted is not None:
            kept &= np.isin(found.class_id, wanted)
        results.append(found.select(kept).named(detector.class_names))
    return results[0] if several is None else results


def draw(
    image: ImageLike | Result,
    objects: Detections | None = None,
    *,
    class_names: Sequence[str] | None = None,
    show_names: bool = True,
    show_scores: bool = True,
    show_ids: bool = True,
    color_by: ColorBy | None = None,
    scale: float = 1.0,
) -> Image:
    """A copy of an image with objects drawn on it: uint8 ``(height, width, 3)``, BGR. The image is left alone.

    Args:
        image: as ``detect`` takes it; or a `Result`, whose own tracks are drawn unless others are given.
        objects: detections or tracks.
        class_names: of the objects' classes; None for those that the objects know.
        show_names, show_scores, show_ids: what labels say.
        color_by: ``class`` or ``track``; None for tracks by their ids and detections by their classes.
        scale: size of lines and text.

    Raises:
        ValueError: an image without objects.

    >>> boxes = np.array([[40, 60, 120, 200]], np.float32)
    >>> found = Detections(boxes, np.array([0.9], np.float32), np.array([0], np.int32), class_names=["person"])
    >>> image = np.zeros((240, 320, 3), np.uint8)
    >>> picture = draw(image, found)
    >>> picture.shape, bool(picture.any()), bool(image.any())
    ((240, 320, 3), True, False)
    """
    if isinstance(image, Result):
        objects = image.tracks if objects is None else objects
        image = image.image
    if objects is None:
        raise ValueError("draw: there is nothing to draw; give detections or tracks with the image")
    annotator = Annotator(
        objects.class_names if class_names is None else class_names,
        show_names=show_names,
        show_scores=show_scores,
        show_ids=show_ids,
        color_by=color_by,
        scale=scale,
    )
    return annotator.draw_objects(read_image(image), objects)


@lru_cache(maxsize=1)  # a network takes seconds and hundreds of megabytes
def _detector(
    model: str, input_size: int | None, weights: str | None, engine: str | None, precision: str
) -> tuple[ImageDetector[Any, Any], float]:
    """The detector, and the smallest score that its model reports by itself."""
    chosen = choose_model(model, weights=weights)
    detector = create_detector(
        chosen, confidence=_LOWEST, input_size=input_size, weights=weights, engine=engine, precision=precision
    )
    return detector, default_confidence(chosen, weights)
