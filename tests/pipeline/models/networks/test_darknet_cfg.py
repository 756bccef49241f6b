"""The reader of Darknet's network descriptions: what it reads, with OpenCV as the oracle, and what it refuses."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.models.engines.factory import create_engine
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, MaxPool, Route, Upsample, Yolo
from pipeline.models.networks.darknet_cfg import MOST_LAYERS, read_cfg
from pipeline.models.networks.yolov3_family import yolov3, yolov3_spp, yolov3_tiny
from pipeline.models.weights.formats import read_weights
from tests.pipeline.models.networks.test_yolov3_family import largest_differences, opencv_heads, random_images
from tests.support.darknet_files import miniature, narrow, random_parameters, write_configuration, write_weights

# As people's files look: comments, blanks, options of training, and the mask in circulation.
TINY = """
# Testing
[net]
batch=1
subdivisions=1
width = 608
height=416
channels=3
momentum=0.9
policy=steps
steps=400000,450000
scales=.1,.1

[convolutional]
batch_normalize=1
filters=16
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2
; the same as above, and Windows' line ends\r
[convolutional]\r
size=1\r
stride=1\r
pad=1\r
filters=24  # 3 * (5 + classes)
activation=linear

[yolo]
mask = 0,1,2
anchors = 10,14,  23,27,  37,58.5,  81,82,  135,169,  344,319
classes=3
num=6
jitter=.3
ignore_thresh = .7
truth_thresh = 1
random=1
"""


def odd_pools() -> DarknetNetwork:
    """Pools of every parity and stride, side by side with what they are compared with."""
    return DarknetNetwork(
        "odd-pools",
        (
            Convolution(8, 3, leaky=False),
            MaxPool(3, 2),
            MaxPool(4, 1),
            Convolution(8, 5),
            MaxPool(5, 2),
            Convolution(8, 1, leaky=False),
            MaxPool(4, 4),
            Convolution(16, 1, batch_normalize=False, leaky=False),
            Yolo((0, 1)),
            Route((-3,)),
            Upsample(4),
            Route((-1, 5)),
            MaxPool(3, 1),
            Convolution(16, 3, batch_normalize=False, leaky=False),
            Yolo((2, 0)),
        ),
        ((10, 12.5), (30, 40), (80, 90)),
        3,
    )


@pytest.mark.parametrize(
    "network",
    [miniature(), odd_pools(), yolov3(), yolov3_spp(7), yolov3_tiny(2, masks=((3, 4, 5), (0, 1, 2)))],
    ids=lambda network: network.name,
)
def test_what_describes_a_network_is_read(network: DarknetNetwork, tmp_path: Path) -> None:
    read = read_cfg(write_configuration(tmp_path / "a.cfg", network, height=320, width=416), network.name)
    assert read.network == network
    assert read.input_size == 416


def test_a_file_as_people_have_it(tmp_path: Path) -> None:
    path = tmp_path / "my-tiny.cfg"
    path.write_text(TINY)
    read = read_cfg(path)
    assert read.input_size == 608
    assert read.network == DarknetNetwork(
        "my-tiny",
        (Convolution(16, 3), MaxPool(), Convolution(24, 1, batch_normalize=False, leaky=False), Yolo((0, 1, 2))),
        ((10, 14), (23, 27), (37, 58.5), (81, 82), (135, 169), (344, 319)),
        3,
    )


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
@pytest.mark.parametrize(
    ("network", "height", "width"),
    [(odd_pools(), 64, 96), (narrow(yolov3_spp(4)), 256, 416), (narrow(yolov3(4), 4), 96, 64)],
    ids=["odd pools", "spp", "yolov3"],
)
def test_heads_equal_opencv(network: DarknetNetwork, height: int, width: int, engine: str, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "random.weights", random_parameters(network))
    described = read_cfg(write_configuration(tmp_path / "a.cfg", network, height=height, width=width)).network
    made = create_engine(engine, described, read_weights(weights, described), precision="float32")
    images = random_images(2, height, width)
    ours = made.heads(images)
    assert all(head.std() > 0.05 for head in ours), "outputs too small to tell anything"
    assert max(largest_differences(ours, opencv_heads(network, tmp_path, weights, images))) < 1e-3


def test_the_published_size_of_yolov3_spp() -> None:
    assert 20 + 4 * yolov3_spp().parameter_count() == 252_209_544


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("[maxpool]", "[avgpool]", "[avgpool]", "this type of layer is not supported; supported are convolutional"),
        ("[maxpool]", "[local", "[local", "this type of layer is not supported"),
        ("activation=leaky", "activation=mish", "activation=mish", "'mish'; of it only leaky and linear"),
        ("activation=leaky", "", "[convolutional]", "'logistic'; of it only"),
        ("filters=16", "filters=16.5", "filters=16.5", "'16.5', expected a whole number from 1"),
        ("filters=16", "filters=99999999999999999999", "filters=999", "expected a whole number"),
        ("filters=16", "groups=2", "groups=2", "groups is '2'"),
        ("filters=16", "antialiasing=1", "antialiasing", "the option antialiasing is not supported"),
        ("filters=16", "filters 16", "filters 16", "expected .type. or key=value"),
        ("filters=16", "stride=2", "stride=1", "stride is given twice"),
        ("pad=1", "pad=0", "[convolutional]", "padding is '0'; of it only 1"),
        ("size=3", "size=4", "[convolutional]", "even size 4"),
        ("stride=2", "stride=2\npadding=0", "padding=0", "padding is '0'; of it only 1"),
        ("size=2", "size=1", "[maxpool]", "stride of 2 with a size of 1"),
        ("classes=3", "classes=4", "[yolo]", "reads 24 channels; 3 anchors with 4 classes need 27"),
        ("num=6", "num=5", "[yolo]", "anchors has 12 numbers"),
        ("mask = 0,1,2", "mask = 0,1,6", "mask = 0,1,6", "whole numbers from 0 to 5"),
        ("mask = 0,1,2", "mask = 0;1,2", "[yolo]", "reads 24 channels; 1 anchors"),
        ("10,14", "10,-14", "anchors", "at most 200 numbers|numbers above 0"),
        ("random=1", "scale_x_y=1.05", "scale_x_y", "scale_x_y is '1.05'"),
        ("activation=linear", "activation=leaky", "[yolo]", "follows a layer that is no convolution with a bias"),
        ("size=2\nstride=2", "size=3\nstride=3", "[maxpool]", "shrinks the input 3 times"),
        ("[yolo]", "[route]\nlayers=-9\n[yolo]", "[route]", "refers to layer -6"),
        ("[yolo]", "[shortcut]\nfrom=-3\n[yolo]", "[shortcut]", "different scale"),
        ("[yolo]", "[route]\n[yolo]", "[route]", "has no layers"),
        ("[yolo]", "[shortcut]\n[yolo]", "[shortcut]", "has no from"),
        ("channels=3", "channels=1", "channels=1", "channels is '1'"),
        ("width = 608", "width = 0", "width = 0", "expected a whole number from 1"),
        ("[net]", "[nets]", "[nets]", "expected .net. as the first section"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named_with_its_line(tmp_path: Path, old: str, new: str, at: str, says: str) -> None:
    path = tmp_path / "a.cfg"
    text = TINY.replace(old, new, 1)
    path.write_text(text)
    with pytest.raises(ModelError, match=says) as caught:
        read_cfg(path)
    line = text[: text.index(at)].count("\n") + 1
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# only this\n", "is empty"),
        ("[net]\n", "no layers follow"),
        ("<html>Not found</html>", "expected .type. or key=value"),
        ("[net]\n[maxpool]\n[yolo]\nnum=1\nanchors=1,2\n", "reads 3 channels"),
        ("[net]\n[maxpool]\n", "no .yolo. layer follows"),
        ("[net]\n" + "[maxpool]\n" * (MOST_LAYERS + 1), "more than 2,000 layers"),
        ("[net]\n" + "a" * (1 << 20), "larger than"),
        ("[net]\0", "not text"),
    ],
)
def test_files_that_describe_no_detector(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.cfg"
    path.write_text(text)
    with pytest.raises(ModelError, match=says):
        read_cfg(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_cfg(tmp_path / "none.cfg")
    with pytest.raises(ModelError, match="Is a directory"):
        read_cfg(tmp_path)


def test_heads_that_disagree(tmp_path: Path) -> None:
    path = write_configuration(tmp_path / "a.cfg", miniature(), height=64, width=64)
    path.write_text("classes=4".join(path.read_text().rsplit("classes=3", 1)))
    with pytest.raises(ModelError, match="has other anchors or classes"):
        read_cfg(path)


def test_any_damage_ends_in_a_network_or_one_plain_error(tmp_path: Path) -> None:
    path = write_configuration(tmp_path / "a.cfg", narrow(yolov3_tiny(2)), height=64, width=64)
    lines = path.read_text().splitlines()
    generator = random.Random(5)
    changes: tuple[Callable[[str], str], ...] = (
        lambda line: line[: generator.randrange(len(line) + 1)],
        lambda line: line + generator.choice("0,9-.]=#"),
        lambda line: line.replace("=", "=-"),
        lambda line: generator.choice(lines),
        lambda line: "".join(generator.sample(line, len(line))),
        lambda line: f"{line}\n{generator.choice(lines)}",
    )
    outcomes = set()
    for _ in range(150):
        damaged = list(lines)
        for _ in range(generator.choice((1, 1, 3))):
            place = generator.randrange(len(damaged))
            damaged[place] = generator.choice(changes)(damaged[place])
        path.write_text("\n".join(damaged))
        try:
            outcomes.add(len(read_cfg(path).network.heads()) > 0)
        except ModelError as error:
            assert "\n" not in str(error)
            outcomes.add(False)
    assert outcomes == {True, False}


def test_masks_can_be_set() -> None:
    network = yolov3_tiny(2).with_masks([[3, 4, 5], [0, 1, 2]])
    assert network == yolov3_tiny(2, masks=((3, 4, 5), (0, 1, 2)))
    assert network.masks() == ((3, 4, 5), (0, 1, 2))
    with pytest.raises(ConfigError, match=r"got \[\[1, 2\]\]; yolov3-tiny has 2 heads with 3 and 3 anchors"):
        network.with_masks([[1, 2]])
    with pytest.raises(ConfigError, match="got 6; the anchors are numbered 0 to 5"):
        network.with_masks([[3, 4, 5], [6, 1, 2]])
    assert replace(network, name="x").with_masks(network.masks()).name == "x"
