"""Which stream runs where: on machines that come and go, in processes that crash, by configurations that change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.events import Event, Origin, StreamEnded, StreamOffline, StreamStarted, TrackEnded, TrackStarted
from sightline.cluster.continuity import RESERVED_IDS
from sightline.cluster.memory import Memory, recall
from sightline.cluster.merger import Merger
from sightline.cluster.messages import ShardStatus
from sightline.cluster.stream_record import StreamRecord
from sightline.cluster.supervisor import Supervisor
from sightline.config.loading import load_config
from sightline.config.schema import Config
from tests.support.fakes import MemorySink
from tests.support.local_fleet import VERSIONS, LocalFleet
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server
from tests.support.waiting import PATIENCE_S

NAMES = ("door", "yard", "lane")


@pytest.fixture(scope="module")
def cameras() -> Iterator[RtspServer]:
    require_rtsp_server()
    picture = LivePicture(160, 120, fps=10, keyframe_every=5)
    with RtspServer(dict.fromkeys(NAMES, picture)) as server:
        yield server


class Cluster:
    """A supervisor with its merger, driven by the test."""

    def __init__(self, config: Config, fleet: LocalFleet) -> None:
        self.fleet = fleet
        self.sink = MemorySink()
        memory = recall(config.cluster.state)
        self.merger = Merger([self.sink], ["blob"], capacity=4, positions=memory.positions)
        self.supervisor = Supervisor(config, fleet, self.merger, memory=memory, versions=VERSIONS)

    def record(self, name: str) -> StreamRecord:
        return next(record for record in self.supervisor.records if record.name == name)

    def node(self, name: str) -> str | None:
        """Where a stream is whose pictures come in."""
        record = self.record(name)
        links = {link.name: link.node.name for link in self.supervisor.links}
        state = record.state
        if record.place != "placed" or state is None or state.state != "online" or state.epoch != record.epoch:
            return None
        return links.get(record.shard or "")

    def until(self, true: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        until_s = time.monotonic() + within_s
        while not true():
            records = [(r.name, r.place, r.shard, r.reason, r.state) for r in self.supervisor.records]
            assert time.monotonic() < until_s, records
            self.supervisor.step()
            assert self.merger.failure is None
            time.sleep(0.05)

    def of(self, kind: type[Any], stream: str) -> list[Any]:
        return [event for event in list(self.sink.events) if isinstance(event, kind) and event.stream == stream]

    def stop(self) -> None:
        self.supervisor.stop()
        self.merger.close()


@contextmanager
def running(config: Config, fleet: LocalFleet) -> Iterator[Cluster]:
    cluster = Cluster(config, fleet)
    try:
        yield cluster
    finally:
        cluster.stop()
        fleet.close()


def configured(
    cameras: RtspServer, folder: Path, *names: str, own: Mapping[str, Any] | None = None, **more: Any
) -> Config:
    streams = {name: {"source": cameras.url_of(name), **(own or {}).get(name, {})} for name in names}
    cluster = {"state": folder / "state.json", "rebalance": False}
    return load_config(None, (), {"streams": streams, "cluster": cluster, **more})


def check_whole(events: list[Event]) -> None:
    """Every event of every process once, and ids that grow."""
    seqs: dict[str, list[int]] = {}
    ids: dict[str, list[int]] = {}
    for event in events:
        if isinstance(event.origin, Origin) and event.origin.seq is not None:
            seqs.setdefault(event.origin.run, []).append(event.origin.seq)
        if isinstance(event, TrackStarted):
            ids.setdefault(event.stream, []).append(event.track_id)
    for numbers in seqs.values():
        assert numbers == list(range(1, len(numbers) + 1))
    for given in ids.values():
        assert given == sorted(set(given))


def test_a_node_is_drained(cameras: RtspServer, tmp_path: Path) -> None:
    with running(configured(cameras, tmp_path, "door", "yard"), LocalFleet({"a": {}, "b": {}})) as cluster:
        cluster.until(lambda: bool(cluster.node("door") and cluster.node("yard")))
        cluster.until(lambda: len(cluster.of(TrackStarted, "door")) > 0)
        here = cluster.node("door")
        other = {"a": "b", "b": "a"}[str(here)]
        assert cluster.supervisor.drain(str(here)).startswith(f"{here} is drained: ")
        cluster.until(lambda: cluster.node("door") == cluster.node("yard") == other)
        shard = cluster.supervisor.shard_of("door")
        assert shard is not None and shard.name.startswith(f"shard-{other}-"), "which has its pictures"
        assert cluster.supervisor.shard_of("none") is None
        record = cluster.record("door")
        assert record.past.highest_id < 1000, "what is handed over in order leaves no ids out"
        assert "takes streams again" in cluster.supervisor.undrain(str(here))
    ended = cluster.of(StreamEnded, "door")
    assert [event.reason for event in ended] == ["removed", "removed"]
    assert ended[1].ledger.decoded > ended[0].ledger.decoded, "the ledger goes on"
    check_whole(cluster.sink.events)


def test_a_node_is_lost(cameras: RtspServer, tmp_path: Path) -> None:
    fleet = LocalFleet({"a": {}, "b": {}})
    with running(configured(cameras, tmp_path, "door"), fleet) as cluster:
        cluster.until(lambda: cluster.node("door") is not None and len(cluster.of(TrackStarted, "door")) > 0)
        cluster.until(lambda: cluster.record("door").past.pts_s > 0)
        here = str(cluster.node("door"))
        fleet.lose(here)
        cluster.until(lambda: cluster.node("door") not in (None, here))
        cluster.until(lambda: cluster.of(TrackStarted, "door")[-1].track_id > 1000)
    (offline,) = cluster.of(StreamOffline, "door")
    assert "lost" in offline.reason and offline.origin.seq is None
    assert {event.reason for event in cluster.of(TrackEnded, "door") if event.origin.seq is None} <= {"gap"}
    started = cluster.of(StreamStarted, "door")
    assert len(started) == 2 and started[1].pts_s > started[0].pts_s, "media time goes on"
    check_whole(cluster.sink.events)
    ids = {event.track_id for event in cluster.of(TrackStarted, "door")}
    assert cluster.record("door").past.objects["blob"].unique == len(ids), "totals are those of the feed"


def crashes(status: ShardStatus) -> bool:
    state = status.streams.get("yard")
    return state is not None and state.state == "online"


def test_a_stream_that_takes_its_process_down_is_set_aside(cameras: RtspServer, tmp_path: Path) -> None:
    with running(configured(cameras, tmp_path, "door", "yard"), LocalFleet({"a": {}}, crashes)) as cluster:
        cluster.until(lambda: cluster.record("yard").place == "aside")
        cluster.until(lambda: cluster.node("door") == "a")
        assert "its process ended" in cluster.record("yard").reason
        epoch = cluster.record("door").epoch
        until_s = time.monotonic() + 1.0
        cluster.until(lambda: time.monotonic() > until_s)
        assert cluster.record("door").epoch == epoch, "it is not disturbed any more"
    check_whole(cluster.sink.events)


def test_pinned_streams_and_changes(cameras: RtspServer, tmp_path: Path) -> None:
    own = {"door": {"node": {"site": "north"}}, "yard": {"node": {"site": "west"}}}
    fleet = LocalFleet({"a": {"site": "north"}, "b": {"site": "south"}})
    with running(configured(cameras, tmp_path, "door", "yard", own=own), fleet) as cluster:
        cluster.until(lambda: cluster.node("door") == "a")
        assert cluster.record("yard").reason == "no node that takes streams has site=west"
        own = {"door": {"node": {"site": "south"}}}
        told = cluster.supervisor.reload(configured(cameras, tmp_path, "door", "lane", own=own))
        assert told == "the configuration is taken over: 1 added (lane), 1 changed (door), 1 removed (yard)"
        cluster.until(lambda: cluster.node("door") == "b" and cluster.node("lane") is not None)
        cluster.supervisor.reload(configured(cameras, tmp_path, "lane"))
        cluster.until(lambda: cluster.record("door").place == "done")
        told = cluster.supervisor.reload(configured(cameras, tmp_path, "door", "lane", model={"batch": 2}))
        assert told.endswith("1 added (door); only a new run takes over what changed in model")
        cluster.until(lambda: cluster.node("door") is not None)
    assert len(cluster.of(StreamEnded, "door")) == 3
    check_whole(cluster.sink.events)


def test_a_machine_with_other_versions_takes_no_streams(cameras: RtspServer, tmp_path: Path) -> None:
    fleet = LocalFleet({"a": {}, "old": {}}, versions={"old": {"sightline": "that"}})
    with running(configured(cameras, tmp_path, "door"), fleet) as cluster:
        cluster.until(lambda: cluster.node("door") == "a")
        told = {"old": "it has sightline that and not this", "a": ""}
        cluster.until(lambda: {node.name: why for node, why in cluster.supervisor.nodes()} == told)
        assert cluster.supervisor.move("door", "old").startswith("error: old is no other node that takes streams")


def test_the_next_driver_takes_over(cameras: RtspServer, tmp_path: Path) -> None:
    config, fleet = configured(cameras, tmp_path, "door"), LocalFleet({"a": {}})
    first = Cluster(config, fleet)
    first.until(lambda: first.node("door") == "a" and len(first.of(TrackStarted, "door")) > 0)
    first.supervisor.leave()
    first.merger.close()
    with running(config, fleet) as second:
        second.until(lambda: second.node("door") == "a" and len(second.of(TrackStarted, "door")) > 0)
        assert second.record("door").epoch == 1, "it was not begun anew"
    assert len(fleet.shards) == 1
    (announced,) = second.of(StreamStarted, "door")
    assert announced.origin.seq is None and announced.width == 160
    origins = [event.origin for event in (*first.sink.events, *second.sink.events) if isinstance(event.origin, Origin)]
    seqs = [origin.seq for origin in origins if origin.seq is not None]
    assert seqs == list(range(1, len(seqs) + 1)), "what the first put out the second does not"


def test_what_an_earlier_driver_knew_goes_on_though_all_processes_are_gone(cameras: RtspServer, tmp_path: Path) -> None:
    config = configured(cameras, tmp_path, "door")
    with running(config, LocalFleet({"a": {}})) as first:
        first.until(lambda: first.node("door") == "a" and len(first.of(TrackStarted, "door")) > 0)
    before = first.record("door").past
    assert recall(config.cluster.state) != Memory()
    with running(config, LocalFleet({"b": {}})) as second:
        second.until(lambda: second.node("door") == "b" and len(second.of(TrackStarted, "door")) > 0)
    (ended,) = second.of(StreamEnded, "door")
    assert ended.ledger.decoded > before.frames.decoded
    assert min(event.track_id for event in second.of(TrackStarted, "door")) > before.highest_id


def test_ids_never_repeat_where_driver_and_machines_are_lost_together(cameras: RtspServer, tmp_path: Path) -> None:
    config, fleet = configured(cameras, tmp_path, "door"), LocalFleet({"a": {}})
    first = Cluster(config, fleet)
    first.until(lambda: first.node("door") == "a" and len(first.of(TrackStarted, "door")) > 0)
    first.supervisor.save()
    highest = first.record("door").past.highest_id
    first.supervisor.leave()
    first.merger.close()
    fleet.close()  # what its process gave after that nobody knows
    with running(config, LocalFleet({"b": {}})) as second:
        second.until(lambda: second.node("door") == "b" and len(second.of(TrackStarted, "door")) > 0)
        told = second.record("door").past
    given = min(event.track_id for event in second.of(TrackStarted, "door"))
    assert given > highest + RESERVED_IDS
    assert told.outages == 1
    with running(config, LocalFleet({"c": {}})) as third:
        third.until(lambda: third.node("door") == "c" and len(third.of(TrackStarted, "door")) > 0)
    after = min(event.track_id for event in third.of(TrackStarted, "door"))
    assert after == max(event.track_id for event in second.of(TrackStarted, "door")) + 1, "that one ended in order"
