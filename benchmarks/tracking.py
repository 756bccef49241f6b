"""Scores trackers on MOT ground truth with TrackEval, and times them.

    python benchmarks/tracking.py --mot DIR [--tracker NAME] [--sequences A,B] [--out OUT]
    python benchmarks/tracking.py --score TRACKS.txt --gt DIR/SEQ
    python benchmarks/tracking.py --speed [--mot DIR]
    python benchmarks/tracking.py --cross-validate DATA [--recorded DIR] [--candidate "NAME SETTING=NUMBER"] ...
                                  [--peer PYTHON=TRACKER,TRACKER] [--seeds N]

``--mot`` reads ``DIR/SEQ/det/det.txt`` and ``DIR/SEQ/gt/gt.txt``, tracks the detections, writes MOT text to
``OUT/SEQ.txt`` and prints TrackEval's figures. ``--score`` does the same for tracks that are already there.

``--cross-validate`` compares candidates, the first with each other one, on every sequence below ``DATA/mot15`` and
``DATA/kitti``, with the detections that come with them and, end to end, those below ``--recorded``
(``DETECTOR/SEQ/det/det.txt``, see ``tracking_record``), each also backwards and at half the rate; ``--seeds`` repeats
all of it with disturbed detections. A peer is a tracker of another library, run by an interpreter that has it:
``tracking_peer_runner.py`` names them. The word ``hindsight`` in a candidate, or ``+hindsight`` behind a peer, has its
tracks settled by what comes within a second after them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a script: the project's root is what has to be importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.tracking_data import (
    SEEDS,
    disturbed,
    find_sequences,
    read_detections,
    read_text,
    read_units,
    sequence_info,
)
from benchmarks.tracking_validation import Runner, measure, ours, peer, report
from pipeline.errors import ConfigError, PipelineError
from pipeline.interfaces import Tracker
from pipeline.types import Detections
from trackers.factory import DEFAULT_TRACKER, TRACKERS, create_tracker

Scores = dict[str, float]
COMBINED = "combined"


def track(tracker: Tracker, detections: Sequence[Detections | None], fps: float) -> str:
    """MOT text of what ``tracker`` shows for frames at a regular rate."""
    lines = []
    for index, found in enumerate(detections):
        tracks = tracker.update(found, index / fps)
        boxes = tracks.xyxy.astype(np.float64)
        for box, track_id in zip(boxes.tolist(), tracks.track_id.tolist(), strict=True):
            left, top, right, bottom = box
            width, height = right - left, bottom - top
            lines.append(f"{index + 1},{track_id},{left:.3f},{top:.3f},{width:.3f},{height:.3f},1,-1,-1,-1\n")
    return "".join(lines)


def evaluate(tracks: Mapping[str, Path], ground_truth: Mapping[str, Path]) -> dict[str, Scores]:
    """TrackEval's figures per sequence and ``combined``.

    Args:
        tracks: MOT text by sequence name.
        ground_truth: folder that holds ``gt/gt.txt``, by sequence name.

    Returns:
        HOTA, MOTA, IDF1, MOTP in percent and IDSW (identity switches), by sequence name and for all together.
    """
    import trackeval

    lengths = {}
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        root = Path(scratch)
        for name, path in tracks.items():
            (root / "gt" / name / "gt").mkdir(parents=True)
            (root / "tracks" / "ours" / "data").mkdir(parents=True, exist_ok=True)
            truth = (ground_truth[name] / "gt" / "gt.txt").read_text()
            (root / "gt" / name / "gt" / "gt.txt").write_text(truth)
            frames, _ = sequence_info(ground_truth[name])
            lengths[name] = max(frames, int(max(read_text(path)[:, 0], default=0)))
            (root / "tracks" / "ours" / "data" / f"{name}.txt").write_text(path.read_text())
        dataset = trackeval.datasets.MotChallenge2DBox(
            {
                "GT_FOLDER": str(root / "gt"),
                "TRACKERS_FOLDER": str(root / "tracks"),
                "TRACKERS_TO_EVAL": ["ours"],
                "BENCHMARK": "MOT15",
                "SKIP_SPLIT_FOL": True,
                "SEQ_INFO": lengths,
                "PRINT_CONFIG": False,
            }
        )
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False})]
        metrics.append(trackeval.metrics.Identity({"PRINT_CONFIG": False}))
        settings: dict[str, bool | None] = {
            "USE_PARALLEL": False,
            "PRINT_CONFIG": False,
            "PRINT_RESULTS": False,
            "TIME_PROGRESS": False,
        }
        settings |= {"OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
        settings |= {"BREAK_ON_ERROR": True, "LOG_ON_ERROR": None}
        results, _ = trackeval.Evaluator(settings).evaluate([dataset], metrics)
    table = results["MotChallenge2DBox"]["ours"]
    names = {name: name for name in tracks} | {"COMBINED_SEQ": COMBINED}
    return {ours: _figures(table[theirs]["pedestrian"]) for theirs, ours in names.items()}


def _figures(result: Mapping[str, Mapping[str, object]]) -> Scores:
    clear, identity = result["CLEAR"], result["Identity"]
    return {
        "HOTA": 100.0 * float(np.mean(np.asarray(result["HOTA"]["HOTA"], dtype=np.float64))),
        "MOTA": 100.0 * float(np.asarray(clear["MOTA"])),
        "IDF1": 100.0 * float(np.asarray(identity["IDF1"])),
        "MOTP": 100.0 * float(np.asarray(clear["MOTP"])),
        "IDSW": float(np.asarray(clear["IDSW"])),
        "FP": float(np.asarray(clear["CLR_FP"])),
        "FN": float(np.asarray(clear["CLR_FN"])),
    }


def score(tracks_file: Path | str, ground_truth: Path | str) -> Scores:
    """TrackEval's figures of one MOT text file against ``ground_truth/gt/gt.txt`` (or the ``gt`` folder itself)."""
    folder = Path(ground_truth)
    folder = folder.parent if folder.name == "gt" and (folder / "gt.txt").is_file() else folder
    read_text(folder / "gt" / "gt.txt")
    return evaluate({folder.name: Path(tracks_file)}, {folder.name: folder})[COMBINED]


