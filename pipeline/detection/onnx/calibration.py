"""Calibrates a network from an ONNX file for int8, and refuses what then finds something else.

Networks differ in how they stand it: NanoDet hardly notices, YOLOX-nano loses half of what it finds. So it is tried in
several ways, from the fastest network to the most careful one, and the first that finds what float32 finds is taken:

1. every layer, with activations symmetric about zero,
2. every layer, with activations where they lie,
3. like 2, but layers are left out by what each costs, until enough is found: NNCF's quantization with accuracy control.

Of five frames three give the ranges, one decides between the ways and the layers, and one has no part in either: on
those the result is judged. SmoothQuant changed nothing for a network without matrix products, whose convolutions it
leaves alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detection.calibration import (
    LEAST_FRAMES,
    Calibration,
    agreement,
    compare_speed,
    import_nncf,
    library_versions,
    quantize,
    serialized,
    spread,
)
from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.detection.onnx.opening import OpenedNetwork, open_network
from pipeline.errors import ConfigError, ModelError
from pipeline.models.engines.activation_ranges import LEAST_AGREEMENT
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.int8_files import Int8Record, save_int8
from pipeline.models.engines.pictures import PictureEngine
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.registry import Model, find_weights
from pipeline.types import Detections, Image

logger = logging.getLogger(__name__)

LEAST_KEPT = 0.9
"""Agreement with float32, from 0 to 1, below which a result is refused."""

_GROUP, _CHOOSES, _JUDGES = 5, 4, 2  # of five frames these two have no part in the ranges
_MOST_LAYERS = 40  # that are left out; what needs more is no faster than float32
_RANKED_ON = 16  # pictures by which layers are put in order


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Inputs of the network, uint8 ``(height, width, 3)`` BGR: for the ranges, to choose by, to judge by."""

    ranges: list[Image]
    choice: list[Image]
    judged: list[Image]

    @classmethod
    def of(cls, images: Sequence[Image]) -> _Pictures:
        rest = [image for index, image in enumerate(images) if index % _GROUP not in (_CHOOSES, _JUDGES)]
        return cls(rest, list(images[_CHOOSES::_GROUP]), list(images[_JUDGES::_GROUP]))


