"""Calibrates a network for int8 with the user's own frames, and measures what that costs and gains.

The ranges of the network's intermediate values are taken from frames spread over the video, by NNCF's post-training
quantization; every fifth frame is kept out of that, and the detections on those are compared with float32's.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
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
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError
from pipeline.hardware import cpu_has_bfloat16
from pipeline.images.letterbox import Letterbox
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.int8_files import Int8Record, save_int8, weights_digest
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import NETWORK_STRIDE, DarknetNetwork
from pipeline.models.registry import DEFAULT_MODEL, Model, find_model, find_weights
from pipeline.models.weights.formats import read_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Image

logger = logging.getLogger(__name__)

_HELD_OUT = 5  # every fifth frame


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
    nncf = import_nncf()
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
    from pipeline.models.engines.openvino_network import build_model

    say(f"calibrating {network.name} with {len(used)} frames of {clip}, {used[0].shape[1]}x{used[0].shape[0]}")
    quantized = quantize(nncf, build_model(network, parameters), used)
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
        batch = held_out[0][None]
        rates = compare_speed({engine.precision: partial(engine.heads, batch) for engine in (exact, other, small)})
    record = Int8Record(
        network=network.name,
        weights=weights_digest(network, parameters),
        clip=clip,
        input_shape=(used[0].shape[0], used[0].shape[1]),
        frames=len(used),
        held_out=len(held_out),
        agreement=round(agreement(expected, found), 4),
        speed_up=round(rates["int8"] / rates[other.precision], 3),
        versions=library_versions(),
    )
    path = save_int8(record, *serialized(quantized))
    totals = sum(map(len, expected)), sum(map(len, found))
    return Calibration(record, path, other.precision, rates, totals)


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
