"""Classifier beside Keras itself, weights of one's own, names, and what can go wrong."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from pipeline.classification.classifier import Classification, Classifier
from pipeline.classification.image_files import ClassifiedImage, classify_images
from pipeline.classification.keras_weights import class_count
from pipeline.classification.registry import find_classifier, find_classifier_weights
from pipeline.errors import ConfigError, ModelError, SourceError
from pipeline.images.batches import BrokenPicture
from pipeline.models.class_names import imagenet_names, read_names
from pipeline.types import Image
from tests.support.http_server import serve_http
from tests.support.images import blocks

# Keras's own code asks NumPy for what NumPy 2 has a new way to ask for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = tuple(f"kind {number}" for number in range(6))


def keras_network(name: str, classes: int = len(NAMES)) -> Any:
    """A network of Keras with random weights that tell pictures apart."""
    from pipeline.models.engines.quiet_tensorflow import tf

    model = find_classifier(name)
    tf.keras.utils.set_random_seed(7)
    module = getattr(tf.keras.applications, model.module)
    network = getattr(module, model.function)(weights=None, classes=classes)
    batch = np.stack([blocks(model.size, model.size, seed)[..., ::-1] for seed in range(4)]).astype(np.float32)
    batch = module.preprocess_input(batch)
    # Statistics of real pictures in the batch norms, without which they let nothing of a picture through.
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = 0.0
    network(batch, training=True)
    # Outputs that differ from picture to picture, and are not all 0 or 1.
    last = network.layers[-1]
    kernel = np.random.default_rng(7).normal(0, 1e-3, last.kernel.shape)
    last.set_weights([kernel, np.zeros(classes)])
    logits = np.log(np.asarray(network(batch, training=False), np.float64))
    logits -= logits.mean(axis=1, keepdims=True)
    gain = 1.5 / logits.std(axis=0).mean()
    last.set_weights([kernel * gain, -logits.mean(axis=0) * gain])
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def mobilenet(folder: Path) -> Any:
    """MobileNetV2 as Keras has it, saved as Keras 2 and as Keras 3 save."""
    network = keras_network("mobilenetv2")
    network.save(folder / "mobilenet.h5")
    network.save_weights(folder / "mobilenet.weights.h5")
    return network


@pytest.fixture(scope="module")
def classifier(mobilenet: Any, folder: Path) -> Classifier:
    return Classifier("MobileNet-V2", weights=folder / "mobilenet.h5", names=NAMES, batch_size=2)


@pytest.fixture(scope="module")
def pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        PIL.Image.fromarray(blocks(224 + 60 * number, 224 + 30 * number, number)[..., ::-1]).save(path)
    return paths


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_keras(network: Any, name: str, path: Path) -> Any:
    """What Keras's own loading, preprocessing and prediction give."""
    from pipeline.models.engines.quiet_tensorflow import tf

    model = find_classifier(name)
    loaded = tf.keras.utils.load_img(path, target_size=(model.size, model.size), interpolation="box")
    array = tf.keras.utils.img_to_array(loaded)[None]
    prepared = getattr(tf.keras.applications, model.module).preprocess_input(array)
    return network.predict(prepared, verbose=0)[0]


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50", "inceptionv3", "densenet121")]


@pytest.mark.parametrize("name", ["mobilenetv2", *OTHERS])
def test_it_gives_what_keras_gives(name: str, folder: Path, request: pytest.FixtureRequest) -> None:
    network = request.getfixturevalue("mobilenet") if name == "mobilenetv2" else keras_network(name)
    weights = folder / f"{name}.any-name"
    network.save(folder / f"{name}.h5")
    (folder / f"{name}.h5").rename(weights)
    classifier = Classifier(name, weights=weights, names=NAMES)
    size = find_classifier(name).size
    answers = []
    for seed in range(3):
        path = folder / f"{name}-{seed}.png"
        PIL.Image.fromarray(blocks(size, size, seed)[..., ::-1]).save(path)
        expected = by_keras(network, name, path)
        np.testing.assert_allclose(classifier.probabilities([path])[0], expected, atol=2e-5)
        # Red for blue makes a difference, so that the channels' order is tested.
        other = classifier.probabilities([blocks(size, size, seed)[..., ::-1].copy()])[0]
        assert np.abs(other - expected).max() > 1e-3
        answers.append(expected)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    assert max(map(max, answers)) > 0.3


