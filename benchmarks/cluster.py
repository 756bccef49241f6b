"""Cameras on a cluster whose machines lose their power: is each back in time, and is nothing lost or told twice?

    python benchmarks/cluster.py --cameras 12 --nodes 3 --kills 10

A real Ray cluster of so many node processes on loopback, real RTSP cameras, `cluster run` as users start it. Nodes are
killed at random with all their processes, and started again. At the end all accounts are compared with each other: the
merged feed, the totals and ledgers that processes handed on, and what the cameras sent. Exit code 1: a check failed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import psutil

if __package__ in (None, ""):  # run as a script: the project's root is what has to be importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.events import Event, LineCrossed, Origin, StreamOffline, TrackStarted, ZoneEntered
from pipeline.feed_events import FeedGap, FeedSnapshot
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from sightline.cluster.status import ClusterStatus, StreamStatusLine
from sightline.server.control_socket import send_command
from sinks.feed.client import subscribe
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster
from tests.support.rtsp_server import FileLoop, RtspServer

ROOT = Path(__file__).parents[1]
BACK_WITHIN_S = 10.0
_QUIET_S = 3.0  # between a camera that is back and the next kill
_GROWTH = 1.25  # of memory, from the first quarter of the run to the last


@dataclass
class Run:
    """What was seen of a run."""

    events: list[Event] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    memory_mb: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def check(self, good: bool, what: str) -> None:
        """Note what is wrong."""
        if not good:
            self.problems.append(what)
            print(f"WRONG: {what}", flush=True)


class Driver:
    """``cluster run`` in a process of its own."""

    def __init__(self, cluster: RayCluster, config: Path, control: str) -> None:
        self.control = control
        self.log = config.with_suffix(".log").open("a")
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(ROOT / "run_pipeline.py"), "cluster", "run", str(config)),
                *("--address", cluster.address, "--set", f"control={control}", "-v", "--log-format", "json"),
            ],
            cwd=config.parent,
            env=cluster.environment,
            stdout=self.log,
            stderr=self.log,
        )

    def status(self) -> ClusterStatus:
        """How all is."""
        return msgspec.json.decode(send_command(self.control, "status-json"), type=ClusterStatus)

    def wait(self, true: Callable[[ClusterStatus], bool], within_s: float) -> ClusterStatus | None:
        """The first status of which that is true; None where there is none in time."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            status = self.status()
            if true(status):
                return status
            time.sleep(0.1)
        return None

    def stop(self) -> None:
        """End all streams."""
        send_command(self.control, "stop")
        self.process.wait(60)


def online(status: ClusterStatus) -> bool:
    """Whether every camera's pictures come in."""
    return all(stream.state == "online" for stream in status.streams)


def goes_on(before: Mapping[str, StreamStatusLine], status: ClusterStatus) -> bool:
    """Whether each camera has given frames since then; of one that moved, how long it was away is known with these."""

    def does(now: StreamStatusLine) -> bool:
        old = before[now.name]
        moved = now.epoch > old.epoch
        return now.past.offline_s > old.past.offline_s if moved else (now.past.number or 0) > (old.past.number or 0) + 1

    return online(status) and all(does(each) for each in status.streams)


def kill_nodes(run: Run, cluster: RayCluster, driver: Driver, names: Sequence[str], kills: int, seed: int) -> None:
    """Kill a node at random and see its cameras come back, again and again."""
    chance = random.Random(seed)
    for number in range(kills):
        before = driver.wait(online, 60)
        if before is None:
            run.check(False, f"kill {number + 1}: not all cameras were back before it")
            continue
        epochs = {stream.name: stream.epoch for stream in before.streams}
        node = chance.choice([each.name for each in before.nodes if each.streams])
        hit = [stream.name for stream in before.streams if stream.node == node]
        begun_s = time.monotonic()
        cluster.kill(node)
        missing = set(hit)
        while missing and time.monotonic() - begun_s < 60:
            for stream in driver.status().streams:
                fresh = stream.name in missing and stream.state == "online" and stream.epoch > epochs[stream.name]
                if fresh:
                    run.back_s.append(time.monotonic() - begun_s)
                    missing.discard(stream.name)
            time.sleep(0.1)
        took_s = run.back_s[-len(hit) :]
        print(
            f"kill {number + 1}: {node} with {len(hit)} cameras, back after {max(took_s, default=0):.1f} s", flush=True
        )
        run.check(not missing, f"kill {number + 1}: {', '.join(sorted(missing))} did not come back")
        cluster.start(node)
        # With cameras on it again, so that the next kill hits something.
        driver.wait(lambda status: online(status) and all(each.streams for each in status.nodes if not each.why), 45)
        time.sleep(_QUIET_S)
        watch_memory(run, driver)


