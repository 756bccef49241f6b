"""The same weights through every kind of file: what comes back, what it computes, and what is refused."""

from __future__ import annotations

import random
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmarks.fuzz_weights import mutate
from pipeline.errors import ConfigError, ModelError
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.models.weights.formats import SUFFIXES, format_to_write, read_weights, weights_format, write_weights
from pipeline.models.weights.parameters import BatchNorm, ConvolutionParameters
from pipeline.models.weights.pytorch import read_state_dict
from pipeline.models.weights.pytorch_writer import write_state_dict
from pipeline.types import Float32Array
from tests.support.darknet_files import miniature, narrow, random_parameters
from tests.support.darknet_files import write_weights as write_darknet

NETWORK = miniature()
NAMES = ("a.weights", "a.h5", "a.pt")


def written(path: Path, parameters: Sequence[ConvolutionParameters], network: DarknetNetwork = NETWORK) -> Path:
    write_weights(path, parameters, network, format_to_write(path))
    return path


def assert_same(ours: Sequence[ConvolutionParameters], theirs: Sequence[ConvolutionParameters]) -> None:
    """Equal weights, and batch norms that do the same."""
    assert len(ours) == len(theirs)
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(first.weights, second.weights)
        assert (first.batch_norm is None) == (second.batch_norm is None)
        for one, other in zip(first.folded(), second.folded(), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-7)


def refusal(path: Path, network: DarknetNetwork = NETWORK) -> str:
    with pytest.raises(ModelError) as caught:
        read_weights(path, network)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("source", NAMES)
def test_weights_survive_every_way_through_the_formats(tmp_path: Path, source: str, target: str) -> None:
    original = random_parameters(NETWORK)
    first = read_weights(written(tmp_path / source, original), NETWORK)
    second = read_weights(written(tmp_path / f"second-{target}", first), NETWORK)
    assert_same(first, original)
    assert_same(second, original)