def test_larger_pictures_are_averaged(mobilenet: Any, classifier: Classifier, folder: Path) -> None:
    large = PIL.Image.fromarray(noise(448, 448))
    large.reduce(2).save(folder / "reduced.png")
    found = classifier.probabilities([np.asarray(large)[..., ::-1]])[0]
    np.testing.assert_allclose(found, by_keras(mobilenet, "mobilenetv2", folder / "reduced.png"), atol=1e-3)
    every_second = classifier.probabilities([np.asarray(large)[::2, ::2, ::-1]])[0]
    assert np.abs(every_second - found).max() > 1e-3


def test_both_formats_of_keras_and_all_ways_to_ask(classifier: Classifier, folder: Path, pictures: list[Path]) -> None:
    old = classifier
    new = Classifier(weights=folder / "mobilenet.weights.h5", names=NAMES)
    assert (old.model, old.class_names, old.batch_size) == ("mobilenetv2", NAMES, 2)
    probabilities = old.probabilities(pictures)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(new.probabilities(pictures), probabilities, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    several = old.classify(pictures, top=3)
    for row, answers in zip(probabilities, several, strict=True):
        best = [number for _, number in sorted(zip(-row, range(len(NAMES)), strict=True))][:3]
        assert [answer.name for answer in answers] == [NAMES[number] for number in best]
        np.testing.assert_allclose([answer.probability for answer in answers], row[best], atol=1e-6)
    one = old.classify(pictures[0].read_bytes(), top=99)
    assert isinstance(one[0], Classification)
    assert len(one) == len(NAMES)
    assert old.classify([]) == []
    with pytest.raises(ValueError, match="top: expected at least 1"):
        old.classify(pictures, top=0)
    with pytest.raises(SourceError, match="picture 1: is no image"):
        old.classify([pictures[0], b"no"])


def test_files_one_after_another(classifier: Classifier, pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no")
    files = [*pictures[:2], tmp_path / "broken.png", *pictures[2:]]
    found = list(classify_images(classifier, files, top=2))
    assert [result.index for result in found if isinstance(result, ClassifiedImage)] == [0, 1, 3, 4, 5]
    assert [result.path.name for result in found if isinstance(result, BrokenPicture)] == ["broken.png"]
    alone = classifier.classify(pictures[4], top=2)
    last = found[-1]
    assert isinstance(last, ClassifiedImage)
    assert [answer.name for answer in last.classes] == [answer.name for answer in alone]
    assert (last.width, last.height) == (344, 464)


def test_the_names_are_keras_own() -> None:
    """Keras states the MD5 of its file of names; put together again from ours it must have it."""
    lines = Path(__file__).parents[3] / "pipeline" / "models" / "imagenet_classes.txt"
    entries = [line.split(" ", 1) for line in lines.read_text().splitlines()]
    index = {str(number): [word, name.replace(" ", "_")] for number, (word, name) in enumerate(entries)}
    assert hashlib.md5(json.dumps(index).encode()).hexdigest() == "c2c37ea517e94d9795004a39431a14cb"
    assert imagenet_names() == tuple(name for _, name in entries)
    assert (imagenet_names()[2], len(imagenet_names())) == ("great white shark", 1000)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\n\n  big dog \n", ("cat", "big dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ('{"0": ["n01", "cat"], "1": ["n02", "dog"]}', ("cat", "dog")),
    ],
)
def test_names_from_a_file(text: str, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names").write_text(text)
    assert read_names(tmp_path / "names") == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no class names"),
        ("[]", "holds no class names"),
        ("[1, 2]", "expected names that are text"),
        ('{"0": "cat", "2": "dog"}', "expected JSON such as"),
        ('["cat"', "expected JSON such as"),
        ("[[]]", "expected JSON such as"),
        ("x" * 1_000_001, "too large"),
    ],
)
def test_names_that_are_none(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "names").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_names(tmp_path / "names")
    with pytest.raises(ConfigError, match="can't be read"):
        read_names(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "resnet5"}, ConfigError, "no classifier called 'resnet5'; did you mean resnet50"),
        ({"model": "yolo"}, ConfigError, "known are mobilenetv2, resnet50, inceptionv3, densenet121"),
        ({"weights": "nothing.h5"}, ConfigError, "the weights of mobilenetv2 are not there"),
        ({"names": None}, ConfigError, r"tells 6 classes apart, which are not ImageNet's; give their names"),
        ({"names": ("a", "b")}, ConfigError, r"names: got 2 for the 6 classes"),
        ({"batch_size": 0}, ConfigError, "batch_size: got 0"),
        ({"model": "resnet50"}, ModelError, "the weights don't fit resnet50 .*Layer count mismatch"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], words: str, mobilenet: Any, folder: Path) -> None:
    given = {"weights": folder / "mobilenet.h5", "names": NAMES, **options}
    with pytest.raises(error, match=words):
        Classifier(**given)


