"""Records what torchvision's own RetinaNet makes of random weights: `tests/oracles/retinanet_reference.npz`.

Run from the repository's root, in an environment of its own that has torch 2.13 and torchvision 0.28:

    python -m venv VENV && VENV/bin/pip install torch===2.13.0 torchvision==0.28.0
    VENV/bin/python -m tests.oracles.retinanet_reference

The weights go through torchvision's own way of loading its published file, under the names which that file has, so that
the renaming and the epsilon of the batch norm are torchvision's as well. Only the download is replaced.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torchvision
from torchvision.models import WeightsEnum
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights, retinanet_resnet50_fpn

from tests.oracles.retinanet_weights import USED_SLOTS, Array, picture, samples, state_dict

RESULT = Path(__file__).with_suffix(".npz")

# Name: height, width, shorter and longer side of the input.
CASES = {
    "wide": (97, 150, 128, 213),
    "tall": (301, 80, 128, 213),  # the longer side decides
    "small": (20, 31, 96, 1333),
    "default": (60, 1000, 800, 1333),
}
BY_LAYER = "wide"
GEOMETRY_SEED = 5


def legacy_name(name: str) -> str:
    """As in the published file: no sequences inside the pyramid and the heads, activations counted in the latter."""
    parts = name.split(".")
    if "inner_blocks" in parts or "layer_blocks" in parts:
        return ".".join([*parts[:4], parts[-1]])
    if "conv" in parts and parts[0] == "head":
        return ".".join([*parts[:3], str(2 * int(parts[3])), parts[-1]])
    return name


def build(shorter: int, longer: int, **options: object) -> torch.nn.Module:
    """The network with its weights loaded as the published ones would be."""
    bare = retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    shapes = [
        (legacy_name(name), tuple(value.shape))
        for name, value in bare.state_dict().items()
        if not name.endswith("num_batches_tracked")
    ]
    tensors = {name: torch.from_numpy(array) for name, array in state_dict(shapes).items()}
    with patch.object(WeightsEnum, "get_state_dict", lambda *_, **__: dict(tensors)):
        model = retinanet_resnet50_fpn(
            weights=RetinaNet_ResNet50_FPN_Weights.COCO_V1, min_size=shorter, max_size=longer, **options
        )
    return model.eval()


def by_place(value: torch.Tensor) -> Array:
    """Channels last, as TensorFlow has them."""
    return np.asarray(value.permute(0, 2, 3, 1).contiguous().numpy(), dtype=np.float32)


def layer_outputs(model: torch.nn.Module, images: torch.Tensor) -> dict[str, Array]:
    """Of the stem, of every block, of the pyramid and of the heads."""
    found: dict[str, Array] = {}
    names = ["backbone.body.relu"]
    names += [name for name, module in model.named_modules() if type(module).__name__ == "Bottleneck"]
    modules = dict(model.named_modules())
    hooks = [
        modules[name].register_forward_hook(lambda _, __, output, name=name: found.update({name: by_place(output)}))
        for name in names
    ]
    features = model.backbone(images)
    for hook in hooks:
        hook.remove()
    levels = dict(zip(("p3", "p4", "p5", "p6", "p7"), features.values(), strict=True))
    found |= {name: by_place(value) for name, value in levels.items()}
    outputs = model.head(list(features.values()))
    start = 0
    for name, value in levels.items():
        rows, columns = value.shape[2:]
        count = rows * columns * 9
        for kind, key in (("cls_logits", "cls_logits"), ("bbox_reg", "bbox_regression")):
            part = outputs[key][:, start : start + count].reshape(1, rows, columns, 9, -1).numpy()
            found[f"{name}.{kind}"] = part[..., USED_SLOTS] if kind == "cls_logits" else part
        start += count
    return found


def record_case(name: str, recorded: dict[str, np.ndarray]) -> None:
    """What a picture gives, step by step."""
    height, width, shorter, longer = CASES[name]
    model = build(shorter, longer)
    image = np.ascontiguousarray(picture(height, width)[..., ::-1])
    scaled = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    inputs, _ = model.transform([scaled])
    recorded[f"{name}/shape"] = np.array([*inputs.image_sizes[0], *inputs.tensors.shape[2:]])
    recorded[f"{name}/input"] = samples(by_place(inputs.tensors))
    layers = layer_outputs(model, inputs.tensors)
    for layer, values in layers.items():
        if name == BY_LAYER or layer.startswith("p"):
            recorded[f"{name}/layer/{layer}"] = samples(values)
            recorded[f"{name}/layer_shape/{layer}"] = np.array(values.shape)
    anchors = model.anchor_generator(inputs, list(model.backbone(inputs.tensors).values()))[0].numpy()
    recorded[f"{name}/anchors"] = samples(anchors, 4000)
    record_detections(f"{name}/detections", model, scaled, recorded)


def record_detections(key: str, model: torch.nn.Module, image: torch.Tensor, recorded: dict[str, np.ndarray]) -> None:
    """Boxes, scores and classes of the 80."""
    (found,) = model([image])
    labels = found["labels"].numpy()
    assert set(labels.tolist()) <= set(USED_SLOTS)
    recorded[f"{key}/xyxy"] = found["boxes"].numpy()
    recorded[f"{key}/score"] = found["scores"].numpy()
    recorded[f"{key}/class_id"] = np.searchsorted(USED_SLOTS, labels).astype(np.int32)
    print(key, len(labels), np.round(found["scores"].numpy()[[0, -1]], 4) if len(labels) else "", len(set(labels)))


def record_imageai(recorded: dict[str, np.ndarray]) -> None:
    """As ImageAI builds it: a batch norm with the usual epsilon, which the published file was not trained for."""
    height, width, shorter, longer = CASES[BY_LAYER]
    model = build(shorter, longer)
    for module in model.modules():
        if type(module).__name__ == "FrozenBatchNorm2d":
            assert module.eps == 0.0
            module.eps = 1e-5
    image = np.ascontiguousarray(picture(height, width)[..., ::-1])
    record_detections("imageai/detections", model, torch.from_numpy(image).permute(2, 0, 1).float() / 255, recorded)


def record_options(recorded: dict[str, np.ndarray]) -> None:
    """Other thresholds than the default ones."""
    height, width, shorter, longer = CASES[BY_LAYER]
    model = build(shorter, longer, score_thresh=0.02, nms_thresh=0.3, detections_per_img=150)
    image = np.ascontiguousarray(picture(height, width)[..., ::-1])
    record_detections("options/detections", model, torch.from_numpy(image).permute(2, 0, 1).float() / 255, recorded)


def record_geometry(recorded: dict[str, np.ndarray]) -> None:
    """The scaled size of pictures of many sizes: height, width, scaled height, scaled width."""
    generator = np.random.RandomState(GEOMETRY_SEED)
    transform = build(800, 1333).transform
    rows = []
    sizes = [(480, 640), (1080, 1920), (720, 1280), (2160, 3840), (800, 1333), (799, 1332), (1333, 800), (375, 500)]
    for height, width in [*sizes, *generator.randint(40, 1500, (150, 2)).tolist()]:
        image, _ = transform.resize(torch.zeros(3, height, width))
        rows.append([height, width, *image.shape[1:]])
    recorded["geometry"] = np.array(rows, dtype=np.int32)


def main() -> None:
    """Record everything."""
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    recorded: dict[str, np.ndarray] = {"versions": np.array([torch.__version__, torchvision.__version__])}
    for name in CASES:
        record_case(name, recorded)
    record_imageai(recorded)
    record_options(recorded)
    record_geometry(recorded)
    np.savez_compressed(RESULT, **recorded)  # type: ignore[arg-type]
    print(RESULT.name, RESULT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
