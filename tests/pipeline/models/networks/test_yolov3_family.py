"""The networks' descriptions, and what OpenCV's independent reader of Darknet files makes of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, Layer, Route, Shortcut, Upsample, Yolo
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.types import Float32Array, Image
from tests.support.darknet_files import write_configuration


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
    network = DarknetNetwork("odd", layers, ((1, 1), (2, 2)), 3)
    with pytest.raises(ModelError, match=words):
        network.plan()


def random_images(count: int, height: int, width: int) -> Image:
    """Uneven enough that swapped sides, channels or images would show."""
    generator = np.random.default_rng(7)
    coarse = generator.integers(0, 256, (count, height // 8, width // 8, 3), dtype=np.uint8)
    images = np.stack([cv2.resize(image, (width, height)) for image in coarse])
    images[..., 0] //= 2
    return np.asarray(images, dtype=np.uint8)


def opencv_heads(network: DarknetNetwork, folder: Path, weights: Path, images: Image) -> list[Float32Array]:
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
