"""The detector for a model, whatever kind of network it is: ``create_detector("tiny-yolov3", confidence=0.4)``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.errors import ConfigError
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.registry import DEFAULT_CONFIDENCE, Model, find_model, find_weights

if TYPE_CHECKING:
    from pipeline.detection.onnx.detector import OnnxDetector
    from pipeline.detection.retinanet.detector import RetinaNetDetector
    from pipeline.detection.yolov3.detector import YoloDetector

AnyDetector: TypeAlias = "YoloDetector | OnnxDetector | RetinaNetDetector"

# By kind of network: where its detector is, which is imported when there is such a network to run.
DETECTORS: Mapping[str, tuple[str, str]] = {
    "DarknetNetwork": ("pipeline.detection.yolov3.detector", "YoloDetector"),
    "OnnxNetwork": ("pipeline.detection.onnx.detector", "OnnxDetector"),
    "RetinaNet": ("pipeline.detection.retinanet.detector", "RetinaNetDetector"),
}

# Options that are called otherwise in the configuration, where most people set them.
_CONFIGURED = {"masks": "anchors.mask"}


def create_detector(model: str | Model, **options: Any) -> AnyDetector:
    """The detector that runs a model.

    Args:
        model: a name of the catalogue, or a `Model`.
        options: what the detector's class takes besides the model: see `YoloDetector` and `RetinaNetDetector`. One that
            is None, or is not given, is left to the class, whose defaults are those the model was published with.

    Raises:
        ConfigError: an option that this kind of model doesn't have, or can't use; a model that there is not.
        ModelError: weights that are missing, damaged, or belong to another network.
    """
    model = find_model(model) if isinstance(model, str) else model
    kind = _detector_class(model)
    given = {name: value for name, value in options.items() if value is not None}
    known = [name for name in inspect.signature(kind).parameters if name != "model"]
    for name in given:
        if name not in known:
            told = _CONFIGURED.get(name, name)
            raise ConfigError(f"{told}: {model.name} has no such option; it has {', '.join(known)}.")
    return kind(model, **given)


def default_confidence(model: Model, weights: str | Path | None = None) -> float:
    """The smallest score that a model's detections are reported from, where nothing else is asked for.

    Args:
        model: which.
        weights: a file in place of its own. It is read only if it is an ONNX network whose family nobody has named.

    Raises:
        ConfigError: no such file, or no such family.
        ModelError: a network of no family that is known.
    """
    network = model.network()
    if not isinstance(network, OnnxNetwork):
        return DEFAULT_CONFIDENCE
    from pipeline.detection.onnx.opening import family_confidence
    from pipeline.detection.onnx.recognition import known_family

    if network.options.family is not None:
        return known_family(network.options.family).confidence
    return family_confidence(find_weights(model, weights), network, len(model.class_names))


def reduced_side(model: Model, input_size: int | None = None) -> int | None:
    """The longer side, in pixels, to which sources may reduce pictures for a model's detector (see `Frame.reduced`).

    Args:
        model: which.
        input_size: what the detector is given; None for the model's own.

    Returns:
        None for a detector that wants whole pictures.
    """
    if not _detector_class(model).takes_reduced:
        return None
    return model.input_size if input_size is None else input_size


def _detector_class(model: Model) -> type[AnyDetector]:
    network = type(model.network()).__name__
    if network not in DETECTORS:
        raise ConfigError(f"{model.name}: no detector runs a network of the kind {network}.")
    module, name = DETECTORS[network]
    found: type[AnyDetector] = getattr(import_module(module), name)
    return found