@pytest.mark.parametrize("name", NAMES)
def test_deviations_below_an_epsilon_survive(tmp_path: Path, name: str) -> None:
    # A dead channel's variance is all but 0; with Keras' epsilon no variance gives so small a deviation.
    entry = random_parameters(NETWORK)[0]
    assert entry.batch_norm is not None
    deviation = np.array([1e-6, 1e-5, 1e-3, 0.0316, 0.0317, 1, 30, 1e3], np.float32)
    norm = entry.batch_norm
    norm = BatchNorm(norm.shift, norm.scale, norm.mean, deviation)
    parameters = [ConvolutionParameters(entry.weights, batch_norm=norm), *random_parameters(NETWORK)[1:]]
    assert_same(read_weights(written(tmp_path / name, parameters), NETWORK), parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_kind_is_told_by_the_content(tmp_path: Path, name: str) -> None:
    original = random_parameters(NETWORK)
    path = written(tmp_path / name, original).rename(tmp_path / "misnamed.bin")
    assert weights_format(path) == SUFFIXES[Path(name).suffix]
    assert_same(read_weights(path, NETWORK), original)


def test_equal_weights_make_equal_files(tmp_path: Path) -> None:
    parameters = random_parameters(NETWORK)
    for suffix in (".weights", ".pt"):
        first, second = (written(tmp_path / f"{name}{suffix}", parameters).read_bytes() for name in "ab")
        assert first == second


# Files as the other programs lay them out, made here without our own writers.


def imageai_3_file(path: Path, parameters: Sequence[ConvolutionParameters]) -> Path:
    tensors: dict[str, Any] = {}
    for number, entry in enumerate(parameters, 1):
        tensors[f"conv{number}.conv.weight"] = entry.weights
        if entry.bias is not None:
            tensors[f"conv{number}.conv.bias"] = entry.bias
            continue
        norm = entry.batch_norm
        assert norm is not None
        named = {"weight": norm.scale, "bias": norm.shift, "running_mean": norm.mean}
        named["running_var"] = (norm.deviation.astype(np.float64) ** 2 - 1e-5).astype(np.float32)
        tensors |= {f"conv{number}.batch_norm.{kind}": values for kind, values in named.items()}
    with path.open("wb") as file:
        # The order of the names must not matter: conv10 before conv2.
        write_state_dict(file, dict(sorted(tensors.items())))
    return path


def keras_file(path: Path, parameters: Sequence[ConvolutionParameters], *, first: int = 0, whole: bool = False) -> Path:
    """ImageAI 2's layout: predictors of three-headed networks are ``last1`` to ``last3``; ``first`` is the number at
    which Keras' own count stood; ``whole`` is how ``model.save`` nests it."""
    heads = [number for number, entry in enumerate(parameters) if entry.bias is not None]

    def name(kind: str, number: int) -> str:
        return f"{kind}_{number + first}" if number + first else kind

    with h5py.File(path, "w") as file:
        top = file.create_group("model_weights") if whole else file
        convolutions = norms = 0
        for number, entry in enumerate(parameters):
            if len(heads) == 3 and number in heads:
                layer = f"last{heads.index(number) + 1}"
            else:
                layer, convolutions = name("conv2d", convolutions), convolutions + 1
            top[f"{layer}/{layer}/kernel:0"] = entry.weights.transpose(2, 3, 1, 0)
            if entry.bias is not None:
                top[f"{layer}/{layer}/bias:0"] = entry.bias
                continue
            norm = entry.batch_norm
            assert norm is not None
            layer, norms = name("batch_normalization", norms), norms + 1
            variance = (norm.deviation.astype(np.float64) ** 2 - 1e-3).astype(np.float32)
            named = {"gamma": norm.scale, "beta": norm.shift, "moving_mean": norm.mean, "moving_variance": variance}
            for kind, values in named.items():
                top[f"{layer}/{layer}/{kind}:0"] = values
        top.create_group("leaky_re_lu")
        if whole:
            file["optimizer_weights/training/iterations:0"] = np.int64(7)
    return path


@pytest.mark.parametrize(
    "write",
    [
        imageai_3_file,
        keras_file,
        lambda path, parameters: keras_file(path, parameters, first=75),
        lambda path, parameters: keras_file(path, parameters, first=1, whole=True),
    ],
)
def test_files_as_imageai_lays_them_out(
    tmp_path: Path, write: Callable[[Path, Sequence[ConvolutionParameters]], Path]
) -> None:
    original = random_parameters(NETWORK)
    assert_same(read_weights(write(tmp_path / "file", original), NETWORK), original)


def test_a_state_dict_of_other_names_is_read_in_its_order(tmp_path: Path) -> None:
    original = random_parameters(NETWORK)
    state = read_state_dict(written(tmp_path / "a.pt", original))
    renamed = {}
    for name, array in state.items():
        layer, rest = name.split(".", 1)
        rest = rest.replace("batch_norm.", "BatchNorm2d.").replace("conv.", "Conv2d.")
        renamed[f"module_list.{3 * int(layer[4:])}.{rest}"] = array
    with (tmp_path / "b.pt").open("wb") as file:
        write_state_dict(file, renamed)
    assert_same(read_weights(tmp_path / "b.pt", NETWORK), original)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_for_other_classes_is_refused_with_their_number(tmp_path: Path, name: str) -> None:
    three, eighty = narrow(yolov3_tiny(3)), narrow(yolov3_tiny(80))
    path = written(tmp_path / name, random_parameters(three), three)
    assert "for 3 classes" in refusal(path, eighty)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_file_of_another_network_is_refused(tmp_path: Path, name: str) -> None:
    message = refusal(written(tmp_path / name, random_parameters(NETWORK)), yolov3_tiny(3))
    assert "found 6 convolutions without bias, 6 batch norms and 2 convolutions with bias" in message
    assert "yolov3-tiny has 11 convolutions without bias" in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.999])
def test_truncated(tmp_path: Path, name: str, keep: float) -> None:
    path = written(tmp_path / name, random_parameters(NETWORK))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    refusal(path)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>Not found</html>" * 9, b'{"message": "Not Found"}', b"<html>"])
