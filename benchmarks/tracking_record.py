"""Records what detectors see of clips whose people are known, so that trackers can be judged end to end without them.

    python -m benchmarks.tracking_record DATA OUT [--model tiny-yolov3] [--model ...]

``DATA`` holds ``videos``; ``OUT/MODEL/SEQ/det/det.txt`` is written as the MOT Challenge does, people only, down to a
score of 0.03: what ``benchmarks/tracking.py --cross-validate DATA --recorded OUT`` reads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.detection.factory import create_detector
from pipeline.errors import PipelineError
from pipeline.sources.opening import open_source
from pipeline.types import Detections

# The clips, by the sequence of MOT15 that has their ground truth.
CLIPS = {"PETS09-S2L1": "vtest.avi", "TUD-Campus": "TUD-Campus.mp4"}
_WEAKEST = 0.03


def record(model: str, clip: Path) -> Iterator[Detections]:
    """The people that a model finds in each frame of a clip."""
    with closing(create_detector(model, confidence=_WEAKEST)) as detector, open_source(str(clip)) as source:
        person = detector.class_names.index("person")
        for frame in source:
            found = detector.detect([frame.image])[0]
            yield found.select(found.class_id == person)


def mot_text(frames: Iterator[Detections]) -> str:
    """Detections as MOT text: frame from 1, no id, left, top, width, height, score."""
    lines = []
    for number, found in enumerate(frames, 1):
        for (left, top, right, bottom), score in zip(found.xyxy.tolist(), found.score.tolist(), strict=True):
            lines.append(
                f"{number},-1,{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.5f},-1,-1,-1\n"
            )
    return "".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds videos")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", action="append", help="of the catalogue, or a file that can be run; repeatable")
    chosen = parser.parse_args(arguments)
    try:
        for model in chosen.model or ["tiny-yolov3"]:
            for sequence, clip in CLIPS.items():
                folder = chosen.out / Path(model).stem / sequence / "det"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "det.txt").write_text(mot_text(record(model, chosen.data / "videos" / clip)))
    except PipelineError as error:
        print(f"tracking_record: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
