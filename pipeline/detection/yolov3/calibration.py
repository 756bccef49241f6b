"""Calibrates a network for int8 with the user's own frames, and measures what that costs and gains.

The ranges of the network's intermediate values are taken from frames spread over the video, by NNCF's post-training
quantization; every fifth frame is kept out of that, and the detections on those are compared with float32's.

B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, is the method.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.geometry.boxes import iou_matrix
from pipeline.hardware import cpu_has_bfloat16
from pipeline.images.letterbox import Letterbox
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.int8_files import Int8Record, save_int8, weights_digest
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import NETWORK_STRIDE, DarknetNetwork
from pipeline.models.registry import DEFAULT_MODEL, Model, find_model, find_weights
from pipeline.models.weights.formats import read_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Detections, Image

logger = logging.getLogger(__name__)

LEAST_FRAMES = 10
"""Fewer tell too little of what the network will meet."""

_HELD_OUT = 5  # every fifth frame
_SAME_OBJECT = 0.5  # IoU from which two boxes are the same find
_ROUNDS = 15  # of the comparison of speed


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration came to.

    Attributes:
        record: as it is kept with the network.
        path: where that is.
        other: the precision that int8 was compared with in speed.
        images_per_s: by precision, of the network alone, one image at a time.
        found: detections on the held-out frames, of float32 and of int8.
    """

    record: Int8Record
    path: Path
    other: str
    images_per_s: dict[str, float]
    found: tuple[int, int]


