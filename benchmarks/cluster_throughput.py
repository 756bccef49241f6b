"""Frames a second of all cameras together: on a cluster, and by as many plain processes with the same cameras.

    python -m benchmarks.cluster_throughput             # in turns, for a machine that does nothing else; four minutes
    python -m benchmarks.cluster_throughput --at-once   # beside each other, for one that does

Cameras send more than the machine can look at, so that what a cluster costs shows in what is left out. Both sides have
the same cameras in as many processes, one thread of the same engine in the same precision each, the same feed and the
same JSON Lines; Ray runs for the cluster's turns alone. What is measured begins once every camera is online and has
settled, and ends before any process does. In turns, each round in the other order, frames a second are compared, of
which everything that a cluster has takes its part. At once both sides have the same troubles, and what they share shows
whether the system treats them alike. What a frame costs of a processor is told for the pipelines alone, and with the
driver and Ray, which have cores of their own where they are on other machines.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil

if __package__ in (None, ""):  # run as a script: the project's root is what has to be importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cluster import ROOT, Driver, online
from pipeline.errors import PipelineError
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from sightline.server.control_socket import send_command
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster
from tests.support.rtsp_server import FileLoop, RtspServer

_LEAST = 0.95
_SETTLED_S = 3.0
_START_S = 180.0
# Streams tell every ten seconds how many frames went through them.
_LEAST_S = 10.0
# Cores that others may use while a machine counts as doing nothing else.
_QUIET = 0.1


@dataclass(frozen=True, slots=True)
class Setup:
    """What both sides run.

    Attributes:
        cameras: addresses, by name.
        nodes: names of the cameras that run in one process, by the name of its node.
        precision: of the network.
        folder: for configurations and events.
    """

    cameras: Mapping[str, str]
    nodes: Mapping[str, Sequence[str]]
    precision: str
    folder: Path

    def configuration(self, events: Path, names: Sequence[str], **more: object) -> dict[str, object]:
        """Of these cameras, with a feed and JSON Lines, one thread for the network."""
        return {
            "streams": {name: {"source": self.cameras[name]} for name in names},
            "model": {"engine": "openvino", "precision": self.precision},
            "events": {"endpoint": _endpoint()},
            "output": {"jsonl": str(events)},
            "threads": {"network": 1},
            **more,
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side did while it was measured.

    Attributes:
        fps: frames a second that all cameras' pipelines got through.
        pipelines: processor seconds a second of their processes.
        beside: likewise of what else this side has.
    """

    fps: float
    pipelines: float
    beside: float

    @property
    def frame_ms(self) -> float:
        """Processor time of the pipelines per frame, in ms."""
        return 1000 * self.pipelines / self.fps

    @property
    def all_ms(self) -> float:
        """Processor time per frame with all that this side has, in ms."""
        return 1000 * (self.pipelines + self.beside) / self.fps


def processed_fps(paths: Sequence[Path], names: Sequence[str], from_s: float, to_s: float) -> float:
    """Frames a second that these cameras' pipelines got through between two moments (seconds since 1970).

    Streams tell how many it were when they begin, every ten seconds, and when they end; between that it is as many in
    every second.

    Args:
        paths: JSON Lines of the whole run.
    """
    told: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    for path in paths:
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["type"] in ("stream.started", "stats", "stream.ended"):
                wall_s = datetime.fromisoformat(event["wall"]).timestamp()
                told[event["stream"]].append((wall_s, event.get("ledger", {"processed": 0})["processed"]))
    frames = 0.0
    for name, points in told.items():
        if not points or points[0][0] > from_s or points[-1][0] < to_s:
            raise SystemExit(f"{name} did not run all the time")
        walls, processed = zip(*points, strict=True)
        first, last = np.interp([from_s, to_s], walls, processed).tolist()
        frames += last - first
    return frames / (to_s - from_s)


def whose(command: Sequence[str]) -> str:
    """What a process of the benchmark is, by its command line."""
    words = " ".join(command)
    if "run_pipeline.py" in words:
        return "driver" if "cluster" in command else "plain"
    if "rtsp_server_main.py" in words:
        return "cameras"
    return "shards" if "ray::_ShardActor" in words else "Ray"


def processor_seconds() -> defaultdict[str, float]:
    """Processor time that was used so far, in seconds, by whose it was; ``others`` is none of the benchmark's."""
    used: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[whose(process.cmdline())] += times.user + times.system
    machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq + machine.steal
    used["others"] = busy - sum(used.values()) - own.user - own.system
    return used


Side = Callable[[Setup], AbstractContextManager[Sequence[Path]]]


@contextmanager
def plain(setup: Setup) -> Iterator[Sequence[Path]]:
    """A process for each node's cameras, started as users do; yields where their events are once it is over."""
    events, running, controls = [], [], []
    with ExitStack() as stack:
        for node, names in setup.nodes.items():
            events.append(setup.folder / f"{node}.jsonl")
            controls.append(_endpoint())
            config = setup.folder / f"{node}.yaml"
            config.write_text(json.dumps(setup.configuration(events[-1], names, control=controls[-1])))
            command = [sys.executable, str(ROOT / "run_pipeline.py"), "--quiet", "--config", str(config)]
            running.append(subprocess.Popen(command, cwd=setup.folder))
            stack.callback(_end, running[-1])
        for names, control in zip(setup.nodes.values(), controls, strict=True):
            _wait_until_online(control, len(names))
        yield events
        for process in running:
            process.terminate()  # all of them at once; then each is waited for