def watch_memory(run: Run, driver: Driver) -> None:
    """Note the memory of the driver and of each node's shards."""
    run.memory_mb["driver"].append(psutil.Process(driver.process.pid).memory_info().rss / 1e6)
    for node in driver.status().nodes:
        if node.streams:
            run.memory_mb["shard"].append(node.memory_mb / max(1, node.processes))


def drain_and_move(run: Run, driver: Driver) -> None:
    """Move a camera and drain a node: what is lost is what a reconnect loses."""
    status = driver.wait(online, 60)
    if status is None:
        run.check(False, "not all cameras were online before the move")
        return
    stream = status.streams[0]
    for what, words in (
        ("move", f"move {stream.name}"),
        ("drain", f"drain {next(each.name for each in status.nodes if each.streams)}"),
    ):
        before = {each.name: each for each in driver.status().streams}
        begun_s = time.monotonic()
        reply = send_command(driver.control, words)
        time.sleep(1.0)
        status = driver.wait(online, 60)
        took_s = time.monotonic() - begun_s
        run.check(status is not None and not reply.startswith("error"), f"{what}: {reply}")
        told = driver.wait(partial(goes_on, before), 30)
        run.check(told is not None, f"{what}: not all cameras go on")
        for each in [] if told is None else told.streams:
            old = before[each.name].past
            if each.epoch > before[each.name].epoch:
                away_s = each.past.offline_s - old.offline_s
                print(f"{what}: {each.name} was away for {away_s:.2f} s", flush=True)
                run.check(away_s < 5.0, f"{what}: {each.name} was away for {away_s:.1f} s")
        print(f"{what}: {reply}; all back after {took_s:.1f} s", flush=True)


def check_feed(run: Run) -> None:
    """One numbering without gaps, every event of every process once, ids that never come twice."""
    run.check(not any(isinstance(event, FeedGap) for event in run.events), "the merged feed has gaps")
    told = [event for event in run.events if not isinstance(event, FeedSnapshot)]
    run.check([event.seq for event in told] == list(range(1, len(told) + 1)), "the merged numbering has gaps")
    origins: dict[str, list[int]] = defaultdict(list)
    for event in told:
        if isinstance(event.origin, Origin) and event.origin.seq is not None:
            origins[event.origin.run].append(event.origin.seq)
    for number, seqs in origins.items():
        run.check(seqs == list(range(1, len(seqs) + 1)), f"events of process {number} are left out or doubled")
    ids: dict[str, list[int]] = defaultdict(list)
    for event in told:
        if isinstance(event, TrackStarted):
            ids[event.stream].append(event.track_id)
    for stream, given in ids.items():
        run.check(len(given) == len(set(given)), f"{stream}: an id came twice")
    print(f"feed: {len(told)} events of {len(origins)} processes, {sum(map(len, ids.values()))} tracks", flush=True)


def check_accounts(run: Run, status: ClusterStatus, fps: float, seconds: float) -> None:
    """The totals that processes handed on are those of the feed; frames went somewhere, as many as were sent."""
    counted: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    visited: set[tuple[str, int, str]] = set()
    offline = Counter[str]()
    for event in run.events:
        if isinstance(event, TrackStarted):
            counted[event.stream]["object", event.class_name] += 1
        elif isinstance(event, LineCrossed):
            counted[event.stream][event.line, event.class_name, event.direction] += 1
        elif isinstance(event, ZoneEntered) and (event.stream, event.track_id, event.zone) not in visited:
            visited.add((event.stream, event.track_id, event.zone))
            counted[event.stream]["zone", event.zone, event.class_name] += 1
        elif isinstance(event, StreamOffline):
            offline[event.stream] += 1
    for stream in status.streams:
        past, told = stream.past, counted[stream.name]
        handed_on: Counter[tuple[str, ...]] = Counter(
            {("object", name): counts.unique for name, counts in past.objects.items()}
        )
        for line, classes in past.lines.items():
            for name, ways in classes.items():
                handed_on.update({(line, name, way): count for way, count in ways.items()})
        for zone, visits in past.zones.items():
            handed_on.update({("zone", zone, name): int(each["unique"]) for name, each in visits.items()})
        run.check(+handed_on == +told, f"{stream.name}: totals {dict(+handed_on)} are not those told, {dict(+told)}")
        frames = past.frames
        gone = frames.processed + sum(frames.dropped.values()) + sum(frames.failed.values())
        run.check(frames.decoded == gone, f"{stream.name}: decoded {frames.decoded}, but {gone} went somewhere")
        sent = fps * (seconds - past.offline_s)
        off = frames.decoded / sent - 1
        print(
            f"{stream.name}: {frames.decoded} frames decoded of {sent:.0f} sent while it was online ({off:+.1%}), "
            f"{past.outages} outages, {past.offline_s:.1f} s",
            flush=True,
        )
        run.check(abs(off) < 0.05, f"{stream.name}: {frames.decoded} frames are not the {sent:.0f} that were sent")


