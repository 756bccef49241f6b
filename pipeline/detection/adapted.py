"""Any object that finds things in images as a `Detector`: what it leaves out has the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pipeline.errors import ConfigError
from pipeline.interfaces import Detector, DetectorLike
from pipeline.types import Detections, Image

T = TypeVar("T")


def as_detector(detector: DetectorLike) -> Detector:
    """The detector itself, or what makes one of an object that has at least ``class_names`` and ``detect``.

    Raises:
        ConfigError: an object that lacks one of them.
    """
    if isinstance(detector, Detector):
        return detector
    if not hasattr(detector, "class_names") or not callable(getattr(detector, "detect", None)):
        raise ConfigError(
            f"detector: expected an object with class_names and a method detect(images), got {detector!r:.100}"
        )
    return _Adapted(detector)


class _Adapted(Detector):
    """Asks the object anew each time: what it can do may show only once it has run."""

    def __init__(self, detector: DetectorLike) -> None:
        self._detector = detector

    @property
    def class_names(self) -> Sequence[str]:  # type: ignore[override]  # read-only here
        return self._detector.class_names

    @property
    def precision(self) -> str:  # type: ignore[override]
        return self._own("precision", Detector.precision)

    @property
    def engine_name(self) -> str | None:  # type: ignore[override]
        engine: object = self._own("engine", None)
        name: str | None = getattr(engine, "name", None)
        return self._own("engine_name", name)

    @property
    def engine_reason(self) -> str | None:  # type: ignore[override]
        return self._own("engine_reason", Detector.engine_reason)

    @property
    def network_threads(self) -> int | None:  # type: ignore[override]
        return self._own("network_threads", Detector.network_threads)

    @property
    def calls_at_once(self) -> int:  # type: ignore[override]
        return self._own("calls_at_once", Detector.calls_at_once)

    @property
    def reduced_side(self) -> int | None:  # type: ignore[override]
        """That of an object with the method which takes reduced pictures; ``input_size`` is its other name."""
        if not hasattr(self._detector, "detect_reduced"):
            return None
        side: int | None = self._own("input_size", None)
        return self._own("reduced_side", side)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return self._detector.detect(images)

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        return self._own("detect_reduced", super().detect_reduced)(images, sizes)

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        return self._own("input_shape", super().input_shape)(height, width)

    def warm_up(self, height: int, width: int) -> tuple[int, int]:
        return self._own("warm_up", self.input_shape)(height, width)

    def _own(self, name: str, default: T) -> T:
        own: T = getattr(self._detector, name, default)
        return own
