"""ImageAI's ``VideoObjectDetection`` as its documentation shows it, with the same TinyYOLOv3 weights.

    python -m benchmarks.peers.imageai_video video VIDEO --weights W --output X.mp4
    python -m benchmarks.peers.imageai_video coco --images DIR --annotations FILE --weights W --names N --results X.json

ImageAI reads PyTorch files only, so the Darknet weights are converted first. It imports torchvision although
YOLO needs nothing of it (only its RetinaNet does), and there is no torchvision to go with a CPU build of PyTorch in
every registry: an empty module stands in where it is missing.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers.clock import RunClock

_HEADER_BYTES = 20


def import_detection() -> Any:
    """The module ``imageai.Detection``, with stand-ins for what it imports and YOLO does not use."""
    if importlib.util.find_spec("torchvision") is None:
        stand_in, io = ModuleType("torchvision"), ModuleType("torchvision.io")
        io.__dict__["ImageReadMode"] = enum.Enum("ImageReadMode", "UNCHANGED GRAY GRAY_ALPHA RGB RGB_ALPHA")
        stand_in.__dict__["io"] = io
        sys.modules.update({"torchvision": stand_in, "torchvision.io": io})
    if importlib.util.find_spec("_tkinter") is None:
        window_toolkit = ModuleType("tkinter")
        window_toolkit.__dict__["Image"] = object
        sys.modules["tkinter"] = window_toolkit
    return importlib.import_module("imageai.Detection")


def convert(weights: Path, target: Path) -> None:
    """Write Darknet's YOLOv3-tiny weights as a state dictionary for ImageAI's own network."""
    torch: Any = importlib.import_module("torch")
    anchors = [10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319]
    network = importlib.import_module("imageai.yolov3.tiny_yolov3").YoloV3Tiny(anchors=anchors)
    numbers = np.frombuffer(weights.read_bytes()[_HEADER_BYTES:], "<f4")
    position = 0

    def take(tensor: Any) -> None:
        nonlocal position
        count = tensor.numel()
        values = torch.from_numpy(numbers[position : position + count].copy())
        tensor.data.copy_(values.view_as(tensor))
        position += count

    for layer in network.children():
        convolutions = [part for part in layer.modules() if isinstance(part, torch.nn.Conv2d)]
        norms = [part for part in layer.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        for convolution in convolutions:
            if norms:
                norm = norms[0]
                for tensor in (norm.bias, norm.weight, norm.running_mean, norm.running_var):
                    take(tensor)
            else:
                take(convolution.bias)
            take(convolution.weight)
    if position != len(numbers):
        raise ValueError(f"{weights}: holds {len(numbers)} numbers, the network took {position}")
    torch.save(network.state_dict(), target)


def load(kind: Any, weights: Path) -> Any:
    """ImageAI's detector of that class, on the converted weights."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "tiny-yolov3.pt"
        convert(weights, converted)
        detector = kind()
        detector.setModelTypeAsTinyYOLOv3()
        detector.setModelPath(str(converted))
        detector.loadModel()
    return detector


def process_video(options: argparse.Namespace) -> None:
    """Detect, draw and write every frame, at ImageAI's own thresholds."""
    import cv2

    reader = cv2.VideoCapture(str(options.video))
    fps = reader.get(cv2.CAP_PROP_FPS)
    reader.release()
    detector = load(import_detection().VideoObjectDetection, options.weights)
    found: list[int] = []
    clock = RunClock()
    clock.start()
    detector.detectObjectsFromVideo(
        input_file_path=str(options.video),
        output_file_path=str(options.output.with_suffix("")),
        frames_per_second=fps,
        per_frame_function=lambda number, objects, counts: found.append(len(objects)),
        log_progress=False,
    )
    clock.stop()
    # It goes on silently when detection fails.
    if not sum(found):
        raise RuntimeError("ImageAI found nothing in the whole video")
    clock.report(len(found), boxes=sum(found))


def process_coco(options: argparse.Namespace) -> None:
    """Detect in the images that an annotation file names."""
    module = import_detection()
    detector = load(module.ObjectDetection, options.weights)
    # It knows COCO's classes under older names, in the same order.
    theirs = Path(module.__file__).with_name("coco_classes.txt").read_text().splitlines()
    names = dict(zip((name.strip() for name in theirs), options.names.read_text().splitlines(), strict=True))
    # Its interface offers no way to lower the objectness it asks for, without which there is no curve to average over.
    detector._ObjectDetection__objectness_score = options.confidence
    found = []
    images = json.loads(options.annotations.read_text())["images"]
    clock = RunClock()
    clock.start()
    for entry in images:
        _, objects = detector.detectObjectsFromImage(
            input_image=str(options.images / entry["file_name"]), output_type="array", minimum_percentage_probability=0
        )
        for item in objects:
            left, top, right, bottom = item["box_points"]
            box, score = [left, top, right - left, bottom - top], item["percentage_probability"] / 100
            found.append({"image_id": entry["id"], "name": names[item["name"]], "bbox": box, "score": score})
    clock.stop()
    options.results.write_text(json.dumps(found))
    clock.report(len(images), boxes=len(found))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    video, coco = modes.add_parser("video"), modes.add_parser("coco")
    video.add_argument("video", type=Path)
    video.add_argument("--output", type=Path, required=True)
    for name in ("--images", "--annotations", "--results", "--names"):
        coco.add_argument(name, type=Path, required=True)
    coco.add_argument("--confidence", type=float, default=0.02, help="smallest objectness (%(default)s)")
    for mode in (video, coco):
        mode.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()
    (process_video if options.mode == "video" else process_coco)(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
