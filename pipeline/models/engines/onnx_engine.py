"""A network from an ONNX file on the CPU, in OpenVINO: images in, raw outputs out.

What each family does to a picture's pixels before its network sees them is made a part of the model: it takes what
`Letterbox.draw` makes.

Importing this module imports OpenVINO.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, ModelError
from pipeline.hardware import available_threads
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.compiled_shapes import CompiledShapes
from pipeline.models.engines.core_watch import CoreWatch
from pipeline.models.engines.onnx_graph import OnnxGraph
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.models.engines.quiet_openvino import ov, preprocess
from pipeline.models.networks.onnx_network import Preparation
from pipeline.types import Image

# What of int8 stays outside it is little, and as fast in float32 as in anything else.
_HINTS = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16, "int8": ov.Type.f32}
_FLOATS = ("float32", "float16", "float64")


class OnnxEngine:
    """Runs a network. Any number of threads may use an instance; more than ``calls_at_once`` at a time gain nothing.

    Args:
        graph: the network.
        preparation: of the pixels.
        size: ``(height, width)`` of every input; a side of None is open.
        batches: whether the network takes several pictures at a time. Where it does not, each has a request of its own.
        whole: whether outputs are given as they are; otherwise without the side of the batch, which they all have.
        precision: ``float32``, ``bfloat16``, or ``int8`` with ``quantized``. The outputs are float32 in each.
        quantized: what `prepared_model` gave, calibrated for int8.
        threads: processor cores to use; None for all that the process may use, also when that changes: a container's
            limit is looked up every few seconds, and the network compiled anew in the background.
        cores: tells how many processor cores there are to use, where ``threads`` doesn't.

    Raises:
        ConfigError: an option that can't be used.
        ModelError: OpenVINO can't compile it.
    """

    name = "openvino"
    reason = "asked for"
    # One is computed at a time, with every core; the other's inputs and outputs are seen to meanwhile.
    calls_at_once = 2

    def __init__(
        self,
        graph: OnnxGraph,
        preparation: Preparation,
        *,
        size: tuple[int | None, int | None],
        batches: bool,
        whole: bool = False,
        precision: str = "float32",
        quantized: Any = None,
        threads: int | None = None,
        cores: Callable[[], int] = available_threads,
    ) -> None:
        check_engine("openvino", precision, threads)
        if precision not in _HINTS or (precision == "int8") != (quantized is not None):
            raise ConfigError(f"precision: got {precision!r}; ONNX networks compute in {', '.join(_HINTS)}.")
        self.path = graph.path
        self.precision = precision
        begun = cores() if threads is None else threads
        self._watch = CoreWatch(cores if threads is None else None, begun, self._compile_anew)
        self._turn = threading.Lock()
        self._batches, self._whole = batches and not whole, whole
        self._picture = graph.picture
        if quantized is None:
            self._model = prepared_model(graph, preparation, size, batches=self._batches)
        else:
            self._model = quantized.clone()
            sides = [-1 if side is None else side for side in (None if self._batches else 1, *size, 3)]
            _reshape(self._model, self._picture, sides)
        known = not self._batches and None not in size
        self._compiled: CompiledShapes | None = CompiledShapes(partial(self._compile, self._model, begun), known=known)

    @property
    def threads(self) -> int:
        """Processor cores that it uses."""
        return self._watch.threads

    def outputs(self, images: Image) -> list[tuple[NDArray[Any], ...]]:
        """The raw outputs, as `pipeline.models.engines.pictures.PictureEngine` says."""
        self._watch.look()
        compiled = self._compiled
        if compiled is None:
            raise RuntimeError("the engine is closed")
        images = np.ascontiguousarray(images)
        if self._batches:
            given = [_filled(images, compiled.fitting(images.shape)[0])]
        else:
            given = [images[index : index + 1] for index in range(len(images))]
            compiled.fitting(given[0].shape)
        requests = compiled.requests(given[0].shape, len(given))
        failure = _run(requests, [self._feed(batch) for batch in given])
        if failure is not None:
            reason = " ".join(str(failure).split())[-300:]
            raise ModelError(f"{self.path}: the network fails on a picture: {reason}") from failure
        found: list[tuple[NDArray[Any], ...]] = []
        for request, batch in zip(requests, given, strict=True):
            # Out of the request's own memory, which the next call overwrites.
            arrays = [tensor.data.copy() for tensor in request.output_tensors]
            if self._whole:
                found.append(tuple(arrays))
            else:
                found += [tuple(array[index] for array in arrays) for index in range(len(batch))]
        return found[: len(images)]

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._watch.stop()
        with self._turn:
            self._compiled = self._model = None

    def _compile_anew(self, threads: int) -> None:
        """Take the network's place with one that uses so many threads; calls go on with the old one meanwhile."""
        old, model = self._compiled, self._model
        if old is None or model is None:
            return
        new = old.again(partial(self._compile, model, threads))
        with self._turn:
            if self._compiled is not None:
                self._compiled = new

    def _compile(self, model: Any, threads: int, shape: tuple[int, ...] | None) -> Any:
        """A model compiled for inputs of one shape or of any."""
        if shape is not None:
            model = model.clone()
            _reshape(model, self._picture, list(shape))
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Decoding, tracking and encoding want the same cores: let the system move the threads about.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            return openvino_core().compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(f"{self.path}: can't be made ready: {' '.join(str(error).split())[-300:]}") from error

    def _feed(self, batch: Image) -> dict[int, Any]:
        feed: dict[int, Any] = {self._picture: batch}
        for index, port in enumerate(self._model.inputs):
            if index != self._picture:
                # Boxes are wanted in pixels of the input, whatever the picture's size.
                size = np.array([batch.shape[2], batch.shape[1]], dtype=port.get_element_type().to_dtype())
                feed[index] = np.broadcast_to(size, _sides(port, len(batch))).copy()
        return feed


