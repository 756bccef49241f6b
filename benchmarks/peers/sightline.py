"""``run_pipeline.py`` with a clock: the arguments are those of ``run``, and everything else is the product as it is.

The clock starts when the first frame goes into the detector. A few frames have been decoded by then (the queue is 16
long), while the network ran for the first time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from benchmarks.peers.clock import RunClock
from pipeline.detection.frames import FrameDetector
from pipeline.geometry.region import Rectangle
from pipeline.types import Detections, Frame
from sightline.commands.main import main


def run() -> int:
    """Run; returns the exit code of ``run_pipeline.py``."""
    clock = RunClock()
    look = FrameDetector.look

    def clocked(looker: FrameDetector, frames: Sequence[Frame], parts: Sequence[Rectangle | None]) -> list[Detections]:
        clock.start()
        return look(looker, frames, parts)

    with tempfile.TemporaryDirectory() as folder, patch.object(FrameDetector, "look", clocked):
        path = Path(folder) / "report.json"
        code = main(["run", *sys.argv[1:], "--quiet", "--report", str(path)])
        clock.stop()
        if code:
            return code
        report = json.loads(path.read_text())
    stream = next(iter(report["streams"].values()))
    if stream["processed"] != stream["decoded"]:
        sys.stderr.write(f"not every frame was processed: {stream}\n")
        return 1
    kept = {name: report[name] for name in ("input_shape", "precision", "start_s", "fps")}
    clock.report(stream["processed"], stages=report["stages"], report=kept)
    return 0


if __name__ == "__main__":
    sys.exit(run())