def test_a_page_in_place_of_weights(tmp_path: Path, page: bytes) -> None:
    path = tmp_path / "page.h5"
    path.write_bytes(page)
    assert "is text that begins with" in refusal(path)


def test_numbers_that_no_trained_network_has(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", random_parameters(NETWORK))
    with h5py.File(path, "r+") as file:
        file["conv2d_2/conv2d_2/kernel:0"][0, 0, 0, 0] = np.nan
    assert "conv2d_2 (layer 2 of miniature): number 0 of the file is nan" in refusal(path)
    path = written(tmp_path / "a.h5", random_parameters(NETWORK))
    with h5py.File(path, "r+") as file:
        file["batch_normalization/batch_normalization/moving_variance:0"][3] = -1
    assert "a variance of -1" in refusal(path)
    state = read_state_dict(written(tmp_path / "a.pt", random_parameters(NETWORK)))
    whole = {name: array.astype(np.int64) for name, array in state.items()}
    with path.open("wb") as file:
        write_state_dict(file, whole)
    assert "numbers of type int64, expected float32" in refusal(path)


def test_hdf5_that_reaches_elsewhere_is_refused(tmp_path: Path) -> None:
    def changed(change: Callable[[h5py.File], None]) -> str:
        path = written(tmp_path / "a.h5", random_parameters(NETWORK))
        with h5py.File(path, "r+") as file:
            change(file)
        return refusal(path)

    kernel = "conv2d/conv2d/kernel:0"

    def replace(file: h5py.File, make: Callable[[], object]) -> None:
        del file[kernel]
        made = make()
        if made is not None:
            file[kernel] = made

    shape = (3, 3, 3, 8)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(864))
    elsewhere = written(tmp_path / "other.h5", random_parameters(NETWORK))
    source = h5py.VirtualSource(str(elsewhere), kernel, shape=shape)
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = source

    assert "is a link" in changed(lambda file: replace(file, lambda: h5py.ExternalLink(str(elsewhere), kernel)))
    assert "is a link" in changed(lambda file: replace(file, lambda: h5py.SoftLink("/conv2d_1")))
    plain = "is not a plain array"
    external = [(str(secret), 0, 864)]
    assert plain in changed(
        lambda file: replace(file, lambda: file.create_dataset(kernel, shape, "f4", external=external) and None)
    )
    assert plain in changed(lambda file: replace(file, lambda: file.create_virtual_dataset(kernel, layout) and None))
    assert plain in changed(
        lambda file: replace(file, lambda: file.create_dataset(kernel, shape, "f4", compression="gzip") and None)
    )
    huge = (1 << 20, 1 << 20)
    assert "the file is damaged" in changed(
        lambda file: replace(file, lambda: file.create_dataset(kernel, huge, "f4") and None)
    )
    assert "nests them too deep" in changed(lambda file: file.__setitem__("conv2d/loop", file["conv2d"]))
    assert "holds no layers" in changed(lambda file: file.clear())
    assert "called block_1" in changed(lambda file: file.move("conv2d_1", "block_1"))
    assert "has no beta" in changed(lambda file: file.__delitem__("batch_normalization/batch_normalization/beta:0"))


def test_a_name_that_says_no_format() -> None:
    with pytest.raises(ConfigError, match=r"must end in \.weights, \.h5, \.pt, \.pth"):
        format_to_write(Path("a.onnx"))