def _reshape(model: Any, picture: int, sides: list[int]) -> None:
    """Have a model that is prepared take pictures ``(batch, height, width, 3)``, -1 for any."""
    others = {index: _sides(port, sides[0]) for index, port in enumerate(model.inputs)}
    model.reshape({**others, picture: sides})


def _sides(port: Any, count: int) -> list[int]:
    """The shape of an input that takes the size of each of so many pictures."""
    return [count, 2] if len(port.get_partial_shape()) == 2 else [2]


def prepared_model(
    graph: OnnxGraph, preparation: Preparation, size: tuple[int | None, int | None], *, batches: bool
) -> Any:
    """The ``openvino.Model`` that an engine compiles: it takes pictures as `Letterbox.draw` makes them.

    Arguments and errors are those of `OnnxEngine`.
    """
    model = graph.model.clone()
    height, width = (-1 if side is None else side for side in size)
    if not graph.reshape(model, -1 if batches else 1, height, width):
        raise ModelError(f"{graph.path}: the network can't take an input of {width}x{height}.")
    _prepare(model, graph, preparation)
    return model


def _prepare(model: Any, graph: OnnxGraph, preparation: Preparation) -> None:
    """Make a model take uint8 ``(batch, height, width, 3)`` BGR, as it lies in the input."""
    processor = preprocess.PrePostProcessor(model)
    picture = processor.input(graph.picture)
    picture.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(
        preprocess.ColorFormat.BGR
    )
    picture.model().set_layout(ov.Layout(graph.layout.upper()))
    steps = picture.preprocess()
    if graph.element in _FLOATS:
        steps.convert_element_type(ov.Type.f32)
    if preparation.color == "rgb":
        steps.convert_color(preprocess.ColorFormat.RGB)
    if any(preparation.mean):
        steps.mean(list(preparation.mean))
    if any(value != 1 for value in preparation.deviation):
        steps.scale(list(preparation.deviation))
    if graph.element not in ("uint8", "float32"):
        steps.convert_element_type(model.inputs[graph.picture].get_element_type())
    processor.build()


def _filled(images: Image, count: int) -> Image:
    """A batch of so many, the last of which stand for nothing."""
    return images if len(images) == count else np.resize(images, (count, *images.shape[1:]))


def _run(requests: Sequence[Any], feeds: Sequence[dict[int, Any]]) -> Exception | None:
    """Run all of them; when none runs any more the first failure, if there was one."""
    failure: Exception | None = None
    started = []
    for request, feed in zip(requests, feeds, strict=True):
        try:
            request.start_async(feed, share_inputs=True)
            started.append(request)
        except RuntimeError as error:
            failure = failure or error
    for request in started:
        try:
            request.wait()
        except RuntimeError as error:
            failure = failure or error
    return failure
