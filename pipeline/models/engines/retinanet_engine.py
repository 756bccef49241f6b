"""RetinaNet on the CPU, in TensorFlow: pictures in, raw outputs of every level out.

One graph serves every input shape and batch size. Batch norm, the deviation of the pixels and the change from BGR to
RGB are folded into the weights, which are constants, so that TensorFlow fuses convolution, bias and activation into one
oneDNN kernel and reorders the weights once. No Keras, no eager execution: a graph, a session and its callable.

Importing this module imports TensorFlow.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.hardware import available_threads
from pipeline.models.engines.quiet_tensorflow import tf
from pipeline.models.engines.tensorflow_session import session_config
from pipeline.models.networks.retinanet import (
    ANCHORS_PER_CELL,
    PIXEL_DEVIATION_RGB,
    PIXEL_MEAN_BGR,
    PYRAMID_LEVELS,
    Block,
    Layer,
    LevelOutput,
    RetinaNet,
)
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array


class RetinaNetEngine:
    """Runs the network. Any number of threads may use an instance; they take turns, for two batches at once would
    want much memory.

    Args:
        network: its description.
        parameters: of each of its convolutions, by name.
        precision: ``float32`` or ``bfloat16``. The outputs are float32 in either.
        threads: processor cores to use; None for all that the process may use.
    """

    name = "tensorflow"
    reason = "asked for"
    calls_at_once = 1

    def __init__(
        self,
        network: RetinaNet,
        parameters: Mapping[str, ConvolutionParameters],
        *,
        precision: str = "float32",
        threads: int | None = None,
    ) -> None:
        self.precision = precision
        self._turn = threading.Lock()
        self.threads = available_threads() if threads is None else threads
        graph = tf.Graph()
        with graph.as_default():
            self._images = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3))
            builder = _Builder(network, parameters, self.precision)
            outputs = builder.build(self._images)
        self._layers = builder.layers
        self._session = tf.compat.v1.Session(graph=graph, config=session_config(self.threads, "cpu"))
        self._run = self._session.make_callable([output.name for output in outputs], feed_list=[self._images.name])

    def outputs(self, images: Float32Array) -> list[LevelOutput]:
        """The raw outputs, as `pipeline.models.engines.retinanet_factory.PyramidEngine` says."""
        with self._turn:
            arrays: list[Float32Array] = self._run(images)
        levels = zip(arrays[::2], arrays[1::2], strict=True)
        return [LevelOutput(self._by_anchor(logits), self._by_anchor(offsets)) for logits, offsets in levels]

    def layers(self, images: Float32Array) -> dict[str, Float32Array]:
        """What each part of the network makes of the images, for comparison with other implementations.

        Returns:
            float32 ``(batch, rows, columns, channels)`` under the names of torchvision's modules.
        """
        arrays = self._session.run(self._layers, feed_dict={self._images: images})
        return {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._session.close()

    def _by_anchor(self, output: Float32Array) -> Float32Array:
        return output.reshape(*output.shape[:3], ANCHORS_PER_CELL, -1)


class _Builder:
    """Adds the network's operations to the current graph; tensors are ``(batch, height, width, channels)``."""

    def __init__(self, network: RetinaNet, parameters: Mapping[str, ConvolutionParameters], precision: str) -> None:
        self._network = network
        self._parameters = parameters
        self._type = tf.dtypes.as_dtype(precision)
        self._constants: dict[str, tuple[Any, Any]] = {}
        self.layers: dict[str, Any] = {}

    def build(self, images: Any) -> list[Any]:
        """Logits and offsets of P3, then of P4 and so on."""
        outputs = []
        for level in self._pyramid(self._backbone(images)):
            for kind, last in (("classification", self._network.scores()), ("regression", self._network.offsets())):
                values = level
                for layer in self._network.tower(kind):
                    values = self._convolution(layer, values, relu=True)
                # Offsets of 8 bits would be coarse, and their layer is small. That of the scores is the largest of all;
                # in float32 it would take half of the time, and yet the scores would come no nearer to float32's (0.004
                # in the mean), for what the layers before have lost.
                number_type = tf.float32 if kind == "regression" else self._type
                outputs.append(tf.cast(self._convolution(last, values, number_type=number_type), tf.float32))
        for index, name in enumerate(PYRAMID_LEVELS):
            self.layers[f"{name}.cls_logits"], self.layers[f"{name}.bbox_reg"] = outputs[2 * index : 2 * index + 2]
        return outputs

    def _backbone(self, images: Any) -> list[Any]:
        """C3, C4 and C5."""
        # A pixel is taken off its mean in float32: what is padded with the mean becomes an exact 0.
        centred = tf.cast(images - tf.constant(PIXEL_MEAN_BGR), self._type)
        values = self._convolution(self._network.stem(), centred, relu=True)
        self.layers["backbone.body.relu"] = values
        # Nothing is below 0 here, so zeros around never win.
        padded = tf.pad(values, [[0, 0], [1, 1], [1, 1], [0, 0]])
        values = tf.raw_ops.MaxPool(input=padded, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="VALID")
        stages = []
        for stage in self._network.stages():
            for block in stage:
                values = self.layers[block.name] = self._block(block, values)
            stages.append(values)
        return stages[1:]

    def _block(self, block: Block, source: Any) -> Any:
        reduce, window, widen = block.layers
        values = self._convolution(reduce, source, relu=True)
        values = self._convolution(window, values, relu=True)
        values = self._convolution(widen, values)
        kept = source if block.shortcut is None else self._convolution(block.shortcut, source)
        return tf.raw_ops.Relu(features=tf.raw_ops.AddV2(x=values, y=kept))

    def _pyramid(self, stages: Sequence[Any]) -> list[Any]:
        """P3 to P7."""
        inner = self._convolution(self._network.lateral(2), stages[2])
        levels = [self._convolution(self._network.smoothing(2), inner)]
        for level in (1, 0):
            lateral = self._convolution(self._network.lateral(level), stages[level])
            enlarged = tf.raw_ops.ResizeNearestNeighbor(images=inner, size=tf.shape(lateral)[1:3])
            inner = lateral + enlarged
            levels.insert(0, self._convolution(self._network.smoothing(level), inner))
        p6 = self._convolution(self._network.extra("p6"), levels[2])
        p7 = self._convolution(self._network.extra("p7"), tf.raw_ops.Relu(features=p6))
        levels += [p6, p7]
        self.layers.update(zip(PYRAMID_LEVELS, levels, strict=True))
        return levels

    def _convolution(self, layer: Layer, source: Any, *, relu: bool = False, number_type: Any = None) -> Any:
        kernel, bias = self._weights(layer, number_type or self._type)
        output = tf.raw_ops.Conv2D(
            input=tf.cast(source, kernel.dtype),
            filter=kernel,
            strides=[1, layer.stride, layer.stride, 1],
            **_padding(layer),
        )
        output = tf.raw_ops.BiasAdd(value=output, bias=bias)
        return tf.raw_ops.Relu(features=output) if relu else output

    def _weights(self, layer: Layer, number_type: Any) -> tuple[Any, Any]:
        """Kernel and bias as constants; the levels of the pyramid share those of the heads."""
        if layer.name not in self._constants:
            weights, bias = self._parameters[layer.name].folded()
            if layer.name == self._network.scores().name:
                weights, bias = self._used(weights), self._used(bias)
            kernel = weights.transpose(2, 3, 1, 0)
            if layer.name == self._network.stem().name:
                deviation = np.array(PIXEL_DEVIATION_RGB[::-1], dtype=np.float32) * np.float32(255)
                kernel = kernel[:, :, ::-1, :] / deviation[:, None]
            numbers = number_type.as_numpy_dtype
            self._constants[layer.name] = (
                tf.constant(np.ascontiguousarray(kernel, dtype=numbers)),
                tf.constant(bias.astype(numbers)),
            )
        return self._constants[layer.name]

    def _used(self, values: Float32Array) -> Float32Array:
        """Only what concerns classes that mean something: an eighth of the head's last and largest layer is spared."""
        slots = values.reshape(ANCHORS_PER_CELL, len(self._network.slots), *values.shape[1:])
        used = slots[:, self._network.used_slots()]
        return used.reshape(-1, *values.shape[1:])


def _padding(layer: Layer) -> dict[str, Any]:
    """``size // 2`` zeros around, told in a way that lets TensorFlow see which shapes stay as they are: only then does
    it fuse a block's sum into the convolution before."""
    if layer.stride == 1:
        return {"padding": "SAME"}
    # With a stride of 2, SAME pads nothing on the left and at the top.
    return {"padding": "EXPLICIT", "explicit_paddings": [0, 0, *[layer.size // 2] * 4, 0, 0]}
