"""Whether the defaults choose well: whole runs with them, and with every engine and precision that could be asked for.

    python -m benchmarks.choice [--clip C] [--runs 5] [--json X.json]

All take turns, from either end, events only; a round before them is not counted, in which the defaults measure if they
have to. The rate of the defaults is divided by that of the best explicit choice, which is the one with the best median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.measure import ROOT
from benchmarks.throughput import default_clips
from pipeline.errors import PipelineError
from pipeline.models.engines.base import ENGINES, PRECISIONS, can_compute

_DEFAULTS = "defaults"


def ways() -> dict[str, tuple[str, ...]]:
    """The options of each way, by name."""
    explicit = {
        f"{engine} {precision}": ("--engine", engine, "--precision", precision)
        for engine in ENGINES
        for precision in PRECISIONS[engine]
        # TensorFlow's float16 is for GPUs; on processors it is many times slower.
        if precision not in ("auto", "float16") and can_compute(engine, precision)
    }
    return {_DEFAULTS: (), **explicit}


def run(clip: Path, options: Sequence[str]) -> dict[str, Any]:
    """What the run reports.

    Raises:
        CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "run_pipeline.py", str(clip), "--quiet", "--report", str(report), *options]
        command += ["--jsonl", str(Path(folder) / "events.jsonl")]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def measure(clip: Path, runs: int) -> dict[str, list[dict[str, Any]]]:
    """The reports of each way that works here; what does not is told on standard error."""
    chosen = ways()
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(runs + 1):
        # In turn from either end: what follows TensorFlow then does not always do so.
        for name, options in list(chosen.items())[:: 1 if number % 2 else -1]:
            try:
                report = run(clip, options)
            except subprocess.CalledProcessError as error:
                print(f"{name} is left out: {error.stderr.decode().strip()}", file=sys.stderr)
                del chosen[name]
                continue
            if number:
                found.setdefault(name, []).append(report)
    return found


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
        print(f"choice: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{describe(here)}\n\n| | frames/s | first frame after, s | peak memory, MB |\n|---|---:|---:|---:|")
    fps = {name: statistics.median(report["fps"] for report in reports) for name, reports in found.items()}
    for name, reports in found.items():
        start_s, memory_mb = (
            statistics.median(report[key] for report in reports) for key in ("start_s", "peak_rss_mb")
        )
        print(f"| {name} | {fps[name]:.1f} | {start_s:.2f} | {memory_mb:.0f} |")
    best = max((name for name in fps if name != _DEFAULTS), key=lambda name: fps[name])
    rounds = zip(found[_DEFAULTS], found[best], strict=True)
    ratios = [ours["fps"] / theirs["fps"] for ours, theirs in rounds]
    last = found[_DEFAULTS][-1]
    print(f"\ndefaults: {last['engine']}, {last['precision']} ({last['engine_reason']})")
    print(f"by {best}, the best: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "runs": found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
