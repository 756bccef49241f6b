"""Ranges of activations for int8: measured on varied pictures, judged on others, kept where Sightline finds them.

    SIGHTLINE_EVAL=DIR python -m benchmarks.int8_ranges [--write] [--every 1]

Pictures are those of ``coco/`` and ``images/``, and 60 frames spread over each clip of ``videos/``. int8 is judged
twice: with the ranges of all, and each picture with ranges that it had no part in: one half of COCO's (every second
one) with those of the other half and all the rest, a clip with those of all but that clip. AP50 reports every class of
a box, at a threshold of 0.001; F1 takes float32's detections for the truth, at the product's threshold of 0.25.

``--write`` keeps ranges and figures in ``pipeline/models/ranges/``: int8 is offered for rectangular or
square input only if each figure for that is within the gate.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.activations import Activations
from benchmarks.detection import MOST_PER_IMAGE, CocoTruth
from benchmarks.machine import describe, machine
from pipeline.detection.calibration import agreement, spread
from pipeline.detection.yolov3.calibration import network_input
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError, PipelineError
from pipeline.models.engines.activation_ranges import Accuracy, ActivationRanges, LayerRanges
from pipeline.models.engines.int8_files import weights_digest
from pipeline.models.engines.openvino_engine import OpenVinoEngine
from pipeline.models.engines.openvino_int8 import build_int8_model
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.registry import Model, find_model, find_weights
from pipeline.models.weights.formats import read_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Image

FOLDER = Path(__file__).resolve().parents[1] / "pipeline" / "models" / "ranges"
FRAMES = 60
COCO = "COCO val2017"


@dataclass(frozen=True, slots=True)
class Subject:
    """The network that is judged."""

    model: Model
    weights: Path
    network: DarknetNetwork
    parameters: Sequence[ConvolutionParameters]

    @classmethod
    def of(cls, name: str, weights: Path | None = None) -> Subject:
        """The network of a model of the catalogue."""
        model = find_model(name)
        network = model.network()
        if not isinstance(network, DarknetNetwork):
            raise ConfigError(f"{name}: only networks of the YOLO family have ranges.")
        path = find_weights(model, weights)
        return cls(model, path, network, read_weights(path, network))

    def quantized(self, ranges: Mapping[int, LayerRanges]) -> Any:
        """The ``openvino.Model`` for int8."""
        return build_int8_model(self.network, self.parameters, ranges)

    def detect(
        self, images: Sequence[Image], *, square: bool, int8: Any = None, as_papers: bool = False
    ) -> list[Detections]:
        """What float32 finds, or a model for int8; as runs report it, or as papers do."""
        precision = "float32" if int8 is None else "int8"
        engine = OpenVinoEngine(self.network, self.parameters, precision=precision, quantized=int8)
        options: dict[str, Any] = {"weights": self.weights, "square": square, "engine": engine}
        if as_papers:
            options |= {"confidence": 0.001, "multi_label": True, "max_detections": MOST_PER_IMAGE}
        with contextlib.closing(YoloDetector(self.model, **options)) as detector:
            return detector.detect(images)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is measured and judged on.

    Attributes:
        truth: of COCO's pictures.
        sources: by name, uint8 ``(height, width, 3)`` BGR; COCO's first, in the order of ``image_ids``.
        image_ids: of COCO's.
    """

    truth: CocoTruth
    sources: dict[str, list[Image]]
    image_ids: list[int]

    @classmethod
    def read(cls, data: Path, model: Model, every: int) -> Pictures:
        """Those of the evaluation data, or every so many of them."""
        truth = CocoTruth(data / "coco" / "images", data / "coco" / "instances.json", model.class_names)
        image_ids = truth.image_ids[::every]
        samples = [
            np.asarray(cv2.imread(str(path)), dtype=np.uint8) for path in sorted((data / "images").glob("*.jpg"))
        ]
        sources: dict[str, list[Image]] = {
            COCO: [truth.read(image_id) for image_id in image_ids],
            "sample images": samples[::every],
        }
        for clip in sorted((data / "videos").iterdir()):
            with open_source(str(clip)) as source:
                reduced = (network_input(frame.image, model.input_size) for frame in source)
                sources[clip.name] = spread(reduced, FRAMES)[::every]
        return cls(truth, sources, image_ids)

    def clips(self) -> list[str]:
        """The sources that are clips."""
        return list(self.sources)[2:]

    def all_but(self, source: str, half: int | None = None) -> NDArray[np.intp]:
        """Places, in all sources one after another, of what is not of one source, or of one half of that."""
        places = [
            (name, index, number)
            for number, (name, index) in enumerate(
                (name, index) for name, images in self.sources.items() for index in range(len(images))
            )
        ]
        out = {number for name, index, number in places if name == source and half in (None, index % 2)}
        return np.array([number for _, _, number in places if number not in out])