def calibrate(
    frames: Iterable[Image],
    clip: str,
    *,
    model: str | Model = DEFAULT_MODEL,
    weights: str | Path | None = None,
    input_size: int | None = None,
    count: int = 200,
    threads: int | None = None,
    say: Callable[[str], object] = logger.info,
) -> Calibration:
    """Calibrate a model's network for int8 and keep it in the cache folder, where the engine ``openvino`` finds it.

    Args:
        frames: of a video, uint8 ``(height, width, 3)`` BGR; all are read, and some, spread evenly, are used.
        clip: what the video is called.
        model, weights, input_size, threads: as of `YoloDetector`.
        count: frames to calibrate with; a quarter as many more are held out to compare on.
        say: is told in a line what goes on.

    Raises:
        ConfigError: NNCF is not installed, an option can't be used, or the video is too short.
        ModelError: weights that can't be used.
        SinkError: the cache folder can't be written.
    """
    check_engine("openvino", "int8", threads)
    quantize = _quantizer()
    if count < LEAST_FRAMES:
        raise ConfigError(f"frames: got {count}, expected at least {LEAST_FRAMES}.")
    described = find_model(model) if isinstance(model, str) else model
    size = described.input_size if input_size is None else input_size
    if size < NETWORK_STRIDE or size % NETWORK_STRIDE:
        raise ConfigError(f"input_size: got {size}, expected a multiple of {NETWORK_STRIDE}.")
    network = described.network()
    if not isinstance(network, DarknetNetwork):
        raise ConfigError(f"{described.name}: only networks of the YOLOv3 family can be calibrated.")
    parameters = read_weights(find_weights(described, weights), network)
    images = spread((network_input(frame, size) for frame in frames), count + count // (_HELD_OUT - 1))
    if len(images) < LEAST_FRAMES:
        raise ConfigError(f"{clip}: has {len(images)} frames; calibrating needs at least {LEAST_FRAMES}.")
    held_out = images[_HELD_OUT // 2 :: _HELD_OUT]
    used = [image for index, image in enumerate(images) if index % _HELD_OUT != _HELD_OUT // 2]
    say(f"calibrating {network.name} with {len(used)} frames of {clip}, {used[0].shape[1]}x{used[0].shape[0]}")
    quantized = quantize(network, parameters, used)
    say(f"comparing it on {len(held_out)} other frames")
    with contextlib.ExitStack() as stack:
        exact, other, small = (
            stack.enter_context(contextlib.closing(engine))
            for engine in _engines(network, parameters, quantized, threads)
        )
        options: dict[str, Any] = {"weights": weights, "input_size": size}
        expected, found = (
            YoloDetector(described, engine=engine, **options).detect(held_out) for engine in (exact, small)
        )
        rates = compare_speed([exact, other, small], held_out[0])
    record = Int8Record(
        network=network.name,
        weights=weights_digest(network, parameters),
        clip=clip,
        input_shape=(used[0].shape[0], used[0].shape[1]),
        frames=len(used),
        held_out=len(held_out),
        agreement=round(agreement(expected, found), 4),
        speed_up=round(rates["int8"] / rates[other.precision], 3),
        versions={name: importlib.metadata.version(name) for name in ("openvino", "nncf")},
    )
    path = save_int8(record, *_serialized(quantized))
    totals = sum(map(len, expected)), sum(map(len, found))
    return Calibration(record, path, other.precision, rates, totals)


def spread(images: Iterable[Image], count: int) -> list[Image]:
    """At most ``count`` of the images, evenly spread over all, however many those turn out to be.

    Never holds more than twice as many.
    """
    kept: list[Image] = []
    every = 1
    for index, image in enumerate(images):
        if index % every:
            continue
        kept.append(image)
        if len(kept) == 2 * count:
            kept = kept[::2]
            every *= 2
    if len(kept) <= count:
        return kept
    return [kept[round(place)] for place in np.linspace(0, len(kept) - 1, count)]


def agreement(expected: Sequence[Detections], found: Sequence[Detections]) -> float:
    """How far two detectors agree: the F1 of one's finds taken as the truth for the other's, from 0 to 1.

    Two boxes are one find when their class is the same and they overlap with an IoU of 0.5; each counts once, the
    best-scored first. Where neither finds anything they agree.
    """
    both = total = 0
    for first, second in zip(expected, found, strict=True):
        total += len(first) + len(second)
        if not len(first) or not len(second):
            continue
        overlap = iou_matrix(first.xyxy, second.xyxy)
        overlap[first.class_id[:, None] != second.class_id[None]] = 0
        for row in range(len(first)):
            column = int(overlap[row].argmax())
            if overlap[row, column] >= _SAME_OBJECT:
                both += 1
                overlap[:, column] = 0
    return 2 * both / total if total else 1.0


def compare_speed(engines: Sequence[YoloEngine], image: Image) -> dict[str, float]:
    """Images per second of each, by its precision: one image at a time, in turn, the median."""
    batch = image[None]
    times: dict[str, list[float]] = {engine.precision: [] for engine in engines}
    for _ in range(_ROUNDS):
        for engine in engines:
            engine.heads(batch)  # brings back what the other has pushed out of the caches
            begun_s = time.perf_counter()
            engine.heads(batch)
            times[engine.precision].append(time.perf_counter() - begun_s)
    return {precision: round(1 / statistics.median(taken), 1) for precision, taken in times.items()}


def network_input(image: Image, size: int) -> Image:
    """The image as the network gets it; another letterbox leaves it as it is."""
    letterbox = Letterbox.rectangular(image.shape[0], image.shape[1], size, NETWORK_STRIDE)
    drawn = np.empty((letterbox.height, letterbox.width, 3), dtype=np.uint8)
    letterbox.draw(image, drawn)
    return drawn


def _engines(
    network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], quantized: Any, threads: int | None
) -> list[YoloEngine]:
    """In float32, in bfloat16 where the processor has it, and in int8."""
    from pipeline.models.engines.openvino_engine import OpenVinoEngine

    exact = OpenVinoEngine(network, parameters, precision="float32", threads=threads)
    precision = "bfloat16" if cpu_has_bfloat16() else "float32"
    other = OpenVinoEngine(network, parameters, precision=precision, threads=threads)
    small = OpenVinoEngine(network, parameters, precision="int8", threads=threads, quantized=quantized)
    return [exact, other, small]


def _quantizer() -> Callable[[DarknetNetwork, Sequence[ConvolutionParameters], Sequence[Image]], Any]:
    """What makes the ``openvino.Model`` for int8."""
    # NNCF reports its use to its makers over the network unless it takes this for a test machine.
    before, loggers = os.environ.get("NNCF_CI"), logging.getLoggerClass()
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    except ImportError as error:
        raise ConfigError(
            "calibrate: nncf is not installed; install it with: pip install 'sightline[calibrate]'."
        ) from error
    finally:
        logging.setLoggerClass(loggers)  # it makes all later loggers of the process its own kind
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
    openvino_core()  # before NNCF makes its own

    def quantize(network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], images: Sequence[Image]) -> Any:
        from pipeline.models.engines.openvino_network import build_model

        logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function for it sets everybody's
        with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
            return nncf.quantize(
                build_model(network, parameters),
                nncf.Dataset([image[None] for image in images]),
                subset_size=len(images),
            )

    return quantize


def _serialized(model: Any) -> tuple[bytes, bytes]:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
