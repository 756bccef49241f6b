"""What evidence costs a run: processor time a frame, and what the loop waits for it.

    python -m benchmarks.evidence [VIDEO] [--rounds 5]

The same video is analysed without evidence, with that of alerts, and with that of alerts, zones, lines and tracks, in
rounds, each in this process; ratios are taken within a round. The first run of all is left out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config

KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "alerts": {"alerts": True},
    "everything": {"alerts": True, "zones": True, "lines": True, "tracks": True},
}


@dataclass(frozen=True)
class Cost:
    """One run.

    Attributes:
        cpu_ms: processor time a frame.
        loop_ms: of the loop with all outputs of a frame, at the median.
        files: that were written.
    """

    cpu_ms: float
    loop_ms: float
    files: int


def cost(video: Path, wanted: dict[str, Any]) -> Cost:
    """What a run over a video costs."""
    with tempfile.TemporaryDirectory() as folder:
        half = {"polygon": [[0, 0.4], [1, 0.4], [1, 1], [0, 1]], "units": "fraction"}
        settings: dict[str, Any] = {
            "source": str(video),
            "zones": {"half": half},
            "lines": {"middle": {"start": [0, 0.6], "end": [1, 0.6], "units": "fraction"}},
            "rules": {"somebody": {"when": "in_zone", "zone": "half", "for_s": 0.5}},
            "evidence": {"folder": f"{folder}/evidence", **wanted} if wanted else {},
        }
        pipeline = build_pipeline(load_config(None, (), settings))
        before_s = time.process_time()
        report = pipeline.run()
        cpu_s = time.process_time() - before_s
        files = len(list(Path(folder).rglob("*.jpg")))
    frames = sum(stream.processed for stream in report.streams.values())
    return Cost(1000 * cpu_s / frames, report.stages["sinks"]["p50_ms"], files)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path, default=find_packaged(BIKES))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.video is None:
        parser.error("name a video")
    cost(arguments.video, {})
    rounds = [{kind: cost(arguments.video, wanted) for kind, wanted in KINDS.items()} for _ in range(arguments.rounds)]
    print(f"{arguments.video.name}, {arguments.rounds} rounds")
    print(f"{'evidence of':<12} {'ms of processor a frame':>24} {'ratio':>7} {'ms in the loop':>15} {'files':>6}")
    for kind in KINDS:
        costs = [each[kind] for each in rounds]
        ratio = statistics.median(each[kind].cpu_ms / each["none"].cpu_ms for each in rounds)
        cpu_ms = statistics.median(each.cpu_ms for each in costs)
        loop_ms = statistics.median(each.loop_ms for each in costs)
        print(f"{kind:<12} {cpu_ms:>24.2f} {ratio:>7.3f} {loop_ms:>15.3f} {costs[0].files:>6}")


if __name__ == "__main__":
    main()
