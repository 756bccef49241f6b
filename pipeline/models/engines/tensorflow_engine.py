"""A network of the YOLOv3 family in TensorFlow, on the CPU or a GPU: images in, raw head outputs out.

One graph serves every input shape and batch size. Batch norm, the division by 255 and the change from BGR to RGB are
folded into the weights, which are constants, so that TensorFlow fuses convolution, bias and leaky ReLU into one oneDNN
kernel and reorders the weights once. No Keras, no eager execution: a graph, a session and its callable.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.hardware import available_threads
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.quiet_tensorflow import gpu_count, tf
from pipeline.models.engines.tensorflow_session import session_config
from pipeline.models.networks.darknet import (
    Convolution,
    DarknetNetwork,
    MaxPool,
    PlannedLayer,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image

logger = logging.getLogger(__name__)

_LEAKY_SLOPE = 0.1
# Each batch under way needs memory of its own, some 50 MB of a tiny network and ten times that of a large one.
_MOST_CALLS = 4


def choose_device(precision: str, gpus: int) -> str:
    """``gpu`` or ``cpu``: a GPU is there for float16, and the processor for the types that were checked on it."""
    if precision != "float16":
        return "cpu"
    if not gpus:
        logger.warning("precision float16 is made for a GPU, and TensorFlow sees none: the processor is slow in it")
        return "cpu"
    return "gpu"


class TensorFlowEngine:
    """Runs a network. Any number of threads may use an instance; more than ``calls_at_once`` at a time gain nothing.

    Args:
        network: its description.
        parameters: one entry per convolution, in the network's order.
        precision: ``float32``, ``bfloat16`` or ``float16``. The heads come out as float32 in each.
        threads: processor cores to use; None for all that the process may use.
    """

    name = "tensorflow"
    reason = "asked for"

    def __init__(
        self,
        network: DarknetNetwork,
        parameters: Sequence[ConvolutionParameters],
        *,
        precision: str = "float32",
        threads: int | None = None,
    ) -> None:
        check_engine("tensorflow", precision, threads)
        self.precision = precision
        self.device = choose_device(self.precision, gpu_count)
        self.threads = available_threads() if threads is None else threads
        self.calls_at_once = 1 if self.device == "gpu" else min(self.threads, _MOST_CALLS)
        self._outputs_per_anchor = 5 + network.class_count
        graph = tf.Graph()
        with graph.as_default():
            images = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3))
            heads = _Builder(network, parameters, self.precision).build(images)
        self._session = tf.compat.v1.Session(graph=graph, config=session_config(self.threads, self.device))
        self._run = self._session.make_callable([head.name for head in heads], feed_list=[images.name])

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, as `pipeline.models.engines.yolo.YoloEngine` says."""
        outputs: list[Float32Array] = self._run(images)
        return [output.reshape(*output.shape[:3], -1, self._outputs_per_anchor) for output in outputs]

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._session.close()


class _Builder:
    """Adds a network's operations to the current graph; tensors are ``(batch, height, width, channels)``."""

    def __init__(self, network: DarknetNetwork, parameters: Sequence[ConvolutionParameters], precision: str) -> None:
        self._network = network
        self._heads = [head.position for head in network.heads()]
        self._parameters = iter(parameters)
        self._type = tf.dtypes.as_dtype(precision)

    def build(self, images: Any) -> list[Any]:
        # Every uint8 is exact in each of the types.
        outputs: dict[int, Any] = {-1: tf.cast(images, self._type)}
        for planned in self._network.plan():
            inputs = [outputs[position] for position in planned.inputs]
            outputs[planned.position] = self._add(planned, inputs)
        return [outputs[position] for position in self._heads]

    def _add(self, planned: PlannedLayer, inputs: list[Any]) -> Any:
        match planned.layer:
            case Convolution() as layer:
                return self._convolution(planned, layer, inputs[0])
            case MaxPool(size, stride) as pool:
                # Padded with what is never the largest.
                explicit = {"explicit_paddings": [0, 0, *pool.padding, *pool.padding, 0, 0]}
                if pool.zeros:
                    padded = tf.pad(inputs[0], [[0, 0], pool.padding, pool.padding, [0, 0]])
                    return tf.raw_ops.MaxPool(
                        input=padded, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding="VALID"
                    )
                return tf.raw_ops.MaxPool(
                    input=inputs[0],
                    ksize=[1, size, size, 1],
                    strides=[1, stride, stride, 1],
                    padding="SAME" if pool.pads_as_usual else "EXPLICIT",
                    **({} if pool.pads_as_usual else explicit),
                )
            case Upsample(stride):
                size = tf.shape(inputs[0])[1:3] * stride
                return tf.raw_ops.ResizeNearestNeighbor(images=inputs[0], size=size)
            case Route():
                return inputs[0] if len(inputs) == 1 else tf.concat(inputs, axis=-1)
            case Shortcut():
                return tf.raw_ops.AddV2(x=inputs[0], y=inputs[1])
            case Yolo():
                return inputs[0]

    def _convolution(self, planned: PlannedLayer, layer: Convolution, source: Any) -> Any:
        weights, bias = next(self._parameters).folded()
        kernel = weights.transpose(2, 3, 1, 0)
        if planned.position == 0:
            kernel = kernel[:, :, ::-1, :] / np.float32(255)
        # The last layers are always float32: they are small, and scores with the 8 bits of bfloat16 tie and lose ranks.
        number_type = tf.float32 if planned.position in self._heads else self._type
        output = tf.raw_ops.Conv2D(
            input=tf.cast(source, number_type),
            filter=tf.constant(np.ascontiguousarray(kernel, dtype=number_type.as_numpy_dtype)),
            strides=[1, layer.stride, layer.stride, 1],
            # Not SAME, which pads nothing on the left and at the top where the stride is 2.
            padding="EXPLICIT",
            explicit_paddings=[0, 0, *[layer.size // 2] * 4, 0, 0],
        )
        output = tf.raw_ops.BiasAdd(value=output, bias=tf.constant(bias.astype(number_type.as_numpy_dtype)))
        return tf.raw_ops.LeakyRelu(features=output, alpha=_LEAKY_SLOPE) if layer.leaky else output
