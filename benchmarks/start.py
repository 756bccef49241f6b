"""How long it takes from the command to the first analysed frame, and whose time that is.

    python -m benchmarks.start [--clip C] [--runs 5] [--json X.json]

Every program is started anew, in turn: Python alone, the engine's import, the network made and run once (which
includes that import and the weights), the whole command, and the whole command with an empty cache folder, which is
what a very first run is like: the precision is measured then, and remembered after it. The whole command less the
network is Sightline's own share: its imports, the configuration, opening the source and the outputs, the first frames.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.measure import ROOT
from benchmarks.throughput import default_clips
from pipeline.errors import PipelineError
from pipeline.models.cache import CACHE_VARIABLE

_IMPORT = "import pipeline.models.engines.quiet_openvino"
_NETWORK = "from pipeline.detection.yolov3.detector import YoloDetector; YoloDetector().warm_up({height}, {width}, 4)"


def programs(clip: Path) -> dict[str, Callable[[], float]]:
    """What is started, by name; each returns seconds."""
    from pipeline.sources.opening import open_source

    with open_source(str(clip)) as source:
        network = _NETWORK.format(height=source.info.height, width=source.info.width)
    return {
        "python": lambda: _run("pass"),
        "openvino": lambda: _run(_IMPORT),
        "network": lambda: _run(network),
        "command": lambda: _command(clip, {}),
        "first command": lambda: _first_command(clip),
    }


def measure(clip: Path, runs: int) -> dict[str, list[float]]:
    """Seconds of each program's runs; one round before is not counted, so that the disk is warm."""
    found: dict[str, list[float]] = {}
    started = programs(clip)
    for number in range(runs + 1):
        for name, start in started.items():
            seconds = start()
            if number:
                found.setdefault(name, []).append(seconds)
    return found


def table(found: dict[str, list[float]]) -> str:
    """Medians as Markdown; shares are differences within a round."""
    rounds = list(zip(*found.values(), strict=True))
    rows = {
        "Python's own start": [python for python, *_ in rounds],
        "OpenVINO's import": [openvino - python for python, openvino, *_ in rounds],
        "weights, reading the compiled network and its first run": [
            network - openvino for _, openvino, network, *_ in rounds
        ],
        "Sightline's own share": [command - network for *_, network, command, _ in rounds],
        "command to first analysed frame": [command for *_, command, _ in rounds],
        "the same, the very first time": [first for *_, first in rounds],
    }
    lines = ["| from the command to the first analysed frame | s |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {name} | {statistics.median(taken):.2f} |" for name, taken in rows.items())])


def _run(code: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began_s


def _first_command(clip: Path) -> float:
    """The same where nothing was ever measured; weights from a cache folder would have to be downloaded first."""
    with tempfile.TemporaryDirectory() as folder:
        return _command(clip, {CACHE_VARIABLE: folder})


def _command(clip: Path, environment: Mapping[str, str]) -> float:
    """What the run itself reports: the process began when the command did."""
    with tempfile.TemporaryDirectory() as folder:
        report, events = Path(folder) / "report.json", Path(folder) / "events.jsonl"
        command = [sys.executable, "run_pipeline.py", str(clip), "--duration", "0.5", "--quiet"]
        command += ["--jsonl", str(events), "--report", str(report)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)
        return float(json.loads(report.read_text())["start_s"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="default: the traffic clip, or the demo's")
    parser.add_argument("--runs", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    here = machine()
    try:
        found = measure((options.clip or default_clips()[0]).resolve(), max(1, options.runs))
    except PipelineError as error:
        print(f"start: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{describe(here)}\n\n{table(found)}")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "seconds": found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
