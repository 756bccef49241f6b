"""The networks' descriptions, and the engine that runs them against OpenCV's independent reader of Darknet files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.tensorflow_engine import TensorFlowEngine, choose_precision, cpu_has_bfloat16
from pipeline.types import Float32Array, Image
from pipeline.weights import ConvolutionParameters, read_darknet_weights
from pipeline.yolov3 import Convolution, Layer, Network, Route, Shortcut, Upsample, Yolo, yolov3, yolov3_tiny
from tests.pipeline.darknet_files import miniature, random_parameters, write_configuration, write_weights


def test_the_networks_have_the_published_sizes() -> None:
    header = 20
    assert yolov3_tiny().parameter_count() * 4 + header == 35_434_956
    assert yolov3().parameter_count() * 4 + header == 248_007_048


def test_heads_of_the_tiny_network() -> None:
    heads = yolov3_tiny().heads()
    assert [head.stride for head in heads] == [32, 16]
    assert heads[0].anchors == ((81, 82), (135, 169), (344, 319))
    # What the official weights were trained with; the configuration file in circulation says 0,1,2.
    assert heads[1].anchors == ((23, 27), (37, 58), (81, 82))


def test_heads_of_the_full_network() -> None:
    heads = yolov3().heads()
    assert [(head.stride, head.position) for head in heads] == [(32, 81), (16, 93), (8, 105)]
    assert [head.anchors[0] for head in heads] == [(116, 90), (30, 61), (10, 13)]


def test_class_count_sets_the_outputs() -> None:
    outputs = [planned.out_channels for planned in yolov3_tiny(4).plan() if isinstance(planned.layer, Yolo)]
    assert outputs == [27, 27]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Route((3,)),), "refers to layer 3"),
        ((Convolution(4, 3), Route((-5,))), "refers to layer -4"),
        ((Convolution(4, 3), Convolution(4, 3, stride=2), Route((-1, -2))), "different scale, 1/1 and 1/2"),
        ((Convolution(4, 3), Convolution(8, 3), Shortcut(-2)), "adds 8 channels to 4"),
        ((Convolution(4, 3), Upsample()), "enlarges 2 times"),
        ((Convolution(15, 1), Yolo((0, 1))), "reads 15 channels; 2 anchors with 3 classes need 16"),
        ((Convolution(16, 1), Yolo((0, 9))), "mask"),
    ],
)
def test_descriptions_that_can_not_be(layers: tuple[Layer, ...], words: str) -> None:
    network = Network("odd", layers, ((1, 1), (2, 2)), 3)
    with pytest.raises(ModelError, match=words):
        network.plan()


def random_images(count: int, height: int, width: int) -> Image:
    """Uneven enough that swapped sides, channels or images would show."""
    generator = np.random.default_rng(7)
    coarse = generator.integers(0, 256, (count, height // 8, width // 8, 3), dtype=np.uint8)
    images = np.stack([cv2.resize(image, (width, height)) for image in coarse])
    images[..., 0] //= 2
    return np.asarray(images, dtype=np.uint8)


def opencv_heads(network: Network, folder: Path, weights: Path, images: Image) -> list[Float32Array]:
    """The outputs of the convolutions before the heads, by OpenCV."""
    _, height, width, _ = images.shape
    configuration = write_configuration(folder / "network.cfg", network, height=height, width=width)
    net = cv2.dnn.readNetFromDarknet(str(configuration), str(weights))
    blob = cv2.dnn.blobFromImages(list(images), 1 / 255, swapRB=True)
    net.setInput(blob)
    names = [f"conv_{head.position}" for head in network.heads()]
    values = 5 + network.class_count
    heads = []
    for output in net.forward(names):
        batch, channels, rows, columns = output.shape
        split = output.reshape(batch, channels // values, values, rows, columns)
        heads.append(np.asarray(split.transpose(0, 3, 4, 1, 2), dtype=np.float32))
    return heads


def largest_differences(ours: list[Float32Array], theirs: list[Float32Array]) -> list[float]:
    assert [head.shape for head in ours] == [head.shape for head in theirs]
    return [float(np.abs(first - second).max()) for first, second in zip(ours, theirs, strict=True)]


@pytest.mark.parametrize(("count", "height", "width"), [(1, 416, 416), (2, 256, 416), (1, 96, 32)])
def test_tiny_heads_equal_opencv(tiny_weights: Path, tmp_path: Path, count: int, height: int, width: int) -> None:
    network = yolov3_tiny()
    engine = TensorFlowEngine(network, read_darknet_weights(tiny_weights, network), precision="float32")
    images = random_images(count, height, width)
    theirs = opencv_heads(network, tmp_path, tiny_weights, images)
    assert max(largest_differences(engine.heads(images), theirs)) < 1e-3


@pytest.mark.parametrize("network", [miniature(), yolov3_tiny(2), yolov3()], ids=lambda network: network.name)
def test_heads_of_random_weights_equal_opencv(network: Network, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "random.weights", random_parameters(network))
    engine = TensorFlowEngine(network, read_darknet_weights(weights, network), precision="float32")
    images = random_images(2, 64, 96)
    ours = engine.heads(images)
    assert all(head.std() > 0.05 for head in ours), "outputs too small to tell anything"
    assert max(largest_differences(ours, opencv_heads(network, tmp_path, weights, images))) < 1e-3


@pytest.fixture(scope="module")
def parameters() -> list[ConvolutionParameters]:
    return random_parameters(miniature())


def test_one_engine_serves_all_shapes_and_batches(parameters: list[ConvolutionParameters]) -> None:
    engine = TensorFlowEngine(miniature(), parameters, precision="float32", threads=1)
    for height, width in [(32, 64), (96, 32), (32, 64)]:
        images = random_images(3, height, width)
        together = engine.heads(images)
        assert together[0].shape == (3, height // 32, width // 32, 2, 8)
        assert together[1].shape == (3, height // 16, width // 16, 2, 8)
        for index in range(3):
            alone = engine.heads(images[index : index + 1])
            assert max(largest_differences(alone, [head[index : index + 1] for head in together])) < 1e-5


def test_bfloat16_is_near_float32(parameters: list[ConvolutionParameters]) -> None:
    images = random_images(1, 64, 64)
    exact = TensorFlowEngine(miniature(), parameters, precision="float32").heads(images)
    rough = TensorFlowEngine(miniature(), parameters, precision="bfloat16").heads(images)
    differences = largest_differences(rough, exact)
    assert all(head.dtype == np.float32 for head in rough)
    assert 1e-5 < max(differences) < 0.1


def test_auto_takes_bfloat16_where_the_processor_has_it(tmp_path: Path) -> None:
    assert choose_precision("auto") == ("bfloat16" if cpu_has_bfloat16() else "float32")
    description = tmp_path / "cpuinfo"
    description.write_text("processor: 0\nflags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", encoding="ascii")
    assert cpu_has_bfloat16(description)
    description.write_text("processor: 0\nflags\t\t: fpu avx512f avx512_vnni\n", encoding="ascii")
    assert not cpu_has_bfloat16(description)
    assert not cpu_has_bfloat16(tmp_path / "missing")


def test_options_that_can_not_be(parameters: list[ConvolutionParameters]) -> None:
    with pytest.raises(ConfigError, match="precision: got 'float16', expected one of auto, float32, bfloat16"):
        TensorFlowEngine(miniature(), parameters, precision="float16")
    with pytest.raises(ConfigError, match="threads: got 0"):
        TensorFlowEngine(miniature(), parameters, threads=0)
