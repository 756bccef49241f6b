"""The engine alone: frames decoded and reduced before, then looked at in a loop.

    python -m benchmarks.peers.engine VIDEO [--batch 4] [--at-once]

Input shape and batch size are those that ``run_pipeline.py`` uses by default. With ``--at-once`` as many threads look
as the detector makes the most of, which no program around it can beat.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from benchmarks.peers.clock import RunClock
from pipeline.detection.factory import reduced_side
from pipeline.detection.frames import FrameDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.models.registry import find_model
from pipeline.sources.opening import open_source
from pipeline.types import Frame
from sightline.config.schema import Config


def main() -> None:
    """The command line."""
    model = Config().model
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--batch", type=int, default=model.batch)
    parser.add_argument("--frames", type=int, default=400, help="most frames held in memory; a longer clip is cut")
    parser.add_argument("--at-once", action="store_true", help="look from several threads, as a run does")
    options = parser.parse_args()
    side = reduced_side(find_model(model.name), model.input_size)
    with open_source(options.video, reduce_to=side) as source:
        # Asking for the reduced picture makes it.
        frames = [frame for frame in islice(source, options.frames) if frame.reduced is not None]
    detector = YoloDetector(
        model.name,
        **model.model_dump(include={"input_size", "square", "precision", "iou"}, exclude_none=True),
        batch_size=options.batch,
    )
    shape = detector.warm_up(frames[0].height, frames[0].width, options.batch)
    looker = FrameDetector(detector)
    batches = [frames[start : start + options.batch] for start in range(0, len(frames), options.batch)]

    def look(batch: Sequence[Frame]) -> int:
        return sum(len(detections) for detections in looker.look(batch, [None] * len(batch)))

    clock = RunClock()
    with ThreadPoolExecutor(detector.calls_at_once) as pool:
        clock.start()
        found = sum(pool.map(look, batches) if options.at_once else map(look, batches))
        clock.stop()
    clock.report(len(frames), detections=found, input_shape=shape, precision=detector.precision)


if __name__ == "__main__":
    main()
