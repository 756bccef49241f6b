"""The machine with Ray's head and ``cluster run`` is lost; what becomes of the cameras on the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.events import TrackStarted
from tests.support.cluster_run import Driver, Reader, check_feed, endpoint, wait_for
from tests.support.free_ports import free_port_pair
from tests.support.ray_cluster import RayCluster, require_ray
from tests.support.redis_server import RedisServer, require_redis
from tests.support.rtsp_server import FileLoop, RtspServer, require_rtsp_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_weights")]

PLACES = {"door": "gate", "lane": "yard"}
# As docs/cluster.md has it, so that nodes wait for a head that is away.
WAITING = {"RAY_gcs_rpc_server_reconnect_timeout_s": "86400"}


def configured(server: RtspServer, folder: Path) -> Path:
    streams = ", ".join(
        f"{name}: {{source: {server.url_of(name)}, node: {{name: {node}}}}}" for name, node in PLACES.items()
    )
    config = folder / "cluster.yaml"
    config.write_text(
        f"streams: {{{streams}}}\nevents: {{endpoint: tcp://127.0.0.1:{free_port_pair()}}}\ndetect_every: 2\n"
        "cluster: {state: state.json, rebalance: false}\n"
    )
    return config


def cameras(clip: Path) -> RtspServer:
    require_rtsp_server()
    content = FileLoop(clip, fps=8, keyframe_every=4)
    return RtspServer(dict.fromkeys(PLACES, content))


def highest_ids(reader: Reader) -> dict[str, int]:
    return {name: max((event.track_id for event in reader.of(TrackStarted, name)), default=0) for name in PLACES}


def goes_on(reader: Reader, before: dict[str, int]) -> bool:
    return all(number > before[name] for name, number in highest_ids(reader).items())


def test_a_new_head_with_the_old_ones_state_finds_all_that_runs(demo_clip: Path, tmp_path: Path) -> None:
    require_ray()
    require_redis()
    with (
        cameras(demo_clip) as server,
        RedisServer(tmp_path) as redis,
        RayCluster(list(PLACES.values()), environment={**WAITING, "RAY_REDIS_ADDRESS": redis.address}) as cluster,
    ):
        config = configured(server, tmp_path)
        driver, reader = Driver(cluster, config), Reader(endpoint(config))
        try:
            wait_for(lambda: driver.places() == PLACES, "both cameras run")
            wait_for(lambda: goes_on(reader, dict.fromkeys(PLACES, 0)), "objects are seen")
            shards = {shard.pid for shard in cluster.shards()}
            cluster.kill_head()
            driver.kill()
            before = highest_ids(reader)
            cluster.start_head()
            driver = Driver(cluster, config)
            wait_for(lambda: driver.places() == PLACES, "the next driver takes them over")
            wait_for(lambda: goes_on(reader, before), "they go on")
            assert {shard.pid for shard in cluster.shards()} == shards, "in the processes that had them"
            driver("stop")
            printed = driver.end()
            assert driver.process.returncode == 0, printed
        finally:
            driver.kill()
            reader.close()
    check_feed(reader.events, killed=True)  # nothing of the time between is missing


def test_under_a_new_head_that_knows_nothing_streams_begin_anew_where_they_left(
    demo_clip: Path, tmp_path: Path
) -> None:
    require_ray()
    with cameras(demo_clip) as server, RayCluster(list(PLACES.values()), environment=WAITING) as cluster:
        config = configured(server, tmp_path)
        driver, reader = Driver(cluster, config), Reader(endpoint(config))
        try:
            wait_for(lambda: driver.places() == PLACES, "both cameras run")
            wait_for(lambda: goes_on(reader, dict.fromkeys(PLACES, 0)), "objects are seen")
            cluster.kill_head()
            before = highest_ids(reader)
            wait_for(lambda: goes_on(reader, before), "cameras and the feed go on without a head")
            cluster.shards()[0].kill()
            wait_for(
                lambda: driver.places() == {"lane": "yard"}, "commands are answered while no process can be started"
            )
            cluster.start_head()
            wait_for(lambda: not cluster.shards() and driver.process.poll() is not None, "all of the old cluster ends")
            assert driver.process.returncode != 0, "which a service manager takes for a reason to start it again"
            before = highest_ids(reader)
            for name in PLACES.values():
                cluster.kill(name)
                cluster.start(name)
            driver = Driver(cluster, config)
            wait_for(lambda: driver.places() == PLACES, "cameras run in new processes")
            wait_for(lambda: goes_on(reader, before), "their ids go on")
            driver("stop")
            printed = driver.end()
            assert driver.process.returncode == 0, printed
        finally:
            driver.kill()
            reader.close()
    check_feed(reader.events, killed=True)


def test_a_run_that_is_told_to_stop_without_a_head_ends(demo_clip: Path, tmp_path: Path) -> None:
    require_ray()
    with cameras(demo_clip) as server, RayCluster(list(PLACES.values()), environment=WAITING) as cluster:
        config = configured(server, tmp_path)
        driver, reader = Driver(cluster, config), Reader(endpoint(config))
        try:
            wait_for(lambda: driver.places() == PLACES, "both cameras run")
            wait_for(lambda: goes_on(reader, dict.fromkeys(PLACES, 0)), "objects are seen")
            cluster.kill_head()
            driver("stop")
            printed = driver.end()
            assert driver.process.returncode == 0, printed
            wait_for(lambda: not cluster.shards(), "the processes end, too")
        finally:
            driver.kill()
            reader.close()
    check_feed(reader.events, killed=False)