class Judge:
    """Compares int8 with float32, whose detections are made once."""

    def __init__(self, subject: Subject, pictures: Pictures, activations: Activations) -> None:
        self._subject = subject
        self._pictures = pictures
        self._activations = activations
        self._models: dict[tuple[str, int | None] | None, Any] = {}
        self._expected = {
            square: (
                subject.detect(pictures.sources[COCO], square=square, as_papers=True),
                {clip: subject.detect(pictures.sources[clip], square=square) for clip in pictures.clips()},
            )
            for square in (False, True)
        }

    def judge(self, *, held_out: bool, square: bool) -> Accuracy:
        """The accuracy with ranges of all pictures, or of all but those that are judged."""
        images = self._pictures.sources[COCO]
        expected, by_clip = self._expected[square]
        found: list[Detections | None] = [None] * len(images)
        for half in (0, 1) if held_out else (None,):
            places = range(len(images)) if half is None else range(half, len(images), 2)
            int8 = self._model((COCO, half) if held_out else None)
            judged = self._subject.detect([images[place] for place in places], square=square, int8=int8, as_papers=True)
            for place, detections in zip(places, judged, strict=True):
                found[place] = detections
        complete = [detections for detections in found if detections is not None]
        if held_out:
            for half in (0, 1):
                print(f"half {half} of COCO: {self._ap50(expected, half)} float32, {self._ap50(complete, half)} int8")
        f1 = {}
        for clip, frames_found in by_clip.items():
            int8 = self._model((clip, None) if held_out else None)
            f1[clip] = agreement(
                frames_found, self._subject.detect(self._pictures.sources[clip], square=square, int8=int8)
            )
        return Accuracy(
            held_out=held_out,
            square=square,
            ap50_float32=self._ap50(expected),
            ap50_int8=self._ap50(complete),
            f1={clip: round(value, 4) for clip, value in f1.items()},
        )

    def _model(self, left_out: tuple[str, int | None] | None) -> Any:
        """The model for int8 with ranges of all pictures but those of a source, or of a half of it."""
        if left_out not in self._models:
            chosen = slice(None) if left_out is None else self._pictures.all_but(*left_out)
            self._models[left_out] = self._subject.quantized(self._activations.ranges(chosen))
        return self._models[left_out]

    def _ap50(self, found: Sequence[Detections], half: int | None = None) -> float:
        pairs = list(zip(self._pictures.image_ids, found, strict=True))
        return self._pictures.truth.average_precision(dict(pairs if half is None else pairs[half::2]))[1]


def table(rows: Sequence[Accuracy]) -> str:
    """The figures as a Markdown table."""
    clips = list(rows[0].f1)
    lines = [
        "| ranges of | input | AP50 float32 | int8 | " + " | ".join(clips) + " | within the gate |",
        "|---|---|---:|---:|" + "---:|" * len(clips) + "---|",
    ]
    for row in rows:
        cells = [
            "the others" if row.held_out else "all",
            "square" if row.square else "rectangular",
            f"{row.ap50_float32:.4f}",
            f"{row.ap50_int8:.4f}",
            *(f"{row.f1[clip]:.3f}" for clip in clips),
            "yes" if row.within_gate() else "no",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(subject: Subject, data: Path, every: int = 1) -> ActivationRanges:
    """The ranges of a network, and how accurate int8 is with them; a row is printed as soon as it is known."""
    pictures = Pictures.read(data, subject.model, every)
    images = [image for images in pictures.sources.values() for image in images]
    size = subject.model.input_size
    activations = Activations(subject.network, subject.parameters, [network_input(image, size) for image in images])
    judge = Judge(subject, pictures, activations)
    rows = []
    for held_out in (False, True):
        for square in (False, True):
            rows.append(judge.judge(held_out=held_out, square=square))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(rows)}")
    return ActivationRanges(
        network=subject.network.name,
        weights=weights_digest(subject.network, subject.parameters),
        program="benchmarks/int8_ranges.py",
        versions={name: importlib.metadata.version(name) for name in ("openvino", "numpy")},
        input_size=size,
        pictures={name: len(images) for name, images in pictures.sources.items()},
        accuracy=tuple(rows),
        layers=activations.ranges(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-yolov3")
    parser.add_argument("--weights", type=Path, help="in place of the model's published file")
    parser.add_argument("--every", type=int, default=1, help="use every so many of the pictures (%(default)s)")
    parser.add_argument("--write", action="store_true", help="keep what was measured")
    options = parser.parse_args(arguments)
    if "SIGHTLINE_EVAL" not in os.environ:
        print("set SIGHTLINE_EVAL to the folder of the evaluation data", file=sys.stderr)
        return 2
    print(describe(machine()))
    try:
        measured = measure(
            Subject.of(options.model, options.weights), Path(os.environ["SIGHTLINE_EVAL"]), options.every
        )
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.write:
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{options.model}.json"
        path.write_bytes(msgspec.json.encode(measured) + b"\n")
        print(f"kept as {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
