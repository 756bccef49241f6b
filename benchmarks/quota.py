"""What a container's quota of one core gives, compared with one core that the process is tied to.

    sudo python -m benchmarks.quota [--clip C] [--runs 5] [--json X.json]

The same command runs in turn in a control group that may use as much processor time as one core gives, and tied to one
core. A program that takes no notice of the quota starts threads for cores that it may not use, and is stopped for most
of every tenth of a second. Takes Linux, two cores or more, and the right to make control groups.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.measure import ROOT
from benchmarks.throughput import default_clips
from pipeline.errors import PipelineError

_PERIOD_US = 100_000


@contextmanager
def group(cores: float) -> Iterator[Path]:
    """A control group that may use the time of so many cores, in whichever version this machine has.

    Raises:
        PipelineError: none can be made here.
    """
    quota = str(round(cores * _PERIOD_US))
    for folder, files in (
        (Path("/sys/fs/cgroup"), {"cpu.max": f"{quota} {_PERIOD_US}"}),
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": quota}),
    ):
        made = folder / f"sightline-benchmark-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            if not all((made / name).exists() for name in files):
                continue
            for name, text in files.items():
                (made / name).write_text(text)
            yield made
            return
        finally:
            made.rmdir()
    raise PipelineError("no control group can be made here: that takes Linux, and the right to do it.")


def run(clip: Path, enter: Callable[[], object]) -> dict[str, Any]:
    """The report of one run; ``enter`` is called in the new process before the command begins."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "run_pipeline.py", str(clip), "--quiet", "--report", str(report)]
        command += ["--jsonl", str(Path(folder) / "events.jsonl")]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, preexec_fn=enter)
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def measure(clip: Path, cores: int, runs: int) -> dict[str, list[dict[str, Any]]]:
    """Frames per second, threads, engine and precision of each run; one round before is not counted."""
    found: dict[str, list[dict[str, Any]]] = {}
    with group(cores) as made:
        ways: dict[str, Callable[[], object]] = {
            "quota": lambda: (made / "cgroup.procs").write_text(str(os.getpid())),
            "tied": lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
        }
        for number in range(runs + 1):
            for name, enter in ways.items():
                report = run(clip, enter)
                told = {key: report[key] for key in ("fps", "network_threads", "engine", "precision")}
                if number:
                    found.setdefault(name, []).append(told)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="default: the traffic clip, or the demo's")
    parser.add_argument("--cores", type=int, default=1, help="of the quota (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    here = machine()
    try:
        found = measure((options.clip or default_clips()[0]).resolve(), options.cores, max(1, options.runs))
    except PipelineError as error:
        print(f"quota: {error}", file=sys.stderr)
        return error.exit_code
    ratios = [one["fps"] / other["fps"] for one, other in zip(found["quota"], found["tied"], strict=True)]
    print(
        f"{describe(here)}\n\n| {options.cores} of {here['cores']} cores | frames/s | network threads |\n"
        "|---|---:|---:|"
    )
    for name, runs in found.items():
        threads = sorted({run["network_threads"] for run in runs})
        print(f"| {name} | {statistics.median(run['fps'] for run in runs):.1f} | {', '.join(map(str, threads))} |")
    print(f"\nquota by tied: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "runs": found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