def check_memory(run: Run) -> None:
    """Memory is flat."""
    for what, seen in run.memory_mb.items():
        part = max(1, len(seen) // 4)
        first, last = sum(seen[:part]) / part, sum(seen[-part:]) / part
        print(f"memory of a {what}: {first:.0f} MB at first, {last:.0f} MB at last", flush=True)
        run.check(last <= _GROWTH * first, f"the memory of the {what} grew from {first:.0f} to {last:.0f} MB")


def configuration(cameras: dict[str, str], endpoint: str, detect_every: int) -> str:
    """The configuration of all cameras."""
    streams = "\n".join(f"  {name}: {{source: {url}}}" for name, url in cameras.items())
    return (
        f"streams:\n{streams}\nevents: {{endpoint: {endpoint}}}\ndetect_every: {detect_every}\n"
        "model: {input_size: 320}\n"
        "zones: {left: {polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], units: fraction}}\n"
        "lines: {middle: {start: [0.5, 0], end: [0.5, 1], units: fraction}}\n"
        "cluster: {state: state.json}\n"
    )


def read_feed(run: Run, endpoint: str, over: threading.Event) -> None:
    """Read the merged feed as any subscriber does."""
    with subscribe(endpoint, history=True, heartbeats=True) as feed:
        for event in feed:
            if event.seq and type(event).__name__ != "Heartbeat":
                run.events.append(event)
            if over.is_set():
                return


def prove(arguments: argparse.Namespace, folder: Path) -> Run:
    """Kill nodes, move cameras, and check all accounts."""
    run = Run()
    names = [f"node{number}" for number in range(arguments.nodes)]
    clip = find_packaged(BIKES)
    assert clip is not None, "run make setup, which installs the clip"
    content = FileLoop(clip, fps=arguments.fps, width=320, height=136, keyframe_every=arguments.fps)
    cameras = {f"cam{number:02}": content for number in range(arguments.cameras)}
    endpoint, control = (f"tcp://127.0.0.1:{free_port_pair()}" for _ in range(2))
    config = folder / "cluster.yaml"
    with RtspServer(cameras) as server, RayCluster(names) as cluster:
        config.write_text(
            configuration({name: server.url_of(name) for name in cameras}, endpoint, arguments.detect_every)
        )
        driver = Driver(cluster, config, control)
        over = threading.Event()
        reader = threading.Thread(target=read_feed, args=(run, endpoint, over), daemon=True)
        reader.start()
        try:
            time.sleep(5.0)
            started = driver.wait(online, 180)
            run.check(started is not None, "not all cameras came online")
            watch_memory(run, driver)
            kill_nodes(run, cluster, driver, names, arguments.kills, arguments.seed)
            drain_and_move(run, driver)
            driver.wait(online, 60)
            time.sleep(3.0)
            watch_memory(run, driver)
            status = driver.status()
            driver.stop()
            time.sleep(2.0)
        finally:
            over.set()
            if driver.process.poll() is None:
                driver.process.kill()
            reader.join(5)
            print((folder / "cluster.log").read_text()[-6000:] if run.problems else "", flush=True)
        final = msgspec.json.decode((folder / "state.json").read_bytes())["streams"]
    # What processes had come to when all was over; the time is that from each camera's first frame to its last.
    ended = [
        msgspec.structs.replace(stream, past=msgspec.convert(final[stream.name]["past"], type(stream.past)))
        for stream in status.streams
    ]
    check_feed(run)
    for stream in ended:
        check_accounts(
            run, msgspec.structs.replace(status, streams=[stream]), arguments.fps, stream.past.pts_s + 1 / arguments.fps
        )
    check_memory(run)
    if run.back_s:
        run.check(max(run.back_s) <= BACK_WITHIN_S, f"a camera was away for {max(run.back_s):.1f} s")
        median_s = sorted(run.back_s)[len(run.back_s) // 2]
        lost = f"{len(run.back_s)} times a camera lost its node, and was back after"
        print(f"{lost} {median_s:.1f} s (median), {max(run.back_s):.1f} s at most", flush=True)
    return run


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--fps", type=int, default=5)
    parser.add_argument("--detect-every", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sightline-cluster-") as folder:
        run = prove(arguments, Path(folder))
    print("\n".join(run.problems) or "all accounts agree", flush=True)
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
