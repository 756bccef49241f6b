"""What looking less often gains, and what it costs: every setting beside looking at every frame, in turn, as ratios.

    python -m benchmarks.less_work [--runs 3] [--json X.json]

Needs evaluation data in the folder ``SIGHTLINE_EVAL``. ``detect_every`` is measured on vtest.avi, with HOTA, MOTA and
IDF1 of its people; the motion gate on one-by-one-person-detection.mp4, with the six people who come and go there
counted at a zone and a line; ``detect_region`` on traffic-mini.mp4, a quarter of the picture. Each run is a command of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.measure import ROOT
from benchmarks.throughput import EVAL_VARIABLE
from benchmarks.tracking import score

_ZONE = "{table: {polygon: [[0.3, 0.2], [0.7, 0.2], [0.7, 0.8], [0.3, 0.8]], units: fraction, anchor: center}}"
_LINE = "{leaving: {start: [0.7, 1], end: [0.7, 0], units: fraction, anchor: center}}"
_COUNTED = ("zone.entered", "zone.left", "line.crossed")

PACES = {
    "every frame": (),
    "every third frame": ("--detect-every", "3"),
    "auto": ("--detect-every", "auto"),
}
GATES = {
    "every frame": (),
    "motion_gate: 0.006": ("--set", "motion_gate=0.006"),
    "motion_gate: 0.006, detect_every: auto": ("--set", "motion_gate=0.006", "--detect-every", "auto"),
}

REGIONS = {
    "every frame": (),
    "detect_region: a quarter of the picture": ("--set", "detect_region=[0.25, 0.25, 0.75, 0.75]"),
}


def run(clip: Path, folder: Path, options: Sequence[str]) -> dict[str, Any]:
    """One command: ``fps``, and the ``looks`` as a part of all frames."""
    report = folder / "report.json"
    command = [sys.executable, "run_pipeline.py", str(clip), "--classes", "person", "--quiet", *options]
    subprocess.run([*command, "--report", str(report)], cwd=ROOT, check=True, capture_output=True)
    told = json.loads(report.read_text())
    frames = next(iter(told["streams"].values()))["processed"]
    return {"fps": told["fps"], "looks": told["stages"]["detect"]["count"] / frames}


def compare(
    clip: Path, ways: dict[str, tuple[str, ...]], rounds: int, folder: Path, output: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Every way once per round, after one round that is not counted."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, options in ways.items():
            one = run(clip, folder, [*options, *(word.format(name=_file(name)) for word in output)])
            if number:
                found[name].append(one)
    return found


def detect_every(data: Path, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """The paces on vtest.avi, with what TrackEval says of the people's tracks."""
    tracks = str(folder / "{name}.txt")
    found = compare(data / "videos" / "vtest.avi", PACES, rounds, folder, ["--tracks", tracks])
    truth = data / "mot15" / "PETS09-S2L1"
    rows = summary(found)
    for name, row in rows.items():
        figures = score(tracks.format(name=_file(name)), truth)
        row |= {key: round(figures[key], 1) for key in ("HOTA", "MOTA", "IDF1")}
    return rows


def motion_gate(data: Path, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """The gate on people who come one by one, with how many were counted in, out and over the line."""
    events = str(folder / "{name}.jsonl")
    clip = data / "videos" / "one-by-one-person-detection.mp4"
    output = ["--jsonl", events, "--set", "zones=" + _braced(_ZONE), "--set", "lines=" + _braced(_LINE)]
    rows = summary(compare(clip, GATES, rounds, folder, output))
    for name, row in rows.items():
        lines = Path(events.format(name=_file(name))).read_text().splitlines()
        kinds = Counter(json.loads(line)["type"] for line in lines)
        row |= {kind: kinds[kind] for kind in _COUNTED}
    return rows


def detect_region(data: Path, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """A quarter of the traffic, in the middle."""
    return summary(compare(data / "videos" / "traffic-mini.mp4", REGIONS, rounds, folder, []))


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Per way the median frames per second, and the median ratio to looking at every frame of the same round."""
    base = found["every frame"]
    return {
        name: {
            "fps": round(statistics.median(one["fps"] for one in runs), 1),
            "gain": round(
                statistics.median(one["fps"] / other["fps"] for one, other in zip(runs, base, strict=True)), 2
            ),
            "looks": round(statistics.median(one["looks"] for one in runs), 3),
        }
        for name, runs in found.items()
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """As Markdown."""
    heads = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    return "\n".join(
        [*lines, *(f"| {name} | " + " | ".join(map(str, row.values())) + " |" for name, row in rows.items())]
    )


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def _braced(text: str) -> str:
    """So that ``str.format`` leaves it alone."""
    return text.replace("{", "{{").replace("}", "}}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    if not (folder := os.environ.get(EVAL_VARIABLE)):
        print(f"less_work: needs evaluation data: set {EVAL_VARIABLE} to its folder", file=sys.stderr)
        return 2
    data, here = Path(folder).resolve(), machine()
    print(describe(here))
    found = {}
    for measured in (detect_every, motion_gate, detect_region):
        with tempfile.TemporaryDirectory() as scratch:
            found[measured.__name__] = measured(data, max(1, options.runs), Path(scratch))
        print(f"\n{table(found[measured.__name__])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": here, **found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
