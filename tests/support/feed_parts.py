"""What the tests of the event feed share: an open feed, events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.events import TrackUpdated
from pipeline.types import SourceInfo
from sinks.feed.zeromq_sink import ZeroMqSink

RUN = "6f1f3d0e-0000-4000-8000-000000000001"
WALL = "2026-01-02T03:04:05.678Z"


def updated(seq: int, *, stream: str = "cam", run: str = RUN, track_id: int = 1, name: str = "person") -> TrackUpdated:
    """A track that moved."""
    return TrackUpdated(
        seq=seq,
        run=run,
        stream=stream,
        pts_s=seq / 25,
        wall=WALL,
        track_id=track_id,
        class_name=name,
        score=0.5,
        xyxy=(1.0, 2.0, 3.0, 4.0),
        age_s=1.0,
        unseen_s=0.0,
    )


@contextmanager
def opened(endpoint: str = "tcp://127.0.0.1:*", **options: Any) -> Iterator[ZeroMqSink]:
    """A sink that publishes; closed at the end. Who reads in the thread that closes it can't say that it has all."""
    sink = ZeroMqSink(endpoint, **{"linger_s": 1.0, **options})
    try:
        sink.check()
        sink.open("cam", SourceInfo(width=64, height=48), ["person"])
        yield sink
    finally:
        sink.close()
