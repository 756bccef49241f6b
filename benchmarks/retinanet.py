"""Seconds that RetinaNet takes for a picture of 1280x720, on weights of random numbers, beside torchvision's own.

    python -m benchmarks.retinanet [--rounds 5] [--torchvision VENV/bin/python]

From the decoded picture to the detections, the best of some rounds; what the numbers are makes no difference to it. The
interpreter of an environment with torch and torchvision, as ``tests/oracles/retinanet_reference.py`` tells to make it,
adds the figures of torchvision on the same cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.oracles.retinanet_weights import picture

SIZES = (800, 400)
CONFIDENCE = 0.25
ROOT = Path(__file__).resolve().parents[1]


def best(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the quickest of some runs, after one that does not count."""
    run()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def time_ours(rounds: int) -> None:
    """Print a line for each size and precision."""
    from pipeline.detection.retinanet.detector import RetinaNetDetector
    from pipeline.models.networks.retinanet import RetinaNet
    from pipeline.models.registry import find_model
    from tests.support.retinanet_files import write_random_weights

    image = picture(720, 1280)
    network = find_model("retinanet").network()
    assert isinstance(network, RetinaNet)
    with tempfile.TemporaryDirectory() as folder:
        weights = write_random_weights(Path(folder) / "random.pth", network)
        for size in SIZES:
            for precision in ("float32", "bfloat16"):
                detector = RetinaNetDetector(
                    weights=weights, input_size=size, precision=precision, confidence=CONFIDENCE
                )
                seconds = best(lambda: detector.detect([image]), rounds)  # noqa: B023
                print(f"sightline    {size} {precision:9} {seconds:.3f} s", flush=True)
                detector.close()


def time_torchvision(rounds: int, threads: int) -> None:
    """The same in an environment that has torchvision."""
    import numpy as np
    import torch

    from tests.oracles.retinanet_reference import build

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    image = torch.from_numpy(np.ascontiguousarray(picture(720, 1280)[..., ::-1])).permute(2, 0, 1).float() / 255
    for size in SIZES:
        model = build(size, int(size * 1333 / 800), score_thresh=CONFIDENCE)
        print(f"torchvision  {size} float32   {best(lambda: model([image]), rounds):.3f} s", flush=True)  # noqa: B023


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of which the best counts (%(default)s)")
    parser.add_argument("--torchvision", metavar="PYTHON", help="an interpreter that has torchvision")
    parser.add_argument("--as-torchvision", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.as_torchvision is not None:
        time_torchvision(options.rounds, options.as_torchvision)
        return 0
    time_ours(options.rounds)
    if options.torchvision is not None:
        from pipeline.hardware import available_threads

        words = [options.torchvision, "-m", "benchmarks.retinanet", "--rounds", str(options.rounds)]
        return subprocess.run([*words, "--as-torchvision", str(available_threads())], cwd=ROOT, check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