def calibrate_onnx(
    frames: Iterable[Image],
    clip: str,
    *,
    model: Model,
    weights: str | Path | None = None,
    input_size: int | None = None,
    count: int = 200,
    threads: int | None = None,
    say: Callable[[str], object] = logger.info,
) -> Calibration:
    """Calibrate an ONNX network for int8 and keep it in the cache folder, where `OnnxDetector` finds it.

    Args:
        frames: of a video, uint8 ``(height, width, 3)`` BGR; all are read, and some, spread evenly, are used.
        clip: what the video is called.
        model, weights, input_size, threads: as of `OnnxDetector`.
        count: frames to calibrate with; a third as many more choose between the ways, and as many again judge.
        say: is told in a line what goes on.

    Raises:
        ConfigError: NNCF is not installed, an option can't be used, or the video is too short.
        ModelError: a file that can't be used; or no way found what float32 finds, to `LEAST_KEPT`.
        SinkError: the cache folder can't be written.
    """
    check_engine("openvino", "int8", threads)
    nncf = import_nncf()
    network = model.network()
    if not isinstance(network, OnnxNetwork):
        raise ConfigError(f"{model.name}: is no ONNX network.")
    if count < LEAST_FRAMES:
        raise ConfigError(f"frames: got {count}, expected at least {LEAST_FRAMES}.")
    path = find_weights(model, weights)
    options: dict[str, Any] = {"weights": path, "input_size": input_size, "threads": threads}
    opened = open_network(path, network, len(model.class_names), input_size)
    if len(opened.described.inputs) > 1:
        raise ModelError(f"{path}: takes the size of the picture as a second input; such networks can't be calibrated.")
    with closing(OnnxDetector(model, precision="float32", **options)) as exact:
        images = spread((exact.placed(frame) for frame in frames), count * _GROUP // 3)
        if len(images) < LEAST_FRAMES:
            raise ConfigError(f"{clip}: has {len(images)} frames; calibrating needs at least {LEAST_FRAMES}.")
        work = _Work(nncf, opened, model, options, exact, _Pictures.of(images), say)
        say(f"calibrating {path.name} with {len(work.pictures.ranges)} frames of {clip}, {_size(images[0])}")
        quantized = work.best()
        expected, found = exact.detect(work.pictures.judged), work.found(quantized, work.pictures.judged)
        agreed = agreement(expected, found)
        totals = sum(map(len, expected)), sum(map(len, found))
        if agreed < LEAST_KEPT:
            raise ModelError(
                f"{path}: int8 is refused: on {len(expected)} frames that it was not calibrated with, its detections "
                f"agree with float32's to {agreed:.1%} ({totals[0]} objects found in float32, {totals[1]} in int8), "
                f"less than {LEAST_KEPT:.0%}, in whatever way it was tried."
            )
        rates = work.rates(quantized)
    other = max((precision for precision in rates if precision != "int8"), key=rates.__getitem__)
    record = Int8Record(
        network=opened.name,
        weights=opened.digest,
        clip=clip,
        input_shape=(images[0].shape[0], images[0].shape[1]),
        frames=len(work.pictures.ranges),
        held_out=len(work.pictures.judged),
        agreement=round(agreed, 4),
        speed_up=round(rates["int8"] / rates[other], 3),
        versions=library_versions(),
    )
    return Calibration(record, save_int8(record, *serialized(quantized)), other, rates, totals)


@dataclass(slots=True)
class _Work:
    """What the steps of one calibration share."""

    nncf: Any
    opened: OpenedNetwork
    model: Model
    options: dict[str, Any]
    exact: OnnxDetector
    pictures: _Pictures
    say: Callable[[str], object]

    def best(self) -> Any:
        """The first ``openvino.Model`` in int8 that finds what float32 finds, or the one that comes nearest to that."""
        expected = self.exact.detect(self.pictures.choice)
        best, agreed = None, -1.0
        ways: dict[str, Callable[[], Any]] = {
            "every layer, symmetric": partial(self._quantized, self.nncf.QuantizationPreset.PERFORMANCE),
            "every layer": partial(self._quantized, self.nncf.QuantizationPreset.MIXED),
            "some layers left out": partial(self._controlled, expected),
        }
        for name, make in ways.items():
            quantized = make()
            reached = agreement(expected, self.found(quantized, self.pictures.choice))
            self.say(f"{name}: agrees with float32 to {reached:.1%} on {len(expected)} frames that choose")
            if reached > agreed:
                best, agreed = quantized, reached
            if agreed >= LEAST_AGREEMENT:
                break
        return best

    def found(self, quantized: Any, images: Sequence[Image]) -> list[Detections]:
        """What a model in int8 finds."""
        engine = self._engine("int8", quantized)
        with closing(OnnxDetector(self.model, engine=engine, **self.options)) as detector:
            return detector.detect(images)

    def rates(self, quantized: Any) -> dict[str, float]:
        """Images per second in float32, in bfloat16 where ``auto`` would consider it, and in int8."""
        from pipeline.models.engines.factory import processor_precisions

        coarse = self.opened.recognised.family.reshapes
        names = dict.fromkeys(("float32", *(processor_precisions("openvino") if coarse else ()), "int8"))
        batch = self.pictures.judged[0][None]
        with contextlib.ExitStack() as stack:
            engines = {name: stack.enter_context(closing(self._engine(name, quantized))) for name in names}
            return compare_speed({name: partial(engine.outputs, batch) for name, engine in engines.items()})

    def _engine(self, precision: str, quantized: Any) -> PictureEngine:
        return self.opened.precise_engine(
            precision,
            self.options["threads"],
            rectangular=self.exact.rectangular,
            quantized=quantized if precision == "int8" else None,
        )

    def _float_model(self) -> Any:
        return self.opened.prepared_model(rectangular=self.exact.rectangular)

    def _quantized(self, preset: Any) -> Any:
        return quantize(self.nncf, self._float_model(), self.pictures.ranges, preset=preset)

    def _controlled(self, expected: Sequence[Detections]) -> Any:
        """Layers go back to float32, those that cost most first, until the rest finds what float32 finds."""
        choice = self.pictures.choice

        alone = self.opened.recognised.family.alone

        def validate(compiled: Any, places: Iterable[int]) -> tuple[float, list[float]]:
            chosen = list(places)
            images = [choice[place] for place in chosen]
            outputs = [
                [array if alone else array[0] for array in map(np.asarray, compiled(image[None]).values())]
                for image in images
            ]
            wanted, found = [expected[place] for place in chosen], self.exact.decode(outputs, images)
            each = [agreement([one], [other]) for one, other in zip(wanted, found, strict=True)]
            return agreement(wanted, found), each

        restore = self.nncf.quantization.advanced_parameters.AdvancedAccuracyRestorerParameters(
            max_num_iterations=_MOST_LAYERS, ranking_subset_size=min(_RANKED_ON, len(choice))
        )
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return self.nncf.quantize_with_accuracy_control(
                self._float_model(),
                self.nncf.Dataset([image[None] for image in self.pictures.ranges]),
                self.nncf.Dataset(list(range(len(choice))), lambda place: choice[place][None]),
                validate,
                max_drop=1 - LEAST_AGREEMENT,
                drop_type=self.nncf.DropType.ABSOLUTE,
                preset=self.nncf.QuantizationPreset.MIXED,
                subset_size=len(self.pictures.ranges),
                advanced_accuracy_restorer_parameters=restore,
            )


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
