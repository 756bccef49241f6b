"""Records what Ultralytics' own exporter and post-processing make of networks with random weights.

    python tests/oracles/ultralytics_exports.py

To be run where Ultralytics is installed, in an environment of its own: it is no part of this project, nothing of it is
kept but numbers. For each kind of network it exports an ONNX file, and records the metadata and the outputs' names that
the exporter writes, the raw outputs for one picture, and the boxes that Ultralytics makes of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).with_suffix(".npz")
# With the (height, width) of the input: the last two only then write finished boxes, 300 of them, where they have more.
KINDS = {
    "yolov5n": (64, 96),
    "yolov8n": (64, 96),
    "yolo11n": (64, 96),
    "yolo12n": (64, 96),
    "yolov10n": (128, 160),
    "yolo26n": (128, 160),
    "rtdetr-l": (128, 160),
}
CONFIDENCE, IOU = 0.3, 0.45


def main() -> int:
    """Record all of them."""
    import onnx
    import torch
    from ultralytics import RTDETR, YOLO
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils import nms, ops

    torch.manual_seed(0)
    image = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    recorded: dict[str, object] = {"image": image}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for kind, shape in KINDS.items():
            stretched = kind.startswith("rtdetr")
            placed = LetterBox(shape, auto=False, scale_fill=stretched)(image=image)
            inputs = torch.from_numpy(np.ascontiguousarray(placed[..., ::-1].transpose(2, 0, 1))[None]).float() / 255
            model = (RTDETR if stretched else YOLO)(f"{kind}.yaml")
            options = {"end2end": True} if kind in ("yolov10n", "yolo26n") else {}
            wake(model.model, shape)
            path = Path(model.export(format="onnx", imgsz=list(shape), simplify=False, opset=17, **options))
            written = onnx.load(str(path))
            exported = onnx_outputs(path, inputs.numpy())
            prediction = torch.from_numpy(exported[0])
            if stretched or prediction.shape[-1] == 6:  # boxes in parts of the picture
                found = prediction[prediction[..., 4] >= CONFIDENCE]
            else:
                (found,) = nms.non_max_suppression(prediction, CONFIDENCE, IOU, nc=80, max_det=300)
            boxes = ops.scale_boxes(shape, found[:, :4].clone(), image.shape[:2])
            if stretched:
                height, width = image.shape[:2]
                boxes = ops.xywh2xyxy(found[:, :4]) * torch.tensor([width, height] * 2)
            recorded[f"{kind}.placed"] = placed
            recorded[f"{kind}.output"] = exported[0]
            recorded[f"{kind}.found"] = torch.cat([boxes, found[:, 4:6]], dim=1).numpy()
            told = {entry.key: entry.value for entry in written.metadata_props}
            keys = ("description", "task", "stride", "imgsz", "names", "end2end")
            kept = {key: told[key] for key in keys if key in told}
            names = [value.name for value in written.graph.output]
            operators = sorted({node.op_type for node in written.graph.node})
            recorded[f"{kind}.told"] = json.dumps({"metadata": kept, "outputs": names, "operators": operators})
            print(kind, exported[0].shape, len(found), kept.get("description"), kept.get("end2end"), names)
    np.savez_compressed(TARGET, **recorded)  # type: ignore[arg-type]
    return 0


def wake(network: Any, shape: tuple[int, int]) -> None:
    """Give a network with fresh weights features that differ from place to place, and scores of all sizes."""
    import torch

    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    with torch.no_grad():
        network.predict(torch.rand(8, 3, *shape))
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    head = network.model[-1]
    branches = [branch for name in ("cv3", "one2one_cv3") for branch in getattr(head, name, None) or ()]
    for layer in [branch[-1] for branch in branches] or [head.dec_score_head[-1]]:
        torch.nn.init.normal_(layer.weight, 0.0, 2.0 / layer.weight[0].numel() ** 0.5)
        torch.nn.init.normal_(layer.bias, -3.0, 0.5)


def onnx_outputs(path: Path, inputs: np.ndarray) -> list[np.ndarray]:
    """The outputs of an ONNX file, by ONNX's own reference or onnxruntime, whichever is there."""
    try:
        import onnxruntime

        return list(onnxruntime.InferenceSession(str(path)).run(None, {"images": inputs}))
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return list(ReferenceEvaluator(str(path)).run(None, {"images": inputs}))


if __name__ == "__main__":
    sys.exit(main())
