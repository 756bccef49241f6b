"""Records what ImageAI 3's own networks compute, with fewer filters, in ``imageai-3.npz`` beside it.

pip install torch numpy && pip install --no-deps imageai==3.0.3
PYTHONPATH=. python tests/pipeline/models/weights/torch_files/make_imageai.py
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.models.networks.yolov3_family import imageai_3_tiny_yolov3, imageai_3_yolov3
from pipeline.models.weights.formats import write_weights
from tests.support.darknet_files import narrow, random_parameters

FACTOR = 8
CLASSES = 2


def import_networks() -> tuple[Any, Any]:
    """ImageAI's two modules of networks, without the OpenCV and torchvision that the package wants beside them."""
    entry = next(entry for entry in files("imageai") or [] if entry.name == "tiny_yolov3.py")
    folder = Path(str(entry.locate())).parent
    for name, place in (("imageai", folder.parent), ("imageai.yolov3", folder)):
        package = ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package
    utilities = ModuleType("imageai.yolov3.utils")
    utilities.__dict__["transform_prediction"] = None
    sys.modules[utilities.__name__] = utilities
    modules = [importlib.import_module(f"imageai.yolov3.{name}") for name in ("tiny_yolov3", "yolov3")]
    tiny: Any = modules[0]
    full: Any = modules[1]
    wide = full.ConvLayer

    def narrow_layer(channels: int, filters: int, *rest: Any, **options: Any) -> Any:
        predicts = not options.get("use_batch_norm", True)
        channels = channels if channels == 3 else channels // FACTOR
        return wide(channels, filters if predicts else filters // FACTOR, *rest, **options)

    tiny.ConvLayer = full.ConvLayer = narrow_layer
    return tiny, full


def main() -> None:
    """Write the file."""
    torch: Any = importlib.import_module("torch")
    tiny, full = import_networks()
    images = np.random.default_rng(11).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    inputs = torch.from_numpy(images[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    recorded: dict[str, Any] = {"images": images}
    for name, kind, network in (
        ("tiny", tiny.YoloV3Tiny, narrow(imageai_3_tiny_yolov3(CLASSES), FACTOR)),
        ("full", full.YoloV3, narrow(imageai_3_yolov3(CLASSES), FACTOR)),
    ):
        theirs = kind(anchors=[side for anchor in network.anchors for side in anchor], num_classes=CLASSES).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.pt"
            write_weights(path, random_parameters(network), network, "pytorch")
            theirs.load_state_dict(torch.load(path, weights_only=True))
        outputs: list[Any] = []

        def keep(value: Any, outputs: list[Any] = outputs) -> Any:
            outputs.append(value)
            return torch.zeros(1, 1)

        for part in theirs.children():
            if hasattr(part, "anchors"):
                part.forward = keep
        with torch.no_grad():
            theirs(inputs)
        for number, output in enumerate(outputs):
            recorded[f"{name}{number}"] = output.numpy().transpose(0, 2, 3, 1)
    np.savez_compressed(Path(__file__).with_name("imageai-3.npz"), **recorded)


if __name__ == "__main__":
    main()
