"""A real cluster of node processes with real cameras, by the commands of docs/cluster.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.events import Event, Origin, StreamEnded, StreamOffline, StreamStarted, TrackStarted
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.client import subscribe
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster, require_ray
from tests.support.rtsp_server import FileLoop, RtspServer, require_rtsp_server

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("tiny_weights")


class Driver:
    """``cluster run`` in a process of its own, and the commands that it takes."""

    def __init__(self, cluster: RayCluster, config: Path) -> None:
        self.control = f"tcp://127.0.0.1:{free_port_pair()}"
        self._cluster, self._folder = cluster, config.parent
        self.process = self._start("run", str(config), "--address", cluster.address, "--set", f"control={self.control}")

    def _start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run_pipeline.py"), "cluster", *words],
            cwd=self._folder,
            env=self._cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *words: str) -> str:
        process = self._start(*words, "--control", self.control)
        printed, _ = process.communicate(timeout=60)
        return printed

    def places(self) -> dict[str, str]:
        """Per stream that is online, the node that it is on."""
        return dict(re.findall(r"^stream (\S+): online on ([^,]+),", self("status"), re.MULTILINE))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def end(self) -> str:
        printed, _ = self.process.communicate(timeout=60)
        return printed


class Reader:
    """Reads the merged feed from its beginning, in a thread."""

    def __init__(self, endpoint: str) -> None:
        self.events: list[Event] = []
        self._over = threading.Event()
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with subscribe(self._endpoint, history=True, heartbeats=True) as feed:
            for event in feed:
                self.events.append(event)
                if self._over.is_set():
                    return

    def close(self) -> None:
        self._over.set()
        self._thread.join(20)

    def of(self, kind: type[Any], stream: str) -> list[Any]:
        return [event for event in list(self.events) if isinstance(event, kind) and event.stream == stream]


def wait_for(true: Callable[[], bool], what: str, within_s: float = 90.0) -> None:
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    require_ray()
    with RayCluster(["gate", "yard"], labels={"yard": {"site": "yard"}}) as made:
        yield made


@pytest.fixture(scope="module")
def cameras(demo_clip: Path) -> Iterator[RtspServer]:
    require_rtsp_server()
    clip = FileLoop(demo_clip, fps=8, keyframe_every=4)
    with RtspServer({"door": clip, "lane": clip}) as server:
        yield server


@pytest.fixture(scope="module")
def config(cameras: RtspServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "cluster.yaml"
    path.write_text(
        f"streams: {{door: {{source: {cameras.url_of('door')}}}, lane: {{source: {cameras.url_of('lane')}}}}}\n"
        f"events: {{endpoint: tcp://127.0.0.1:{free_port_pair()}}}\n"
        "detect_every: 2\n"
        "cluster: {state: state.json, rebalance: false}\n"
    )
    return path


def endpoint(config: Path) -> str:
    found = re.search(r"endpoint: ([^}]+)", config.read_text())
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_cameras_on_two_nodes(cluster: RayCluster, config: Path) -> None:
    driver = Driver(cluster, config)
    reader = Reader(endpoint(config))
    try:
        wait_for(lambda: set(driver.places()) == {"door", "lane"}, "both cameras run")
        wait_for(lambda: bool(reader.of(TrackStarted, "door") and reader.of(TrackStarted, "lane")), "objects are seen")
        assert cluster.priorities("_ShardActor") == {os.getpriority(os.PRIO_PROCESS, 0)}
        other = {"gate": "yard", "yard": "gate"}[driver.places()["door"]]
        assert driver("move", "door", other).startswith("door moves")
        wait_for(lambda: driver.places().get("door") == other, "the camera moves")
        wait_for(lambda: len(reader.of(StreamStarted, "door")) == 2, "it is told of")
        assert "there is no stream" in driver("move", "none")
        assert "there is no node" in driver("drain", "none")
        assert driver("stop").strip() == "stopping"
        printed = driver.end()
        assert driver.process.returncode == 0, printed
    finally:
        driver.kill()
        reader.close()
    check_feed(reader.events)
    assert len(reader.of(StreamEnded, "door")) == 2


@pytest.mark.slow  # the promises in it are those of test_supervisor, without Ray
def test_a_lost_node_and_a_driver_that_leaves(cluster: RayCluster, config: Path) -> None:
    config = config.with_name("other.yaml")
    config.write_text(config.with_name("cluster.yaml").read_text().replace("state.json", "other.json"))
    driver = Driver(cluster, config)
    reader = Reader(endpoint(config))
    try:
        wait_for(lambda: set(driver.places()) == {"door", "lane"}, "both cameras run")
        lost = driver.places()["door"]
        rest = {"gate": "yard", "yard": "gate"}[lost]
        driver("move", "lane", rest)
        wait_for(lambda: driver.places().get("lane") == rest, "one on each node")
        wait_for(lambda: len(reader.of(TrackStarted, "door")) > 3, "objects are seen")
        cluster.kill(lost)
        wait_for(lambda: driver.places() == {"door": rest, "lane": rest}, "both run on the node that is left")
        cluster.start(lost)
        wait_for(lambda: f"node {lost}:" in driver("status"), "the node is back")
        assert "all streams go on" in driver("leave")
        assert driver.process.wait(30) == 0
        ids = {name: max(event.track_id for event in reader.of(TrackStarted, name)) for name in ("door", "lane")}
        driver = Driver(cluster, config)
        wait_for(lambda: driver.places() == {"door": rest, "lane": rest}, "the next driver takes them over")
        wait_for(
            lambda: all(any(event.track_id > ids[name] for event in reader.of(TrackStarted, name)) for name in ids),
            "they go on",
        )
        driver.process.send_signal(signal.SIGTERM)
        printed = driver.end()
        assert driver.process.returncode == 0, printed
    finally:
        driver.kill()
        reader.close()
    check_feed(reader.events)
    offline = [event for event in reader.of(StreamOffline, "door") if "lost" in event.reason]
    assert len(offline) == 1, "the lost node is told of, once"


def check_feed(events: list[Event]) -> None:
    """Two runs of the merged feed, each numbered without gaps; no event of a process comes twice or is left out."""
    assert not [event for event in events if isinstance(event, FeedGap)]
    told = [event for event in events if isinstance(event.origin, Origin) and not isinstance(event, FeedSnapshot)]
    for run in {event.run for event in told}:
        seqs = [event.seq for event in told if event.run == run]
        assert seqs == list(range(1, len(seqs) + 1))
    origins: dict[str, list[int]] = {}
    for event in told:
        assert isinstance(event.origin, Origin)
        if event.origin.seq is not None:
            origins.setdefault(event.origin.run, []).append(event.origin.seq)
    assert len(origins) >= 2
    for seqs in origins.values():
        assert seqs == list(range(1, len(seqs) + 1))
    for name in ("door", "lane"):
        ids = [event.track_id for event in told if isinstance(event, TrackStarted) and event.stream == name]
        assert ids == sorted(set(ids)), "ids grow, and none comes twice"
        assert any(isinstance(event, StreamStarted) and event.stream == name for event in told)
