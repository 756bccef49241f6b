"""RetinaNet's weights: what is taken, under which names, and what is refused and why."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.networks.retinanet import RetinaNet, coco_slots
from pipeline.models.weights.pytorch_retinanet import parameters_of, read_retinanet_weights
from pipeline.models.weights.pytorch_writer import write_state_dict
from pipeline.types import Float32Array
from tests.oracles.retinanet_weights import state_dict
from tests.support.retinanet_files import shallow, write_random_weights

State = dict[str, Float32Array]

LOGITS = "head.classification_head.cls_logits"
VARIANCE = "backbone.body.layer2.0.bn2.running_var"


@pytest.fixture(scope="module")
def random_state() -> State:
    return state_dict(shallow().tensor_shapes().items())


@pytest.fixture
def state(random_state: State) -> State:
    return dict(random_state)


def refusal(state: State, network: RetinaNet | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        parameters_of(state, network or shallow(), "some.pth")
    message = str(caught.value)
    assert message.startswith("some.pth: ")
    assert "\n" not in message
    return message


def test_every_number_comes_from_its_place(state: State) -> None:
    parameters = parameters_of(state, shallow(), "some.pth")
    assert set(parameters) == {layer.name for layer in shallow().layers()}
    stem = parameters["backbone.body.conv1"]
    np.testing.assert_array_equal(stem.weights, state["backbone.body.conv1.weight"])
    assert stem.batch_norm is not None
    np.testing.assert_array_equal(stem.batch_norm.mean, state["backbone.body.bn1.running_mean"])
    np.testing.assert_array_equal(stem.batch_norm.shift, state["backbone.body.bn1.bias"])
    np.testing.assert_allclose(stem.batch_norm.deviation**2, state["backbone.body.bn1.running_var"], rtol=1e-6)
    np.testing.assert_array_equal(parameters[LOGITS].folded()[1], state[f"{LOGITS}.bias"])


def test_epsilon_is_added_to_the_variance(state: State) -> None:
    network = RetinaNet("own", coco_slots(COCO_CLASS_NAMES), blocks=(1, 1, 1, 1), batch_norm_epsilon=1e-5)
    stem = parameters_of(state, network, "some.pth")["backbone.body.conv1"]
    assert stem.batch_norm is not None
    variance = state["backbone.body.bn1.running_var"]
    np.testing.assert_allclose(stem.batch_norm.deviation**2, variance.astype(np.float64) + 1e-5, rtol=1e-6)


def current_name(name: str) -> str:
    """As torchvision has written them since 0.14."""
    name = re.sub(r"(blocks\.\d)\.(weight|bias)$", r"\1.0.\2", name)
    return re.sub(r"\.conv\.(\d)\.", lambda match: f".conv.{int(match[1]) // 2}.0.", name)


def test_both_generations_of_names_are_read(state: State) -> None:
    renamed = {current_name(name): values for name, values in state.items()}
    assert len(set(renamed) - set(state)) == 2 * (6 + 8)
    renamed["backbone.body.bn1.num_batches_tracked"] = np.array(7)
    old, new = parameters_of(state, shallow(), "old.pth"), parameters_of(renamed, shallow(), "new.pth")
    for name, parameters in old.items():
        for first, second in zip(parameters.folded(), new[name].folded(), strict=True):
            np.testing.assert_array_equal(first, second)


def test_a_tensor_that_is_missing(state: State) -> None:
    del state[VARIANCE]
    total = len(shallow().tensor_shapes())
    assert f"found {total - 1} of the {total} tensors of shallow-retinanet; it lacks {VARIANCE}:" in refusal(state)


def test_a_tensor_too_many(state: State) -> None:
    state["head.mask.weight"] = np.zeros(3, dtype=np.float32)
    assert "it also holds head.mask.weight: it belongs to another network" in refusal(state)


def test_another_depth(state: State) -> None:
    message = refusal(state, RetinaNet("retinanet", coco_slots(COCO_CLASS_NAMES)))
    assert "of the 301 tensors of retinanet; it lacks backbone.body.layer1.1.conv1.weight, " in message
    assert " and 177 more" in message


def test_another_number_of_classes(state: State) -> None:
    slots = (None, "cat", "dog")
    message = refusal(state, RetinaNet("pets", slots, blocks=(1, 1, 1, 1)))
    assert f"{LOGITS}.weight is (819, 256, 3, 3); pets needs (27, 256, 3, 3), for 3 classes, the background" in message


def test_another_shape_inside(state: State) -> None:
    state["backbone.fpn.inner_blocks.1.weight"] = np.zeros((256, 512, 1, 1), dtype=np.float32)
    message = refusal(state)
    assert "inner_blocks.1.weight is (256, 512, 1, 1); shallow-retinanet needs (256, 1024, 1, 1)." in message


def test_numbers_of_another_kind(state: State) -> None:
    state[VARIANCE] = np.ones(128, dtype=np.int64)
    assert f"{VARIANCE} holds int64; expected floating-point numbers" in refusal(state)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number(state: State, value: float) -> None:
    state[f"{LOGITS}.weight"] = state[f"{LOGITS}.weight"].copy()
    state[f"{LOGITS}.weight"][5, 5, 1, 1] = value
    assert f"{LOGITS}.weight holds what is not a finite number: the file is damaged" in refusal(state)


@pytest.mark.parametrize(
    ("epsilon", "value", "words"),
    [(0.0, 0.0, "that is not above 0"), (0.0, -1.0, "that is not above 0"), (1e-5, -1e-6, "below 0")],
)
def test_variances_that_can_not_be(state: State, epsilon: float, value: float, words: str) -> None:
    network = RetinaNet("own", coco_slots(COCO_CLASS_NAMES), blocks=(1, 1, 1, 1), batch_norm_epsilon=epsilon)
    state[VARIANCE] = np.full(128, value, dtype=np.float32)
    assert f"{VARIANCE} holds a variance of {value:g}, expected none {words}" in refusal(state, network)


def test_no_variance_is_one_where_something_is_added_to_it(state: State) -> None:
    network = RetinaNet("own", coco_slots(COCO_CLASS_NAMES), blocks=(1, 1, 1, 1), batch_norm_epsilon=1e-5)
    state[VARIANCE] = np.zeros(128, dtype=np.float32)
    norm = parameters_of(state, network, "some.pth")["backbone.body.layer2.0.conv2"].batch_norm
    assert norm is not None
    np.testing.assert_allclose(norm.deviation, np.sqrt(1e-5), rtol=1e-6)


def test_files_of_other_networks(tmp_path: Path, tiny_weights: Path) -> None:
    with pytest.raises(ModelError, match=r"is no PyTorch file; the weights of shallow-retinanet are a state dict"):
        read_retinanet_weights(tiny_weights, shallow())
    keras = tmp_path / "resnet50_coco_best_v2.1.0.h5"
    with h5py.File(keras, "w") as content:
        content["model_weights"] = np.zeros(3)
    with pytest.raises(ModelError, match=r"is a Keras file, as ImageAI 2 has them; the weights of shallow-retinanet"):
        read_retinanet_weights(keras, shallow())
    path = tmp_path / "yolo.pt"
    with path.open("wb") as file:
        write_state_dict(file, {"model.0.conv.weight": np.zeros((16, 3, 3, 3), dtype=np.float32)})
    with pytest.raises(ModelError, match="found 0 of the 121 tensors of shallow-retinanet; it lacks backbone"):
        read_retinanet_weights(path, shallow())


def test_a_file_that_was_cut_short(tmp_path: Path) -> None:
    path = write_random_weights(tmp_path / "cut.pth", shallow())
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ModelError, match=r"cut\.pth: the archive is damaged or cut short"):
        read_retinanet_weights(path, shallow())
