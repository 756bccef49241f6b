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
from pipeline.models.networks.yolov3_family import (
    imageai_3_tiny_yolov3,
    imageai_3_yolov3,
    yolov3,
    yolov3_spp,
    yolov3_tiny,
)
from pipeline.models.registry import DEFAULT_INPUT_SIZE, Model, find_model, model_names

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
    """Where a detector of one's own comes from.

    Attributes:
        weights: a file of any kind that `pipeline.models.weights.formats.read_weights` knows.
        cfg: its Darknet description, or None where ``network`` says which it is.
        network: a name of `NETWORKS`, for weights that come without a description, such as ImageAI's.
        names: class names: a text file with one a line, or the JSON that ImageAI's training writes, which holds the
            anchors too. None for COCO's 80.
    """

    weights: Path
    cfg: Path | None = None
    network: str | None = None
    names: Path | None = None


def choose_model(name: str, own: Mapping[str, ModelFiles] | None = None) -> Model:
    """The model of that name: one's own, or the catalogue's.

    Raises:
        ConfigError: there is none, or its files are not there or can't be used together.
        ModelError: its description is not supported.
    """
    own = own or {}
    for taken in own:
        if taken in model_names():
            raise ConfigError(f"models.{taken}: the catalogue has a model of that name; choose another.")
    if name not in own:
        return find_model(name, also=tuple(own))
    return custom_model(name, own[name])


def custom_model(name: str, files: ModelFiles) -> Model:
    """A detector from one's own files. The weights themselves are not read yet.

    Raises:
        ConfigError: files that are not there or can't be used together.
        ModelError: a description that is not supported.
    """
    where = f"models.{name}"
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
