"""RetinaNets of random weights, as files."""

from __future__ import annotations

from pathlib import Path

from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.retinanet import RetinaNet, coco_slots
from pipeline.models.registry import Model
from pipeline.models.weights.pytorch_writer import write_state_dict
from tests.oracles.retinanet_weights import state_dict


def shallow() -> RetinaNet:
    """One block in each stage of the backbone, where the published network has three to six."""
    return RetinaNet("shallow-retinanet", coco_slots(COCO_CLASS_NAMES), blocks=(1, 1, 1, 1))


def shallow_model() -> Model:
    """The same as a model, of which nobody publishes weights."""
    return Model("shallow-retinanet", shallow, COCO_CLASS_NAMES)


def write_random_weights(path: Path, network: RetinaNet) -> Path:
    """A ``.pth`` file in the published file's layout."""
    with path.open("wb") as file:
        write_state_dict(file, state_dict(network.tensor_shapes().items()))
    return path
