"""What detectors of every kind of network share: pictures of any kind in, and batches of those that fit together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar, cast, overload

import numpy as np

from pipeline.errors import ConfigError
from pipeline.images.reading import ImageLike, read_image, several_pictures
from pipeline.interfaces import Detector
from pipeline.models.engines.base import Engine
from pipeline.types import Detections, Image


class Place(Protocol):
    """Where a picture lies in the network's input, which is ``height`` x ``width`` pixels."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...


PlaceT = TypeVar("PlaceT", bound=Place)
EngineT = TypeVar("EngineT", bound=Engine)


class ImageDetector(Detector, Generic[EngineT, PlaceT]):
    """The base of detectors. Any number of threads may use an instance; more than ``calls_at_once`` at a time gain
    nothing.

    Subclasses say where a picture goes in the network's input, and what the network finds in a batch.

    Args:
        engine: what runs the network; closed with the detector.
        class_names: the model's classes.
        batch_size: most images that go through the network at once.

    Attributes:
        takes_reduced: whether detectors of the class take reduced pictures, of their input size.
    """

    takes_reduced: ClassVar[bool] = False

    def __init__(self, engine: EngineT, class_names: Sequence[str], batch_size: int) -> None:
        self._engine = engine
        self.class_names = class_names
        self._batch_size = batch_size

    @property
    def precision(self) -> str:  # type: ignore[override]  # read-only here
        """What the network computes in, such as ``float32`` or ``bfloat16``."""
        return self._engine.precision

    @property
    def engine_name(self) -> str:  # type: ignore[override]
        """Which engine runs the network, as in ``--engine``."""
        return self._engine.name

    @property
    def engine_reason(self) -> str:  # type: ignore[override]
        """Why it is that engine and precision: what was asked for, by which rule, or what was measured."""
        return self._engine.reason

    @property
    def threads(self) -> int:
        """Processor cores that the network uses."""
        return self._engine.threads

    @property
    def network_threads(self) -> int:  # type: ignore[override]
        """The same, as `Detector` has it."""
        return self._engine.threads

    @property
    def calls_at_once(self) -> int:  # type: ignore[override]
        """How many calls at a time make the most of the processor."""
        return self._engine.calls_at_once

    @property
    def engine(self) -> EngineT:
        """What runs the network, and gives its raw outputs."""
        return self._engine

    @overload
    def detect(self, images: ImageLike) -> Detections: ...  # type: ignore[overload-overlap]  # a str is a path

    @overload
    def detect(self, images: Sequence[ImageLike]) -> list[Detections]: ...

    def detect(self, images: ImageLike | Sequence[ImageLike]) -> Detections | list[Detections]:
        """Detections of each image, in the same order, best first; images may differ in size.

        Images that make the same input shape go through the network together; what is found in one never depends on
        the others.

        Args:
            images: a list of images, or one of them. Each is an array uint8 ``(height, width, 3)``, BGR, which is only
                read; or a path, a file's bytes, a Pillow image or another array: see ``pipeline.images.reading``.

        Returns:
            One per image, or that of the one image; boxes are in pixels of the upright image and lie inside it.

        Raises:
            ValueError: an image of another shape or type.
            SourceError: a file that is not there or can't be decoded.
            ModelError: the weights make the network compute what is not a number.
        """
        several = several_pictures(images)
        if several is None:
            return self._detect_pictures([cast("ImageLike", images)])[0]
        return self._detect_pictures(several)

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        """The network's input ``(height, width)`` for images of that size; those that share one make one batch."""
        place = self._place(height, width)
        return place.height, place.width

    def warm_up(self, height: int, width: int, batch: int = 1) -> tuple[int, int]:
        """Run the network once, so that the first real images don't wait for what happens only then.

        Args:
            height, width: of the images to come, in pixels.
            batch: how many of them will come at a time.

        Returns:
            The network's input shape ``(height, width)`` for them.
        """
        shape = self.input_shape(height, width)
        self._run_empty(min(batch, self._most_at_once(shape)), shape)
        return shape

    def close(self) -> None:
        """Give back the network's memory and threads. May be called more than once."""
        self._engine.close()

    @abstractmethod
    def _place(self, height: int, width: int) -> PlaceT:
        """Where an image of that size goes."""

    @abstractmethod
    def _run(self, images: Sequence[Image], places: Sequence[PlaceT], shape: tuple[int, int]) -> list[Detections]:
        """The detections of a batch, all of whose inputs have this ``(height, width)``."""

    @abstractmethod
    def _run_empty(self, count: int, shape: tuple[int, int]) -> None:
        """Run the network on ``count`` inputs of that shape, whatever is in them."""

    def _most_at_once(self, shape: tuple[int, int]) -> int:
        """How many inputs of that shape go through the network together."""
        return self._batch_size

    def _detect_pictures(self, pictures: Sequence[ImageLike]) -> list[Detections]:
        images = [_image(picture, index) for index, picture in enumerate(pictures)]
        return self._detect_placed(images, [self._place(*image.shape[:2]) for image in images])

    def _detect_placed(self, images: Sequence[Image], places: Sequence[PlaceT]) -> list[Detections]:
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, place in enumerate(places):
            by_shape.setdefault((place.height, place.width), []).append(index)
        found: dict[int, Detections] = {}
        for shape, members in by_shape.items():
            step = self._most_at_once(shape)
            for start in range(0, len(members), step):
                batch = members[start : start + step]
                results = self._run([images[index] for index in batch], [places[index] for index in batch], shape)
                found.update(zip(batch, results, strict=True))
        return [found[index] for index in range(len(images))]


def check_detection_options(confidence: float | None, iou: float, max_detections: int, batch_size: int) -> None:
    """Raise ``ConfigError`` for a value out of its range."""
    for name, value in (("confidence", confidence), ("iou", iou)):
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{name}: got {value}, expected a number from 0 to 1.")
    for name, count in (("max_detections", max_detections), ("batch_size", batch_size)):
        if count < 1:
            raise ConfigError(f"{name}: got {count}, expected at least 1.")


def _image(picture: ImageLike, index: int) -> Image:
    """The picture as the network wants it; costs next to nothing where it is so already."""
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
        if picture.size:
            return picture
        raise ValueError(f"image {index}: expected uint8 (height, width, 3), got {picture.dtype} {picture.shape}")
    return read_image(picture, name=f"image {index}")
