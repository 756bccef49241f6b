"""Damages files of weights in thousands of ways and gives each to its reader.

    python -m benchmarks.fuzz_weights [--files 5000] [--seed 1]

An ONNX network that would take more than 32 MB for what it computes is refused here; in use the limit is higher.

Every file must end in weights or in one `ModelError` of one line, and take no more memory than files of its size
may. Each kind of file is read in a process of its own, under a limit on its address space, so that a crash of a
library's is seen and told as well.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.errors import PipelineError
from pipeline.models.custom import onnx_model
from pipeline.models.engines import onnx_graph
from pipeline.models.networks.darknet_cfg import read_cfg
from pipeline.models.networks.yolov3_family import yolov3_tiny
from pipeline.models.weights.darknet import read_darknet_weights
from pipeline.models.weights.formats import SUFFIXES, read_weights, write_weights
from pipeline.models.weights.pytorch import read_state_dict
from tests.support.darknet_files import miniature, narrow, random_parameters, write_configuration
from tests.support.onnx_files import write_growing_yolox, write_miniature_yolox, write_network
from tests.support.onnx_layouts import FAMILIES, Known

NETWORK = miniature()
LONGEST_S = 30.0
MEMORY_BYTES = 64 << 20
"""What a process that reads files of 40 KB may need beyond what it had: page caches and fragments of its allocator."""


def mutate(content: bytes, generator: random.Random) -> bytes:
    """A damaged copy: bits and lengths changed, pieces removed, doubled, swapped, or the end cut off."""
    damaged = bytearray(content)
    # Most of a file of weights is numbers; what describes them is at the ends.
    edge = min(4096, len(content))
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        place = generator.randrange(len(content))
        if generator.random() < 0.8:
            place = generator.choice((place % edge, len(content) - 1 - place % edge))
        place = min(place, len(damaged) - 1)
        match generator.randrange(6):
            case 0:
                damaged[place] ^= 1 << generator.randrange(8)
            case 1:
                damaged[place : place + 4] = generator.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"))
            case 2:
                damaged[place : place + 8] = generator.randbytes(8)
            case 3:
                del damaged[place : place + generator.randrange(1, 64)]
            case 4:
                damaged[place:place] = damaged[place : place + generator.randrange(1, 64)]
            case _:
                if generator.random() < 0.3:
                    del damaged[place:]
        if not damaged:
            break
    return bytes(damaged)


def originals(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """Whole files of each kind, with what reads them."""
    parameters = random_parameters(NETWORK)
    found: dict[str, tuple[bytes, Callable[[Path], object]]] = {}
    for suffix in (".weights", ".h5", ".pt"):
        path = folder / f"original{suffix}"
        write_weights(path, parameters, NETWORK, SUFFIXES[suffix])
        reader = read_darknet_weights if suffix == ".weights" else read_weights
        found[suffix] = path.read_bytes(), lambda path, reader=reader: reader(path, NETWORK)  # type: ignore[misc]
    cfg = write_configuration(folder / "original.cfg", narrow(yolov3_tiny(3)), height=416, width=416)
    found[".cfg"] = cfg.read_bytes(), read_cfg
    for path in sorted(
        (Path(__file__).parents[1] / "tests" / "pipeline" / "models" / "weights" / "torch_files").glob("*.pt*")
    ):
        found[path.name] = path.read_bytes(), read_state_dict
    for name, path in onnx_files(folder).items():
        found[name] = path.read_bytes(), run_onnx
    return found


def onnx_files(folder: Path) -> dict[str, Path]:
    """Small ONNX networks that differ in their operators."""
    known = [Known((4, 4, 60, 60), 0.9, 1)]
    families = ("yolov8", "rt-detr", "darknet")
    made = {
        f"{name}.onnx": write_network(folder / f"{name}.onnx", FAMILIES[name], known, classes=3, shape=(64, 64))
        for name in families
    }
    return {
        "yolox.onnx": write_miniature_yolox(folder / "yolox.onnx"),
        "growing.onnx": write_growing_yolox(folder / "growing.onnx"),
        **made,
    }


def run_onnx(path: Path) -> None:
    """Open a network from an ONNX file and have it look at a picture, as a run does, within less memory."""
    setattr(onnx_graph, "MOST_BYTES", MEMORY_BYTES // 2)  # noqa: B010 - it is the module's own limit
    model = onnx_model("damaged", path, names=path.parent / "names")
    with contextlib.closing(OnnxDetector(model, input_size=None, precision="float32", threads=1)) as detector:
        detector.detect([np.zeros((48, 64, 3), np.uint8)])


def attempt(kind: str, seed: int, files: int, results: Any) -> None:
    """Read damaged files of one kind and tell what came of it."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        content, read = originals(Path(folder))[kind]
        (Path(folder) / "names").write_text("a\nb\nc\n")
        path = Path(folder) / "damaged"
        path.write_bytes(content)
        with contextlib.suppress(PipelineError):
            read(path)  # what is needed once
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        longest_s = 0.0
        for number in range(files):
            path.write_bytes(mutate(content, random.Random(f"{seed} {kind} {number}")))
            begun_s = time.monotonic()
            try:
                read(path)
                outcomes["read"] += 1
            except PipelineError as error:
                outcomes["refused" if "\n" not in str(error) else "more than one line"] += 1
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                outcomes[f"file {number}: {error!r:.200}"] += 1
            longest_s = max(longest_s, time.monotonic() - begun_s)
            results.put(("at", number))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    results.put(("done", outcomes, grown, longest_s, len(content)))


def run(kind: str, seed: int, files: int) -> bool:
    """Read damaged files of one kind in another process; print and return whether all went as it should."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=attempt, args=(kind, seed, files, results))
    process.start()
    last = -1
    while True:
        try:
            message = results.get(timeout=LONGEST_S if last >= 0 else 60)
        except Exception:  # noqa: BLE001 - queue.Empty: it hangs, or it is dead
            process.kill()
            process.join()
            print(f"{kind:20} file {last + 1} ended the process (exit code {process.exitcode}) or took {LONGEST_S:g} s")
            return False
        if message[0] == "done":
            break
        last = message[1]
    process.join()
    _, outcomes, grown, longest_s, size = message
    good = set(outcomes) <= {"read", "refused"} and grown < MEMORY_BYTES
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{kind:20} {size:7,} bytes: {told}; memory grew {grown / 1e6:.1f} MB, longest {longest_s * 1000:.0f} ms")
    return good


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000, help="damaged files of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", help="only this one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind for kind in originals(Path(folder)) if options.kind in (None, kind)]
    fine = [run(kind, options.seed, options.files) for kind in kinds]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
