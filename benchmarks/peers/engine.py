"""The engine alone, which no program around it can beat: frames decoded beforehand, then ``detect`` in a loop.

    python -m benchmarks.peers.engine VIDEO [--batch 4]

Input shape and batch size are those that ``run_pipeline.py`` uses by default.
"""

from __future__ import annotations

import argparse
from itertools import islice

from benchmarks.peers.clock import RunClock
from pipeline.config import Config
from pipeline.detector import YoloDetector
from pipeline.sources import open_source


def main() -> None:
    """The command line."""
    model = Config().model
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--batch", type=int, default=model.batch)
    parser.add_argument("--frames", type=int, default=400, help="most frames held in memory; a longer clip is cut")
    options = parser.parse_args()
    with open_source(options.video) as source:
        images = [frame.image for frame in islice(source, options.frames)]
    detector = YoloDetector(
        model.name,
        **model.model_dump(include={"input_size", "square", "precision", "iou"}, exclude_none=True),
        confidence=model.confidence,
        batch_size=options.batch,
    )
    height, width = images[0].shape[:2]
    shape = detector.warm_up(height, width, options.batch)
    found = 0
    clock = RunClock()
    clock.start()
    for start in range(0, len(images), options.batch):
        found += sum(len(detections) for detections in detector.detect(images[start : start + options.batch]))
    clock.stop()
    clock.report(len(images), detections=found, input_shape=shape, precision=detector.precision)


if __name__ == "__main__":
    main()
