"""Darknet's ``.cfg`` files, read into a `DarknetNetwork`: the description that comes with people's own detectors.

A file is a row of sections, ``[type]`` and ``key=value`` lines. ``[net]`` is about the input and about training; each
other section is a layer. What a detector computes must be known to the last option, so a type of layer, an option or a
value that is not known here is an error that names its line; options that only training uses are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import ConfigError, ModelError
from pipeline.models.networks.darknet import (
    INPUT_CHANNELS,
    NETWORK_STRIDE,
    Convolution,
    DarknetNetwork,
    Layer,
    MaxPool,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)

LARGEST_FILE = 1 << 20
MOST_LAYERS = 2000
MOST_CLASSES = 10_000
MOST_ANCHORS = 100
LARGEST_INPUT = 2048
_MOST_FILTERS = 65_536
_LARGEST_SIDE = 99  # of a kernel or a pool
_LARGEST_STRIDE = 32
_FARTHEST = 10 * MOST_LAYERS

_INTEGER = re.compile(r"[-+]?[0-9]{1,9}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")

# What changes nothing in what a trained network computes.
_TRAINING = {
    "convolutional": {"stopbackward", "learning_rate", "lr"},
    "yolo": {
        *("jitter", "ignore_thresh", "truth_thresh", "random", "thresh", "nms_thresh", "resize", "max", "map"),
        *("iou_thresh", "iou_loss", "iou_normalizer", "cls_normalizer", "obj_normalizer", "delta_normalizer"),
        *(
            "iou_thresh_kind",
            "nms_kind",
            "beta_nms",
            "max_delta",
            "counters_per_class",
            "label_smooth_eps",
            "focal_loss",
        ),
    },
}


@dataclass(frozen=True, slots=True)
class CfgNetwork:
    """What a ``.cfg`` file says.

    Attributes:
        network: the layers, anchors, masks and classes.
        input_size: the longer side of the input it was written for, or None where that is no size we can use.
    """

    network: DarknetNetwork
    input_size: int | None


class _Section:
    """One section: its type, its line, and its options with theirs. Options are taken out as they are used."""

    def __init__(self, path: Path, kind: str, line: int) -> None:
        self.kind = kind
        self.line = line
        self._path = path
        self._options: dict[str, tuple[str, int]] = {}

    def add(self, key: str, value: str, line: int) -> None:
        if key in self._options:
            raise self.error(f"{key} is given twice, first in line {self._options[key][1]}; keep one of them", line)
        self._options[key] = (value, line)

    def error(self, message: str, line: int | None = None) -> ModelError:
        return ModelError(f"{self._path}:{line or self.line}: [{self.kind}]: {message}.")

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        text, line = self._options.pop(key, (str(default), self.line))
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise self.error(f"{key} is {text!r:.40}, expected a whole number from {low:,} to {high:,}", line)
        return int(text)

    def fixed(self, key: str, default: str, *allowed: str) -> str:
        text, line = self._options.pop(key, (default, self.line))
        if text not in allowed:
            raise self.error(f"{key} is {text!r:.40}; of it only {' and '.join(allowed)} is supported", line)
        return text

    def integers(self, key: str, most: int, low: int, high: int) -> tuple[int, ...]:
        values, line = self._list(key, _INTEGER, "whole numbers", most)
        if not all(low <= int(value) <= high for value in values):
            raise self.error(f"{key}: expected whole numbers from {low:,} to {high:,}", line)
        return tuple(map(int, values))

    def numbers(self, key: str, most: int) -> tuple[float, ...]:
        values, line = self._list(key, _NUMBER, "numbers", most)
        if not all(float(value) > 0 for value in values):
            raise self.error(f"{key}: expected numbers above 0", line)
        return tuple(map(float, values))

    def has(self, key: str) -> bool:
        return key in self._options

    def finish(self) -> None:
        """Refuse what is left: it was not understood."""
        for key in _TRAINING.get(self.kind, ()):
            self._options.pop(key, None)
        for key, (_, line) in self._options.items():
            raise self.error(f"the option {key:.40} is not supported", line)

    def _list(self, key: str, item: re.Pattern[str], words: str, most: int) -> tuple[list[str], int]:
        if key not in self._options:
            raise self.error(f"has no {key}")
        text, line = self._options.pop(key)
        values = text.rstrip(",").split(",")
        if len(values) > most or not all(item.fullmatch(value) for value in values):
            raise self.error(f"{key} is {text!r:.60}, expected at most {most} {words} with commas between", line)
        return values, line


def read_cfg(path: str | Path, name: str | None = None) -> CfgNetwork:
    """The network that a ``.cfg`` file describes.

    Args:
        path: the file; it is not trusted.
        name: what the network is called in messages; by default the file's stem.

    Raises:
        ConfigError: there is no such file.
        ModelError: it can't be read, or describes what is not supported: which, and in what line.
    """
    path = Path(path).expanduser()
    sections = _sections(_text(path), path)
    net, layers = sections[0], sections[1:]
    if net.kind not in ("net", "network"):
        raise net.error("expected [net] as the first section; this is no Darknet configuration")
    net.fixed("channels", str(INPUT_CHANNELS), str(INPUT_CHANNELS))
    sides = [net.integer(side, 416, 1, 1 << 20) for side in ("width", "height")]
    if not layers:
        raise net.error("no layers follow")
    if len(layers) > MOST_LAYERS:
        raise layers[MOST_LAYERS].error(f"more than {MOST_LAYERS:,} layers")
    network = _network(name or path.stem, layers)
    usable = max(sides) % NETWORK_STRIDE == 0 and max(sides) <= LARGEST_INPUT
    return CfgNetwork(network, max(sides) if usable else None)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; check the path given as cfg.") from error
    except OSError as error:
        raise ModelError(f"{path}: can't read the network's description: {error.strerror or error}.") from error
    if len(content) > LARGEST_FILE or b"\0" in content:
        raise ModelError(f"{path}: is no Darknet .cfg: it is larger than {LARGEST_FILE:,} bytes, or not text.")
    return content.decode("utf-8-sig", "replace")


def _sections(text: str, path: Path) -> list[_Section]:
    sections: list[_Section] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = "".join(raw.split())  # as Darknet does: blanks mean nothing anywhere
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            kind = line[1:].partition("]")[0]
            sections.append(_Section(path, kind if kind.isprintable() else "?", number))
            continue
        key, equals, value = line.partition("=")
        value = re.split("[#;]", value, maxsplit=1)[0]
        if not sections or not equals or not key.isprintable():
            raise ModelError(f"{path}:{number}: expected [type] or key=value; this is no Darknet .cfg.")
        sections[-1].add(key, value, number)
    if not sections:
        raise ModelError(f"{path}: is empty; expected a Darknet .cfg.")
    return sections


def _network(name: str, sections: list[_Section]) -> DarknetNetwork:
    layers: list[Layer] = []
    anchors: tuple[tuple[float, float], ...] | None = None
    classes: int | None = None
    for section in sections:
        if section.kind == "yolo":
            layer, own_anchors, own_classes = _yolo(section)
            if (anchors, classes) not in ((None, None), (own_anchors, own_classes)):
                raise section.error("has other anchors or classes than the [yolo] before it, which is not supported")
            anchors, classes = own_anchors, own_classes
            layers.append(layer)
        else:
            make = _LAYERS.get(section.kind)
            if make is None:
                known = ", ".join([*_LAYERS, "yolo"])
                raise section.error(f"this type of layer is not supported; supported are {known}")
            layers.append(make(section))
        section.finish()
    if anchors is None or classes is None:
        raise sections[-1].error("no [yolo] layer follows; only detectors of the YOLOv3 family are supported")
    network = DarknetNetwork(name, tuple(layers), anchors, classes)
    _check(network, sections)
    return network


def _convolution(section: _Section) -> Layer:
    normalize = section.fixed("batch_normalize", "0", "0", "1") == "1"
    filters = section.integer("filters", 1, 1, _MOST_FILTERS)
    size = section.integer("size", 1, 1, _LARGEST_SIDE)
    if size % 2 == 0:
        raise section.error(f"a kernel of even size {size} is not supported")
    stride = section.integer("stride", 1, 1, _LARGEST_STRIDE)
    section.fixed("groups", "1", "1")
    section.fixed("dilation", "1", "1")
    if section.fixed("pad", "0", "0", "1") == "1":
        section.integer("padding", 0, 0, _LARGEST_SIDE)  # pad=1 stands for half the size, whatever this says
    else:
        section.fixed("padding", "0", str(size // 2))
    leaky = section.fixed("activation", "logistic", "leaky", "linear") == "leaky"
    return Convolution(filters, size, stride, batch_normalize=normalize, leaky=leaky)


def _max_pool(section: _Section) -> Layer:
    stride = section.integer("stride", 1, 1, _LARGEST_STRIDE)
    size = section.integer("size", stride, 1, _LARGEST_SIDE)
    section.fixed("padding", str(size - 1), str(size - 1))
    if stride > size:
        raise section.error(f"a stride of {stride} with a size of {size} is not supported")
    return MaxPool(size, stride)


def _upsample(section: _Section) -> Layer:
    stride = section.integer("stride", 2, 1, _LARGEST_STRIDE)
    section.fixed("scale", "1", "1", "1.0")
    return Upsample(stride)


def _route(section: _Section) -> Layer:
    layers = section.integers("layers", 32, -_FARTHEST, _FARTHEST)
    section.fixed("groups", "1", "1")
    section.integer("group_id", 0, 0, 0)
    return Route(layers)


def _shortcut(section: _Section) -> Layer:
    section.fixed("activation", "linear", "linear")
    section.fixed("weights_type", "none", "none")
    if not section.has("from"):
        raise section.error("has no from")
    return Shortcut(section.integer("from", 0, -_FARTHEST, _FARTHEST))


_LAYERS: Mapping[str, Callable[[_Section], Layer]] = {
    "convolutional": _convolution,
    "maxpool": _max_pool,
    "upsample": _upsample,
    "route": _route,
    "shortcut": _shortcut,
}


def _yolo(section: _Section) -> tuple[Yolo, tuple[tuple[float, float], ...], int]:
    classes = section.integer("classes", 20, 1, MOST_CLASSES)
    count = section.integer("num", 1, 1, MOST_ANCHORS)
    sides = section.numbers("anchors", 2 * MOST_ANCHORS)
    if len(sides) != 2 * count:
        raise section.error(f"num is {count}, but anchors has {len(sides)} numbers; expected two for each")
    anchors = tuple(zip(sides[::2], sides[1::2], strict=True))
    mask = section.integers("mask", MOST_ANCHORS, 0, count - 1) if section.has("mask") else tuple(range(count))
    section.fixed("scale_x_y", "1", "1", "1.0")
    section.fixed("new_coords", "0", "0")
    return Yolo(mask), anchors, classes


def _check(network: DarknetNetwork, sections: list[_Section]) -> None:
    """Refuse what doesn't fit together, with the line at which it first doesn't."""
    fits, fails = 0, len(network.layers)
    try:
        network.plan()
    except ModelError:
        while fails - fits > 1:  # the first so many layers fit
            middle = (fits + fails) // 2
            try:
                replace(network, layers=network.layers[:middle]).plan()
                fits = middle
            except ModelError:
                fails = middle
        try:
            replace(network, layers=network.layers[:fails]).plan()
        except ModelError as error:
            raise sections[fails - 1].error(str(error).partition("): ")[2].rstrip(".")) from error
    if not isinstance(network.layers[0], Convolution):
        raise sections[0].error("the first layer is not a convolution, which is not supported")
    for planned in network.plan():
        section = sections[planned.position]
        if NETWORK_STRIDE % planned.stride:
            raise section.error(
                f"shrinks the input {planned.stride} times; supported are 1, 2, 4, ... {NETWORK_STRIDE}"
            )
        if isinstance(planned.layer, Yolo):
            before = network.layers[planned.position - 1]
            if not isinstance(before, Convolution) or before.leaky or before.batch_normalize:
                raise section.error("follows a layer that is no convolution with a bias and a linear activation")
