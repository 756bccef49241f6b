"""What the network costs per image: by engine, precision, input shape and batch.

    python -m benchmarks.engines [--shapes 256x416,416x416,352x608] [--batches 1,2,4,8] [--rounds 12] [--json X.json]

All engines and precisions take turns within a round, on noise, so that a machine that is busy for a while is so for all
of them; the median over the rounds is shown, and the processor time of all threads. int8 is shown where a network is
calibrated (`run_pipeline.py calibrate VIDEO`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from pipeline.errors import ConfigError, PipelineError
from pipeline.hardware import cpu_has_bfloat16
from pipeline.models.engines.base import ENGINES, PRECISIONS
from pipeline.models.engines.factory import create_engine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.registry import find_model, find_weights
from pipeline.models.weights.formats import read_weights


@dataclass(frozen=True, slots=True)
class Timing:
    """One engine and precision at one shape and batch; milliseconds per image."""

    engine: str
    precision: str
    height: int
    width: int
    batch: int
    ms: float
    cpu_ms: float


def make_engines(model: str, weights: Path | None, precisions: Sequence[str], threads: int | None) -> list[YoloEngine]:
    """Every engine in each of the precisions that it has; what can't be made is told on standard error."""
    described = find_model(model)
    network = described.network()
    if not isinstance(network, DarknetNetwork):
        raise ConfigError(f"{model}: is no network of the YOLO family, which these engines run.")
    parameters = read_weights(find_weights(described, weights), network)
    engines = []
    for name, precision in product(ENGINES, precisions):
        if precision not in PRECISIONS[name]:
            continue
        try:
            engines.append(create_engine(name, network, parameters, precision=precision, threads=threads))
        except PipelineError as error:
            print(f"{name} {precision} is left out: {error}", file=sys.stderr)
    return engines


def measure(engines: Sequence[YoloEngine], height: int, width: int, batch: int, rounds: int) -> list[Timing]:
    """Time all engines in turn at one shape and batch."""
    images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    taken: list[list[tuple[float, float]]] = [[] for _ in engines]
    for _ in range(rounds):
        for engine, times in zip(engines, taken, strict=True):
            engine.heads(images)  # brings back what the others have pushed out of the caches
            at_s, cpu_s = time.perf_counter(), time.process_time()
            engine.heads(images)
            times.append((time.perf_counter() - at_s, time.process_time() - cpu_s))
    timings = []
    for engine, times in zip(engines, taken, strict=True):
        wall, cpu = (statistics.median(column) * 1000 / batch for column in zip(*times, strict=True))
        timings.append(Timing(engine.name, engine.precision, height, width, batch, round(wall, 2), round(cpu, 2)))
    return timings


def table(timings: Sequence[Timing]) -> str:
    """Milliseconds per image as a Markdown table: a line for each engine and shape, a column for each batch."""
    batches = sorted({timing.batch for timing in timings})
    lines = ["| engine | precision | input | " + " | ".join(f"batch {batch}" for batch in batches) + " |"]
    lines.append("|---|---|---|" + "---:|" * len(batches))
    rows: dict[tuple[str, str, str], dict[int, float]] = {}
    for timing in timings:
        key = (timing.engine, timing.precision, f"{timing.height}x{timing.width}")
        rows.setdefault(key, {})[timing.batch] = timing.ms
    for (engine, precision, shape), row in sorted(rows.items(), key=lambda item: item[0][2]):
        lines.append(
            f"| {engine} | {precision} | {shape} | " + " | ".join(f"{row[batch]:.1f}" for batch in batches) + " |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-yolov3")
    parser.add_argument("--weights", type=Path, help="in place of the model's published file")
    parser.add_argument("--shapes", default="256x416,416x416,352x608", help="HEIGHTxWIDTH,... (%(default)s)")
    parser.add_argument("--batches", default="1,2,4,8", help="images at a time (%(default)s)")
    parser.add_argument("--precisions", help="default: float32, int8, and bfloat16 where the processor has it")
    parser.add_argument("--threads", type=int, help="processor cores to use (all)")
    parser.add_argument("--rounds", type=int, default=12, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    options = parser.parse_args(arguments)
    default = ["float32", *(["bfloat16"] if cpu_has_bfloat16() else []), "int8"]
    precisions = options.precisions.split(",") if options.precisions else default
    here = machine()
    try:
        engines = make_engines(options.model, options.weights, precisions, options.threads)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    timings: list[Timing] = []
    for shape, batch in product(options.shapes.split(","), map(int, options.batches.split(","))):
        height, width = map(int, shape.split("x"))
        timings += measure(engines, height, width, batch, max(1, options.rounds))
    print(f"{describe(here)}\n{options.model}, median of {options.rounds} rounds, ms per image\n\n{table(timings)}")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "timings": list(map(asdict, timings))}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