@contextmanager
def clustered(setup: Setup) -> Iterator[Sequence[Path]]:
    """A node of a cluster for the same cameras; likewise."""
    events, config = setup.folder / "merged.jsonl", setup.folder / "cluster.yaml"
    (setup.folder / "state.json").unlink(missing_ok=True)
    settings = setup.configuration(events, [], cluster={"state": "state.json", "rebalance": False})
    settings["streams"] = {
        name: {"source": setup.cameras[name], "node": {"name": node}}
        for node, names in setup.nodes.items()
        for name in names
    }
    config.write_text(json.dumps(settings))
    with ExitStack() as stack:
        driver = Driver(stack.enter_context(RayCluster(list(setup.nodes))), config, _endpoint())
        stack.callback(_end, driver.process)
        time.sleep(_SETTLED_S)
        if driver.wait(online, _START_S) is None:
            raise SystemExit("not all cameras came online")
        yield [events]


_SIDES: Mapping[str, Side] = {"plain": plain, "cluster": clustered}


def measure(sides: Mapping[str, Side], setup: Setup, seconds: float) -> dict[str, Turn]:
    """Run these sides at once, and measure them for so many seconds."""
    with ExitStack() as stack:
        paths = {name: stack.enter_context(side(setup)) for name, side in sides.items()}
        time.sleep(_SETTLED_S)
        before, from_s = processor_seconds(), time.time()
        time.sleep(seconds)
        after, to_s = processor_seconds(), time.time()
    cores = {name: (after[name] - before[name]) / (to_s - from_s) for name in sorted(after)}
    fps = {name: processed_fps(paths[name], list(setup.cameras), from_s, to_s) for name in sides}
    turns = {}
    if "plain" in sides:
        turns["plain"] = Turn(fps["plain"], cores["plain"], 0.0)
    if "cluster" in sides:
        turns["cluster"] = Turn(fps["cluster"], cores["shards"], cores["driver"] + cores["Ray"])
    for name, turn in turns.items():
        print(f"  {name}: {turn.fps:.1f} frames/s, {turn.frame_ms:.2f} ms of a core a frame", flush=True)
    noisy = " (not quiet: compare costs, not rates)" if cores["others"] > _QUIET and len(sides) == 1 else ""
    print(f"  cores: {', '.join(f'{each} {used:.3f}' for each, used in cores.items())}{noisy}", flush=True)
    return turns


def _endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port_pair()}"


def _wait_until_online(control: str, streams: int) -> None:
    """Wait for so many streams of a plain process."""
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s:
        with suppress(PipelineError):  # it does not listen yet
            if send_command(control, "status").count(": online,") == streams:
                return
        time.sleep(0.2)
    raise SystemExit("not all cameras came online")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it in order, so that its files are complete."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _told(what: str, ratios: Sequence[float]) -> float:
    median = statistics.median(ratios)
    print(f"{what}, cluster to plain: {median:.3f} (median of {min(ratios):.3f} to {max(ratios):.3f})", flush=True)
    return median


def main(given: Sequence[str] | None = None) -> int:
    """Compare them; returns 1 where the cluster gets through less than 95%."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--precision", default="float32", help="of both sides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--at-once", action="store_true", help="both sides beside each other, not in turns")
    options = parser.parse_args(given)
    if options.seconds < _LEAST_S:
        parser.error(f"--seconds: at least {_LEAST_S:.0f}")
    clip = find_packaged(BIKES)
    assert clip is not None, "run make setup, which installs the clip"
    content = FileLoop(clip, fps=options.fps, width=320, height=136, keyframe_every=options.fps)
    cameras = [f"cam{number}" for number in range(options.cameras)]
    nodes = {f"node{number}": cameras[number :: options.nodes] for number in range(options.nodes)}
    rounds = []
    with (
        tempfile.TemporaryDirectory(prefix="sightline-cluster-") as folder,
        RtspServer(dict.fromkeys(cameras, content)) as server,
    ):
        setup = Setup({name: server.url_of(name) for name in cameras}, nodes, options.precision, Path(folder))
        for number in range(options.rounds):
            print(f"round {number + 1}", flush=True)
            order = ("plain", "cluster")[:: -1 if number % 2 else 1]
            together = [order] if options.at_once else [(side,) for side in order]
            turns: dict[str, Turn] = {}
            for names in together:
                turns |= measure({name: _SIDES[name] for name in names}, setup, options.seconds)
            rounds.append((turns["cluster"], turns["plain"]))
    ratio = _told("frames/s", [ours.fps / theirs.fps for ours, theirs in rounds])
    _told("processor time of a frame, pipelines alone", [ours.frame_ms / theirs.frame_ms for ours, theirs in rounds])
    _told("processor time of a frame, with driver and Ray", [ours.all_ms / theirs.all_ms for ours, theirs in rounds])
    return 0 if ratio >= _LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
