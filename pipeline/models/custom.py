"""People's own detectors: a description, weights and class names from files."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.darknet_cfg import read_cfg
from pipeline.models.networks.onnx_network import OnnxNetwork, OnnxOptions
from pipeline.models.networks.yolov3_family import (
    imageai_3_tiny_yolov3,
    imageai_3_yolov3,
    yolov3,
    yolov3_spp,
    yolov3_tiny,
)
from pipeline.models.onnx.description import describe, is_onnx
from pipeline.models.onnx.metadata import written_names, written_size
from pipeline.models.registry import DEFAULT_INPUT_SIZE, DEFAULT_MODEL, Model, find_model, model_names

logger = logging.getLogger(__name__)

_LARGEST_FILE = 1 << 20
_MOST_NAMES = 10_000
_LONGEST_NAME = 200

NETWORKS = {
    "tiny-yolov3": yolov3_tiny,
    "yolov3": yolov3,
    "yolov3-spp": yolov3_spp,
    "imageai-3-tiny-yolov3": imageai_3_tiny_yolov3,
    "imageai-3-yolov3": imageai_3_yolov3,
}
"""Networks that need no description of their own."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a detector of one's own comes from: ``onnx``, or ``weights`` with what describes their network.

    Attributes:
        weights: a file of any kind that `pipeline.models.weights.formats.read_weights` knows.
        cfg: its Darknet description, or None where ``network`` says which it is.
        network: a name of `NETWORKS`, for weights that come without a description, such as ImageAI's.
        names: class names: a text file with one a line, or the JSON that ImageAI's training writes, which holds the
            anchors too. None for those in an ONNX file, or COCO's 80.
        onnx: a network and its weights in one file.
        options: how that network reads pictures and writes boxes, as far as it is not to be recognised.
    """

    weights: Path | None = None
    cfg: Path | None = None
    network: str | None = None
    names: Path | None = None
    onnx: Path | None = None
    options: OnnxOptions | None = None


def choose_model(name: str, own: Mapping[str, ModelFiles] | None = None, weights: str | Path | None = None) -> Model:
    """The model of that name: one's own, or the catalogue's.

    Args:
        name: of the model.
        own: one's own models.
        weights: the file that is given in place of the model's. An ONNX file is a model by itself, unless it is given
            for one that is an ONNX network, too.

    Raises:
        ConfigError: there is none, or its files are not there or can't be used together.
        ModelError: its description is not supported.
    """
    own = own or {}
    for taken in own:
        if taken in model_names():
            raise ConfigError(f"models.{taken}: the catalogue has a model of that name; choose another.")
    if weights is not None and is_onnx(Path(weights)) and name == DEFAULT_MODEL:
        return onnx_model(Path(weights).stem, Path(weights))
    model = custom_model(name, own[name]) if name in own else find_model(name, also=tuple(own))
    if weights is not None and is_onnx(Path(weights)) and not isinstance(model.network(), OnnxNetwork):
        raise ConfigError(
            f"{weights}: an ONNX file holds a network of its own, which is not that of {name}; leave the model's name "
            "out, or describe the file as models.NAME.onnx."
        )
    return model


def custom_model(name: str, files: ModelFiles) -> Model:
    """A detector from one's own files. The weights themselves are not read yet.

    Raises:
        ConfigError: files that are not there or can't be used together.
        ModelError: a description that is not supported.
    """
    where = f"models.{name}"
    if (files.onnx is None) == (files.weights is None):
        raise ConfigError(f"{where}: give onnx, an ONNX file, or weights with what describes their network.")
    if files.onnx is not None:
        if files.cfg is not None or files.network is not None:
            raise ConfigError(f"{where}: an ONNX file holds its network; leave cfg and network out.")
        return onnx_model(name, files.onnx, files.options, files.names)
    if files.options is not None:
        raise ConfigError(f"{where}: family, color and the like are for ONNX files; this one has weights.")
    if (files.cfg is None) == (files.network is None):
        raise ConfigError(
            f"{where}: give cfg, the detector's Darknet description, or network, one of {', '.join(NETWORKS)}."
        )
    labels = _read_labels(files.names, where) if files.names is not None else None
    class_names = labels.names if labels is not None else COCO_CLASS_NAMES
    input_size = None
    if files.cfg is not None:
        described = read_cfg(files.cfg, name)
        network, input_size = described.network, described.input_size
    else:
        network = _known_network(files.network or "", len(class_names), labels, where)
    if len(class_names) != network.class_count:
        given = files.names or "COCO's names, which are taken where models.NAME.names gives none"
        raise ConfigError(
            f"{where}: {len(class_names)} class names ({given}) for a network with {network.class_count} classes."
        )
    network = replace(network, name=name)
    return Model(name, lambda: network, class_names, weights=files.weights, input_size=input_size or DEFAULT_INPUT_SIZE)


def onnx_model(name: str, path: Path, options: OnnxOptions | None = None, names: Path | None = None) -> Model:
    """A detector from an ONNX file. Of the file only what it says of itself is read.

    Args:
        name: what to call it.
        path: the file.
        options: what is not to be recognised.
        names: a file of class names; None for those in the file, or COCO's.

    Raises:
        ConfigError: no such file, or names that can't be used.
        ModelError: a file that is damaged or refused.
    """
    path = path.expanduser()
    described = describe(path)
    class_names = (
        _read_labels(names, f"models.{name}").names if names is not None else written_names(path, described.metadata)
    )
    network = OnnxNetwork(name, options or OnnxOptions(), named=class_names is not None)
    sides = [side for value in described.inputs if len(value.shape or ()) == 4 for side in (value.shape or ()) if side]
    return Model(
        name,
        lambda: network,
        class_names or COCO_CLASS_NAMES,
        weights=path,
        input_size=max(sides + list(written_size(described.metadata) or ()), default=DEFAULT_INPUT_SIZE),
    )


@dataclass(frozen=True, slots=True)
class _Labels:
    names: tuple[str, ...]
    anchors: tuple[tuple[float, float], ...] | None = None


def _known_network(kind: str, class_count: int, labels: _Labels | None, where: str) -> DarknetNetwork:
    if kind not in NETWORKS:
        raise ConfigError(f"{where}.network: got {kind!r:.80}, expected one of {', '.join(NETWORKS)}.")
    # Whoever trains YOLOv3-tiny without a description of its own does so with the masks of the one in circulation.
    network = (
        yolov3_tiny(class_count, masks=((3, 4, 5), (0, 1, 2))) if kind == "tiny-yolov3" else NETWORKS[kind](class_count)
    )
    if labels is None or labels.anchors is None:
        return network
    if len(labels.anchors) != len(network.anchors):
        raise ConfigError(f"{where}.names: holds {len(labels.anchors)} anchors; {kind} has {len(network.anchors)}.")
    return replace(network, anchors=labels.anchors)


def _read_labels(path: Path, where: str) -> _Labels:
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{where}.names: {path}: can't be read: {error.strerror or error}.") from error
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{where}.names: {path}: is larger than {_LARGEST_FILE:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}.names: {path}: is not UTF-8 text (byte {error.start}).") from error
    labels = _from_json(text, path, where) if text.lstrip().startswith(("{", "[")) else _from_lines(text)
    _check_names(labels.names, f"{where}.names: {path}")
    return labels


def _from_lines(text: str) -> _Labels:
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return _Labels(tuple(lines))


def _from_json(text: str, path: Path, where: str) -> _Labels:
    """A list of names, or ImageAI's ``{"labels": [...], "anchors": [...]}``."""
    expected = f'{where}.names: {path}: expected a list of names, or ImageAI\'s {{"labels": [...], "anchors": [...]}}'
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{expected}; it is no JSON.") from error
    labels = data.get("labels") if isinstance(data, dict) else data
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"{expected}.")
    anchors = data.get("anchors") if isinstance(data, dict) else None
    return _Labels(tuple(labels), None if anchors is None else _anchors(anchors, expected))


def _anchors(given: Any, expected: str) -> tuple[tuple[float, float], ...]:
    """ImageAI 3 writes one row of sides, ImageAI 2 one for each head with the coarsest first."""
    rows = given[::-1] if isinstance(given, list) and all(isinstance(row, list) for row in given) else [given]
    sides = [side for row in rows if isinstance(row, list) for side in row]
    numbers = [side for side in sides if isinstance(side, int | float) and 0 < side < 1e6]
    if not numbers or len(numbers) != len(sides) or len(numbers) % 2:
        raise ConfigError(f"{expected}, the anchors widths and heights above 0.")
    return tuple(zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True))


def _check_names(names: Sequence[str], where: str) -> None:
    if not 0 < len(names) <= _MOST_NAMES:
        raise ConfigError(f"{where}: holds {len(names)} names, expected 1 to {_MOST_NAMES:,}, one a line.")
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ConfigError(
                f"{where}: name {number} is {name!r:.80}, expected up to {_LONGEST_NAME} plain characters."
            )
        if name in seen:
            raise ConfigError(f"{where}: name {number} is {name!r}, which is name {seen[name]} already.")
        seen[name] = number
