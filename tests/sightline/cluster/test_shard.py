"""One process of a cluster: it brings its pipeline to what it is told, and tells what its streams came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from pipeline.runtime.frame_ledger import in_flight
from pipeline.runtime.streams.stream_past import StreamPast
from sightline.cluster.messages import Assignment, Order, ShardSpec, ShardStatus
from sightline.cluster.pictures import PictureReader
from sightline.cluster.shard import Shard
from sightline.cluster.shard_config import shard_config
from sightline.config.loading import load_config
from sightline.config.schema import Config
from tests.support.fakes import BlobDetector
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server
from tests.support.waiting import wait_until

VERSIONS = {"sightline": "here"}


@pytest.fixture(scope="module")
def cameras() -> Iterator[RtspServer]:
    require_rtsp_server()
    picture = LivePicture(160, 120, fps=10, keyframe_every=5)
    with RtspServer(dict.fromkeys(("door", "yard"), picture)) as server:
        yield server


def configured(cameras: RtspServer, *names: str, **more: object) -> Config:
    streams = {name: {"source": cameras.url_of(name)} for name in names}
    return load_config(None, (), {"streams": streams, **more})


@contextmanager
def shard(config: Config) -> Iterator[Shard]:
    spec = ShardSpec(name="s", group=0, node="n", host="127.0.0.1", threads=1, config=config)
    made = Shard(spec, VERSIONS, detector=BlobDetector())
    try:
        yield made
    finally:
        made.close()


def wait_for(made: Shard, true: Callable[[ShardStatus], bool]) -> ShardStatus:
    told = [made.sync()]

    def so() -> bool:
        told[:] = [made.sync()]
        return true(told[0])

    wait_until(so, "a state", lambda: told)
    return told[0]


def order(version: int, config: Config, streams: dict[str, Assignment]) -> Order:
    return Order(version=version, config=shard_config(config, set(streams)), streams=streams)


def online(status: ShardStatus, *names: str) -> bool:
    return all(name in status.streams and status.streams[name].state == "online" for name in names)


def picture_size(status: ShardStatus, stream: str) -> tuple[int, int] | None:
    """Width and height of the picture that the driver gets of a stream."""
    reader = PictureReader()
    try:
        shown = reader.picture(status.pictures, status.feed, stream, 320)
    finally:
        reader.close()
    if shown is None:
        return None
    image = cv2.imdecode(np.frombuffer(shown.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and 0 <= shown.age_s < 30
    return image.shape[1], image.shape[0]


def test_streams_come_go_and_go_on(cameras: RtspServer) -> None:
    config = configured(cameras, "door", "yard")
    with shard(config) as made:
        assert made.sync().streams == {}
        made.sync(order(1, config, {"door": Assignment(1)}))
        wait_for(made, lambda status: online(status, "door"))
        made.sync(order(2, config, {"door": Assignment(1), "yard": Assignment(1, StreamPast(highest_id=500))}))
        both = wait_for(made, lambda status: online(status, "door", "yard") and status.version == 2)
        assert both.capacity is not None and both.trouble is None
        assert picture_size(both, "door") == (160, 120)
        made.sync(order(3, config, {"yard": Assignment(1)}))
        freed = wait_for(made, lambda status: status.version == 3)
        assert picture_size(freed, "door") is None, "what is no longer here is not shown"
        assert picture_size(freed, "yard") == (160, 120)
        assert freed.streams["door"].state == "released"
        assert freed.pasts is not None and in_flight(freed.pasts.streams["door"].frames) == 0
        assert freed.pasts.streams["door"].frames.processed > 0
        before = freed.pasts.streams["door"]
        elsewhere = msgspec.structs.replace(before, highest_id=900)
        told = made.sync(order(4, config, {"door": Assignment(2, elsewhere)}))
        while told.streams["door"].epoch < 2 or told.pasts is None or "door" not in told.pasts.streams:
            told = made.sync()
        assert told.pasts.streams["door"].highest_id >= 900, "what it came to here before is not told again"
        again = wait_for(made, lambda status: online(status, "door") and status.streams["yard"].state == "released")
        assert again.streams["door"].epoch == 2
        assert again.pasts is not None
        wait_for(
            made,
            lambda status: (
                status.pasts is not None and status.pasts.streams["door"].frames.decoded > before.frames.decoded
            ),
        )
        assert again.pasts.run == freed.pasts.run, "one process is one run to who reads its events"
        made.sync(order(2, config, {}))
        assert made.sync().version == 4, "an old order is not carried out"


def test_it_tells_as_soon_as_there_is_something_to_tell(cameras: RtspServer) -> None:
    config = configured(cameras, "door")
    with shard(config) as made:
        status = made.sync(wait_s=3600.0)
        assert status.capacity is not None, "its detector is ready"
        status = made.sync(order(1, config, {"door": Assignment(1)}), wait_s=3600.0)
        while not online(status, "door"):
            status = made.sync(wait_s=3600.0)
        assert made.sync(wait_s=0.01).streams["door"].state == "online", "nor does it wait for ever"


def test_one_that_had_nothing_to_do_for_long_does_not_hang(cameras: RtspServer) -> None:
    config = configured(cameras, "door", "yard")
    with shard(config) as made:
        wait_for(made, lambda status: status.capacity is not None)
        made._pasts_s -= 3600.0
        status = made.sync(order(1, config, {"door": Assignment(1), "yard": Assignment(1)}))
        while not online(status, "door", "yard"):
            assert status.pasts_age_s < 1800.0
            status = made.sync(wait_s=0.02)


def test_a_stream_that_cannot_be_run_harms_no_other(cameras: RtspServer, tmp_path: Path) -> None:
    config = load_config(
        None,
        (),
        {"streams": {"door": {"source": cameras.url_of("door")}, "lost": {"source": str(tmp_path / "none.mp4")}}},
    )
    with shard(config) as made:
        made.sync(order(1, config, {"lost": Assignment(1), "door": Assignment(1)}))
        status = wait_for(made, lambda status: online(status, "door"))
        assert status.streams["lost"].state == "failed"
        assert "none.mp4" in (status.streams["lost"].error or "")


def test_what_all_machines_write_together_is_written_by_none(cameras: RtspServer) -> None:
    config = configured(
        cameras, "door", "yard", output={"jsonl": "x.jsonl", "video": "{stream}.mp4"}, control="tcp://127.0.0.1:5558"
    )
    part = shard_config(config, ["door"], threads=2)
    assert set(part.streams) == {"door"}
    assert part.output.jsonl is None and part.control is None and part.output.video is not None
    assert part.threads.network == 2
