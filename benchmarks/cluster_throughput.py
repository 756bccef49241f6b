"""Frames a second of all cameras together: on a cluster, and by as many plain processes with the same cameras.

    python benchmarks/cluster_throughput.py --rounds 5

Cameras send more than the machine can look at, so that what the cluster costs shows in what is left out. Rounds of both
take turns; the figure is the median of their ratios. All node processes are on this one machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the project's root is what has to be importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cluster import ROOT, Driver, online
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster
from tests.support.rtsp_server import FileLoop, RtspServer

_LEAST = 0.95
_STATS_S = 10.0  # between two events that tell how many frames were processed


def configuration(cameras: Mapping[str, str], threads: int, **more: object) -> str:
    """These cameras, with a feed, as JSON, which is YAML."""
    return json.dumps(
        {
            "streams": {name: {"source": url} for name, url in cameras.items()},
            "events": {"endpoint": f"tcp://127.0.0.1:{free_port_pair()}"},
            "threads": {"network": threads},
            **more,
        }
    )


def plain(cameras: Mapping[str, str], processes: int, threads: int, seconds: float, folder: Path) -> float:
    """Frames a second that so many processes get through together, from ten seconds after each camera's first frame."""
    names = list(cameras)
    running = []
    for number in range(processes):
        mine = {name: cameras[name] for name in names[number::processes]}
        config = folder / f"plain{number}.yaml"
        events = folder / f"plain{number}.jsonl"
        events.unlink(missing_ok=True)
        config.write_text(
            configuration(mine, threads, duration_s=seconds + 2 * _STATS_S, output={"jsonl": str(events)})
        )
        command = [sys.executable, str(ROOT / "run_pipeline.py"), "--quiet", "--config", str(config)]
        running.append((subprocess.Popen(command, cwd=folder), events))
    told: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    for process, events in running:
        process.wait(20 * seconds + 120)
        for line in events.read_text().splitlines():
            event = json.loads(line)
            if event["type"] == "stats":
                told[event["stream"]].append((event["pts_s"], event["ledger"]["processed"]))
    return sum((each[-1][1] - each[0][1]) / (each[-1][0] - each[0][0]) for each in told.values())


def clustered(cameras: Mapping[str, str], cluster: RayCluster, threads: int, seconds: float, folder: Path) -> float:
    """The same of a cluster, once all cameras are online."""
    (folder / "state.json").unlink(missing_ok=True)
    config = folder / "cluster.yaml"
    config.write_text(configuration(cameras, threads, cluster={"state": "state.json", "rebalance": False}))
    driver = Driver(cluster, config, f"tcp://127.0.0.1:{free_port_pair()}")
    try:
        time.sleep(5.0)
        if driver.wait(online, 180) is None:
            raise SystemExit("not all cameras came online")
        time.sleep(2.0)
        before = {stream.name: stream.past for stream in driver.status().streams}
        time.sleep(seconds)
        after = {stream.name: stream.past for stream in driver.status().streams}
        driver.stop()
    finally:
        if driver.process.poll() is None:
            driver.process.kill()
    return sum(
        (after[name].frames.processed - before[name].frames.processed) / (after[name].pts_s - before[name].pts_s)
        for name in cameras
    )


def main(given: Sequence[str] | None = None) -> int:
    """Compare them; returns 1 where the cluster gets through less than 95%."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args(given)
    clip = find_packaged(BIKES)
    assert clip is not None, "run make setup, which installs the clip"
    content = FileLoop(clip, fps=arguments.fps, width=320, height=136, keyframe_every=arguments.fps)
    names = [f"cam{number}" for number in range(arguments.cameras)]
    ratios = []
    with (
        tempfile.TemporaryDirectory(prefix="sightline-cluster-") as made,
        RtspServer(dict.fromkeys(names, content)) as server,
        RayCluster([f"node{number}" for number in range(arguments.nodes)]) as cluster,
    ):
        cameras = {name: server.url_of(name) for name in names}
        for number in range(arguments.rounds):
            alone = plain(cameras, arguments.nodes, 1, arguments.seconds, Path(made))
            together = clustered(cameras, cluster, 1, arguments.seconds, Path(made))
            ratios.append(together / alone)
            print(
                f"round {number + 1}: plain {alone:.1f} frames/s, cluster {together:.1f}, ratio {ratios[-1]:.3f}",
                flush=True,
            )
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f}, of {min(ratios):.3f} to {max(ratios):.3f}")
    return 0 if ratio >= _LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