def table(results: Mapping[str, Scores]) -> str:
    """The figures as text, a sequence a line."""
    lines = [f"{'':20}" + "".join(f"{name:>8}" for name in ("HOTA", "MOTA", "IDF1", "MOTP", "IDSW", "FP", "FN"))]
    for name, figures in results.items():
        cells = [f"{value:8.1f}" if key in _PERCENT else f"{value:8.0f}" for key, value in figures.items()]
        lines.append(f"{name:20}" + "".join(cells))
    return "\n".join(lines)


_PERCENT = ("HOTA", "MOTA", "IDF1", "MOTP")


def run_sequences(mot: Path, names: Sequence[str], tracker: str, out: Path) -> dict[str, Path]:
    """Track every sequence with a tracker of its own; returns the MOT text written, by name."""
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in names:
        _, fps = sequence_info(mot / name)
        text = track(create_tracker(tracker), read_detections(mot / name), fps)
        written[name] = out / f"{name}.txt"
        written[name].write_text(text)
    return written


def crowd(objects: int, frames: int, seed: int = 1) -> list[Detections]:
    """Pedestrian-sized objects that walk in straight lines over a 1920 x 1080 picture, each seen 9 times in 10."""
    random = np.random.default_rng(seed)
    place = random.uniform((0, 0), (1880, 980), (objects, 2))
    speed = random.normal(0, 2, (objects, 2))
    size = random.uniform((20, 60), (40, 100), (objects, 2))
    found = []
    for _ in range(frames):
        place += speed
        corner = place + random.normal(0, 0.5, place.shape)
        seen = random.random(objects) < 0.9
        xyxy = np.concatenate([corner, corner + size], axis=1)[seen].astype(np.float32)
        scores = random.uniform(0.3, 1.0, len(xyxy)).astype(np.float32)
        found.append(Detections(xyxy, scores, np.zeros(len(xyxy), np.int32)))
    return found