def keras_model(network: DarknetNetwork) -> Any:
    """The network in Keras itself, its layers made in the order in which ImageAI 2 makes them."""
    from pipeline.models.engines.quiet_tensorflow import tf
    from pipeline.models.networks.darknet import Convolution, MaxPool, Route, Shortcut, Upsample

    layers = tf.keras.layers
    tf.keras.backend.clear_session()
    image = tf.keras.Input((None, None, 3))
    outputs: dict[int, Any] = {-1: image}
    heads = [head.position for head in network.heads()]
    for planned in network.plan():
        given = [outputs[position] for position in planned.inputs]
        value = given[0]
        match planned.layer:
            case Convolution() as layer:
                padding = "same"
                if layer.stride == 2:
                    value, padding = layers.ZeroPadding2D(((1, 0), (1, 0)))(value), "valid"
                name = (
                    f"last{heads.index(planned.position) + 1}"
                    if len(heads) == 3 and planned.position in heads
                    else None
                )
                value = layers.Conv2D(
                    layer.filters, layer.size, layer.stride, padding, use_bias=not layer.batch_normalize, name=name
                )(value)
                if layer.batch_normalize:
                    value = layers.BatchNormalization()(value)
                    value = layers.LeakyReLU(0.1)(value)
            case MaxPool(size, stride):
                value = layers.MaxPool2D(size, stride, "same")(value)
            case Upsample(stride):
                value = layers.UpSampling2D(stride)(value)
            case Route() if len(given) > 1:
                value = layers.Concatenate()(given)
            case Shortcut():
                value = layers.Add()([given[1], given[0]])
        outputs[planned.position] = value
    return tf.keras.Model(image, [outputs[position] for position in heads])


@pytest.mark.parametrize(
    "network",
    [narrow(yolov3_tiny(2)), pytest.param(narrow(yolov3(2)), marks=pytest.mark.slow)],
    ids=lambda network: network.name,
)
def test_keras_loads_what_we_write_and_computes_the_same(network: DarknetNetwork, tmp_path: Path) -> None:
    from pipeline.models.engines.tensorflow_engine import TensorFlowEngine

    parameters = random_parameters(network)
    path = written(tmp_path / "a.h5", parameters, network)
    model = keras_model(network)
    model.load_weights(str(path))
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    theirs = model(images[..., ::-1].astype(np.float32) / np.float32(255), training=False)
    ours = TensorFlowEngine(network, read_weights(path, network), precision="float32").heads(images)
    for mine, other in zip(ours, theirs, strict=True):
        head: Float32Array = np.asarray(other)
        assert head.std() > 0.05
        assert np.abs(mine.reshape(head.shape) - head).max() < 1e-3


def test_what_keras_saves_is_read(tmp_path: Path) -> None:
    network = narrow(yolov3_tiny(2))
    original = random_parameters(network)
    model = keras_model(network)
    model.load_weights(str(written(tmp_path / "a.h5", original, network)))
    model.save(str(tmp_path / "whole.h5"))
    assert_same(read_weights(tmp_path / "whole.h5", network), original)


def test_an_archive_that_is_another_programs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.weights", "w") as made:
        made.writestr("word/document.xml", "<xml/>")
    assert "not one of PyTorch's" in refusal(tmp_path / "a.weights")


def test_darknet_itself_would_read_what_we_write(tmp_path: Path) -> None:
    parameters = random_parameters(NETWORK)
    ours, theirs = (
        written(tmp_path / "a.weights", parameters),
        write_darknet(tmp_path / "b.weights", parameters, seen=0),
    )
    first, second = (np.fromfile(path, "<f4", offset=20) for path in (ours, theirs))
    assert ours.read_bytes()[:20] == theirs.read_bytes()[:20]
    np.testing.assert_allclose(first, second, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_any_damage_ends_in_weights_or_one_plain_error(tmp_path: Path, name: str) -> None:
    content = written(tmp_path / name, random_parameters(NETWORK)).read_bytes()
    path = tmp_path / "damaged"
    outcomes = set()
    tracemalloc.start()
    try:
        for number in range(60):
            path.write_bytes(mutate(content, random.Random(number)))
            try:
                read = read_weights(path, NETWORK)
                assert all(np.isfinite(entry.weights).all() for entry in read)
                outcomes.add(True)
            except ModelError as error:
                assert "\n" not in str(error)
                outcomes.add(False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcomes == {True, False}
    assert peak < 2_000_000, "memory must not follow what the file claims"