def test_published_weights_are_downloaded_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, served = tmp_path / "cache", tmp_path / "served"
    cache.mkdir()
    served.mkdir()
    monkeypatch.setenv("SIGHTLINE_CACHE", str(cache))
    published = b"as Keras published it"
    for name in ("right.h5", "wrong.h5"):
        (served / name).write_bytes(published)
    with serve_http(served) as address:
        right = replace(find_classifier("resnet50"), url=f"{address}/right.h5", md5=hashlib.md5(published).hexdigest())
        (cache / "right.h5").write_text("what somebody else put there")
        assert find_classifier_weights(right).read_bytes() == published
        with pytest.raises(ModelError, match=r"wrong\.h5 \(what came is not the published file\)"):
            find_classifier_weights(replace(right, url=f"{address}/wrong.h5", md5="0" * 32))
    assert find_classifier_weights(right) == cache / "right.h5", "without the server"
    assert [file.name for file in cache.iterdir()] == ["right.h5"]


def test_no_network_tells_the_manual_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = replace(find_classifier("resnet50"), url=f"http://127.0.0.1:{port}/weights.h5")
    with pytest.raises(ModelError) as raised:
        find_classifier_weights(model)
    text = str(raised.value)
    assert "resnet50: can't download weights.h5 (127.0.0.1" in text
    assert "refused" in text
    assert f"put it at {tmp_path / 'weights.h5'}, or pass weights of your own" in text
    assert list(tmp_path.iterdir()) == []


def _hdf5(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            change(file)

    return write


def _compressed(file: Any) -> None:
    file.create_dataset("a", shape=(10_000, 10_000), dtype="f4", chunks=(1000, 1000), compression="gzip", fillvalue=1)


def _linked(file: Any) -> None:
    import h5py

    file["a"] = h5py.ExternalLink("/etc/passwd", "/")


def _headless(file: Any) -> None:
    file.create_dataset("conv/kernel", data=np.zeros((3, 3, 3, 8), np.float32))


def _circle(file: Any) -> None:
    group = file.create_group("a")
    group["a"] = group


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(b"no HDF5"), "can't be read as HDF5"),
        (_hdf5(_compressed), "not a plain array inside the file"),
        (_hdf5(_linked), "is a link to another place or file"),
        (_hdf5(_headless), "holds 0 fully connected layers"),
        (_hdf5(_circle), "nests them too deep"),
    ],
)
def test_files_that_are_not_trusted(write: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    write(tmp_path / "weights.h5")
    with pytest.raises(ModelError, match=words):
        class_count(tmp_path / "weights.h5")


@pytest.mark.slow
def test_weights_that_compute_what_is_not_a_number(mobilenet: Any, tmp_path: Path) -> None:
    kernel, bias = mobilenet.layers[-1].get_weights()
    mobilenet.layers[-1].set_weights([kernel * np.nan, bias])
    mobilenet.save(tmp_path / "wild.h5")
    mobilenet.layers[-1].set_weights([kernel, bias])
    with pytest.raises(ModelError, match=r"wild\.h5: with these weights the network computes what is not"):
        Classifier(weights=tmp_path / "wild.h5", names=NAMES).classify(blocks(60, 60))


def test_names_saved_on_windows(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n")
    assert read_names(tmp_path / "names.txt") == ("cat", "dog")