def update_times(tracker: Tracker, detections: Sequence[Detections | None], fps: float = 25.0) -> list[float]:
    """Seconds that each update took."""
    times = []
    for index, found in enumerate(detections):
        start = time.perf_counter()
        tracker.update(found, index / fps)
        times.append(time.perf_counter() - start)
    return times


def print_speed(mot: Path | None) -> None:
    """Median milliseconds per update and frames per second, per tracker and load."""
    loads = {f"crowd of {count}": crowd(count, 60) for count in (10, 100, 1000)}
    if mot is not None:
        loads = {name: read_detections(mot / name) for name in find_sequences(mot, None)} | loads
    print(f"{'':22}" + "".join(f"{name:>24}" for name in TRACKERS))
    for load, detections in loads.items():
        cells = []
        for name in TRACKERS:
            times = update_times(create_tracker(name), detections)
            cells.append(f"{1e3 * float(np.median(times)):10.2f} ms {len(times) / sum(times):7.0f} fps")
        print(f"{load:22}" + "".join(f"{cell:>24}" for cell in cells))


def cross_validate(chosen: argparse.Namespace) -> None:
    """Print the figures of all candidates, and again for each seed of a disturbance."""
    names = chosen.candidate or list(TRACKERS)
    runners: dict[str, Runner] = {name: ours(name) for name in names}
    for words in chosen.peer:
        python, separator, trackers = words.partition("=")
        if not separator:
            raise ConfigError(f"--peer {words}: expected PYTHON=TRACKER,TRACKER")
        runners |= {name: peer(python, name) for name in trackers.split(",")}
    units = read_units(chosen.cross_validate, chosen.recorded)
    print(f"{len(units)} units of {len({unit.scene for unit in units})} scenes, each in four worlds\n")
    print(report({name: measure(runner, units) for name, runner in runners.items()}, units), flush=True)
    for seed in SEEDS[: chosen.seeds]:
        moved = [disturbed(unit, seed) for unit in units]
        print(f"\ndisturbed, seed {seed}")
        print(report({name: measure(runner, moved) for name, runner in runners.items()}, moved), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mot", type=Path, metavar="DIR", help="folder of sequences with det/det.txt and gt/gt.txt")
    parser.add_argument("--tracker", default=DEFAULT_TRACKER, choices=TRACKERS)
    parser.add_argument("--sequences", metavar="A,B", help="default: all")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the MOT text here")
    parser.add_argument("--score", type=Path, metavar="FILE", help="MOT text to score against --gt")
    parser.add_argument("--gt", type=Path, metavar="DIR/SEQ", help="sequence folder that holds gt/gt.txt")
    parser.add_argument("--speed", action="store_true", help="time every tracker instead of scoring one")
    parser.add_argument("--cross-validate", type=Path, metavar="DATA", help="folder that holds mot15 and kitti")
    parser.add_argument("--recorded", type=Path, metavar="DIR", help="detections end to end, DETECTOR/SEQ/det/det.txt")
    parser.add_argument("--candidate", action="append", metavar="NAME ...", help="a tracker with settings; repeatable")
    parser.add_argument("--peer", action="append", default=[], metavar="PYTHON=A,B", help="other trackers; repeatable")
    parser.add_argument("--seeds", type=int, default=0, choices=range(len(SEEDS) + 1), help="disturbances to repeat it")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.cross_validate:
            cross_validate(chosen)
        elif chosen.speed:
            print_speed(chosen.mot)
        elif chosen.score:
            if chosen.gt is None:
                parser.error("--score needs --gt DIR/SEQ")
            print(table({chosen.gt.name: score(chosen.score, chosen.gt)}))
        elif chosen.mot:
            names = find_sequences(chosen.mot, chosen.sequences)
            with tempfile.TemporaryDirectory() as scratch:
                written = run_sequences(chosen.mot, names, chosen.tracker, chosen.out or Path(scratch))
                print(table(evaluate(written, {name: chosen.mot / name for name in names})))
        else:
            parser.error("give --mot DIR, --score FILE --gt DIR/SEQ, --speed or --cross-validate DATA")
    except PipelineError as error:
        print(f"tracking: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
