"""A real cluster of node processes with real cameras, by the commands of docs/cluster.md."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.events import StreamEnded, StreamOffline, StreamStarted, TrackStarted
from tests.support.cluster_run import Driver, Reader, check_feed, endpoint, wait_for
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster, require_ray
from tests.support.rtsp_server import FileLoop, RtspServer, require_rtsp_server
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("tiny_weights")


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


@pytest.mark.slow
def test_cameras_on_two_nodes(cluster: RayCluster, config: Path) -> None:
    driver = Driver(cluster, config)
    reader = Reader(endpoint(config))
    try:
        wait_for(lambda: set(driver.places()) == {"door", "lane"}, "both cameras run")
        wait_for(lambda: bool(reader.of(TrackStarted, "door") and reader.of(TrackStarted, "lane")), "objects are seen")
        threads = [thread.id for shard in cluster.shards() for thread in shard.threads()]
        assert {os.getpriority(os.PRIO_PROCESS, each) for each in threads} == {os.getpriority(os.PRIO_PROCESS, 0)}
        other = {"gate": "yard", "yard": "gate"}[driver.places()["door"]]
        assert driver("move", "door", other).startswith("door moves")
        wait_for(lambda: driver.places().get("door") == other, "the camera moves")
        wait_for(lambda: len(reader.of(StreamStarted, "door")) == 2, "it is told of")
        shards = cluster.shards()
        for shard in shards:
            shard.terminate()
        assert not psutil.wait_procs(shards, timeout=30)[1], "a process that is told to end does"
        wait_for(lambda: len(reader.of(StreamStarted, "door")) == 3, "its camera goes on in another")
        assert "there is no stream" in driver("move", "none")
        assert "there is no node" in driver("drain", "none")
        assert driver("stop").strip() == "stopping"
        printed = driver.end()
        assert driver.process.returncode == 0, printed
    finally:
        driver.kill()
        reader.close()
    check_feed(reader.events)
    assert len(reader.of(StreamEnded, "door")) >= 2


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
        assert driver.process.wait(PATIENCE_S) == 0
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
