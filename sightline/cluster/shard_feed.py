"""The feed of a shard: open from its beginning to its end, whatever pipelines it has meanwhile."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.events import Event, OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sightline.cluster.messages import Feed
from sinks.feed.keys import read_key_pair, write_keys
from sinks.feed.sockets import Security
from sinks.feed.zeromq_sink import ZeroMqSink


class LentSink(Sink):
    """A sink that several pipelines use one after the other: none of them opens or closes it."""

    may_stall = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def on_event(self, event: Event) -> None:
        self._sink.on_event(event)

    def takes(self, item: TrackedFrame | Event) -> bool:
        return self._sink.takes(item)

    def counts(self) -> OutputCounts | None:
        return self._sink.counts()


def open_feed(host: str) -> tuple[ZeroMqSink, Feed, Security]:
    """A feed at a free port of that address, with keys of its own and those of who may read it; and these once more.

    The files of the keys are gone when this returns: a process that is killed leaves none behind.
    """
    with tempfile.TemporaryDirectory(prefix="sightline-keys-") as folder:
        _, own = write_keys("shard", Path(folder))
        _, reader = write_keys("reader", Path(folder))
        own_pair, reader_pair = read_key_pair(own), read_key_pair(reader)
        security = Security(own_pair, frozenset({reader_pair.public}))
        shown = f"[{host}]" if ":" in host else host
        sink = ZeroMqSink(f"tcp://{shown}:*", encoding="msgpack", keys=own, clients=[reader_pair.public.decode()])
        sink.check()
        sink.open("", SourceInfo(0, 0), ())
    feed = Feed(
        endpoint=sink.endpoint,
        server_key=own_pair.public.decode(),
        public=reader_pair.public.decode(),
        secret=reader_pair.secret.decode(),
    )
    return sink, feed, security
