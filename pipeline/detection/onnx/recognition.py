"""Which family an ONNX network is one of, and what decides where several fit.

What a user says comes first, then what exporters write into the file, then the shapes of the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.detection.onnx.families import FAMILIES, Family
from pipeline.detection.onnx.layouts.darknet import MapDecoder
from pipeline.detection.onnx.matching import Match
from pipeline.errors import ConfigError, ModelError
from pipeline.models.networks.onnx_network import VALUE_RANGES, OnnxNetwork, OnnxOptions, Preparation
from pipeline.models.onnx.description import OnnxDescription, Value
from pipeline.models.onnx.metadata import refuse_other_tasks


@dataclass(frozen=True, slots=True)
class Recognised:
    """A network whose family is known.

    Attributes:
        name: of the family.
        family: with what the user says in place of its own.
        match: its outputs.
        preparation: of the pixels.
    """

    name: str
    family: Family
    match: Match
    preparation: Preparation


def recognise(
    described: OnnxDescription,
    outputs: Sequence[Value],
    shape: tuple[int, int],
    element: str,
    network: OnnxNetwork,
    class_count: int,
) -> Recognised:
    """The family of a network.

    Args:
        described: its file.
        outputs: for one picture of the size ``shape``.
        shape: ``(height, width)`` of the input.
        element: type of the input's numbers.
        network: what is known without the file.
        class_count: how many class names there are.

    Raises:
        ConfigError: no family of that name.
        ModelError: none or several fit, or the class names don't; the message says what was found, and which settings
            decide.
    """
    options = network.options
    refuse_other_tasks(described.path, described.metadata)
    candidates = (
        _possible(described, outputs) if options.family is None else {options.family: known_family(options.family)}
    )
    found = {name: match for name, family in candidates.items() if (match := family.match(outputs, shape)) is not None}
    told = f"its outputs for {shape[1]}x{shape[0]} are {'; '.join(map(str, outputs))}"
    if not found:
        what = f"is no {FAMILIES[options.family].title}" if options.family else "is no detector of a known family"
        raise ModelError(f"{described.path}: {what}: {told}; known as models.NAME.family are {', '.join(FAMILIES)}.")
    fitting = {
        name: match for name, match in found.items() if class_count in match.class_counts or not match.class_counts
    }
    if not fitting:
        raise ModelError(f"{described.path}: {_misfit(found, class_count, network)} ({told}).")
    if len(fitting) > 1:
        choices = " or ".join(f"{name} ({FAMILIES[name].title})" for name in fitting)
        raise ModelError(f"{described.path}: may be {choices}: {told}; say which as models.NAME.family.")
    ((name, match),) = fitting.items()
    family = _as_told(candidates[name], options)
    if name == "darknet" and options.anchors is None and len(match.order) != 3:
        raise ModelError(
            f"{described.path}: Darknet's heads ({told}), but the anchors of a network with {len(match.order)} heads "
            "are not known; give them as models.NAME.anchors, those of the coarsest head first."
        )
    return Recognised(name, family, match, _preparation(family, options, element))


def known_family(name: str) -> Family:
    """The family of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FAMILIES:
        raise ConfigError(f"family: got {name!r:.80}, expected one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def _possible(described: OnnxDescription, outputs: Sequence[Value]) -> dict[str, Family]:
    """The families that nothing but the shapes can rule out."""
    names = {value.name for value in outputs}
    written = described.metadata.get("description", "").lower().replace("-", "")
    possible = {}
    for name, family in FAMILIES.items():
        if family.exponentials is not None and family.exponentials != ("Exp" in described.operators):
            continue
        if family.names and family.names != names:
            continue
        if family.written not in written or ("ultralytics rtdetr" in written and not family.written):
            continue
        possible[name] = family
    return possible


def _misfit(found: dict[str, Match], class_count: int, network: OnnxNetwork) -> str:
    """Why none of the matches has as many classes as there are names."""
    readings = " or ".join(
        f"{' or '.join(map(str, match.class_counts))} classes as {FAMILIES[name].title}"
        for name, match in found.items()
    )
    source = "" if network.named else " (COCO's, since neither the file nor models.NAME.names has any)"
    how = "give the right ones as models.NAME.names in a configuration, see docs/models.md"
    return f"{class_count} class names{source} for {readings}; {how}"


def _as_told(family: Family, options: OnnxOptions) -> Family:
    """The family with what the user says in place of its own."""
    told = {key: value for key in ("placement", "pad", "logits", "nms") if (value := getattr(options, key)) is not None}
    if options.anchors is not None:
        told["layout"] = MapDecoder(options.anchors)
    return replace(family, **told)


def _preparation(family: Family, options: OnnxOptions, element: str) -> Preparation:
    color = options.color or family.color
    chosen = options.range or ("0-255" if element == "uint8" else family.range)
    mean, deviation = VALUE_RANGES[chosen]
    if color == "bgr":  # the ranges are in the order of RGB, what a user gives is in that of the network
        mean, deviation = (mean[2], mean[1], mean[0]), (deviation[2], deviation[1], deviation[0])
    return Preparation(color, options.mean or mean, options.deviation or deviation)
