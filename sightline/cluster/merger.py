"""One feed of many: the events of all shards, in one order and with one numbering.

    shard's feed --FeedConnection--> Merger --SinkGroup--> the outputs that all streams share

Within a shard's run nothing is left out, nothing comes twice, and the order is kept: gaps are repaired by asking the
shard's own feed, as any of its readers does.
"""

from __future__ import annotations

import logging
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import zmq

from pipeline.analytics.event_stamper import EventStamper
from pipeline.errors import PipelineError
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event, Origin, StreamStarted
from pipeline.feed_events import FeedGap, FeedSnapshot
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.stream_past import RunPasts, StreamPast
from pipeline.runtime.timing import Timings
from pipeline.types import SourceInfo
from sightline.cluster.continuity import StreamContinuity
from sightline.cluster.messages import Feed
from sinks.feed.connection import FeedConnection, Options
from sinks.feed.keys import KeyPair, write_key_pair

logger = logging.getLogger(__name__)

# Feeds tell every second that they are there. What nobody woke this thread for is looked after so often, and oftener
# where something is awaited.
_TICK_S = 1.0
_AWAITING_S = 0.05
# A feed that is lost is listened to until nothing has come of it for so long.
_QUIET_S = 0.3


class _Link:
    """A shard's feed while it is followed."""

    def __init__(self, shard: str, node: str, feed: Feed) -> None:
        self.shard, self.node = shard, node
        with tempfile.TemporaryDirectory(prefix="sightline-keys-") as folder:  # they are read at once
            pair = KeyPair(feed.public.encode(), feed.secret.encode())
            secret = write_key_pair(pair, Path(folder) / "reader.key_secret")
            options = Options(history=True, follow=True, keys=secret, server_key=feed.server_key, give_up_s=30.0)
            self.connection = FeedConnection(feed.endpoint, options)
        self.heard_s = self.looked_s = time.monotonic()
        self.run = ""
        self.leaving: tuple[str | None, Future[None]] | None = None

    @property
    def awaiting(self) -> bool:
        """Whether something is to happen at a time, not with what comes."""
        return self.leaving is not None or self.connection.repairing


class Merger:
    """Follows feeds as it is told, from a thread of its own, until ``close``.

    Args:
        sinks: what gets the merged events.
        class_names: of the model, for the sinks.
        capacity: as ``SinkGroup`` has it.
        positions: per run that was followed before, the ``seq`` up to which its events went out then.

    Attributes:
        run: UUID of the merged run.
        failure: what ended the thread, if anything did.
    """

    def __init__(
        self, sinks: Sequence[Any], class_names: Sequence[str], *, capacity: int, positions: Mapping[str, int]
    ) -> None:
        self._stamper = EventStamper()
        self.run = self._stamper.run
        self.failure: BaseException | None = None
        self._group = SinkGroup(sinks, live=True, capacity=capacity, memory=PictureMemory(1.0), timings=Timings())
        self._class_names = tuple(class_names)
        self._links: dict[str, _Link] = {}
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake_end, self._sleep_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._poller = self._polled()
        self._lock = threading.Lock()
        self._positions = dict(positions)
        self._streams: dict[str, StreamContinuity] = {}
        self._alerts: dict[tuple[str, int], int] = {}
        self._opened: set[str] = set()
        self._missed = 0
        self._over = False
        self._group.check()
        self._thread = threading.Thread(target=self._main, name="merger")
        self._thread.start()

    # For any thread.

    def follow(self, shard: str, node: str, feed: Feed) -> None:
        """Take in a shard's events from where they were left; nothing happens where it is followed."""
        if shard not in self._links:
            self._call(lambda: self._follow(shard, node, feed))

    def leave(self, shard: str, lost: str | None = None) -> Future[None]:
        """Follow a shard no more, once all that it has published is here.

        Args:
            shard: its name.
            lost: why it is lost, if it is; what its streams were about is told to be over then.

        Returns:
            Is done when all of that has gone out.
        """
        done: Future[None] = Future()
        self._call(lambda: self._leave(shard, lost, done))
        return done

    def position(self, run: str) -> int:
        """The number of the newest event of that run that has gone out."""
        with self._lock:
            return self._positions.get(run, 0)

    def positions(self) -> dict[str, int]:
        """The same of all runs."""
        with self._lock:
            return dict(self._positions)

    @property
    def seq(self) -> int:
        """Events that have gone out."""
        return self._stamper.last_seq

    @property
    def missed(self) -> int:
        """Events that shards no longer held when they were asked for."""
        return self._missed

    def known(self, pasts: RunPasts) -> None:
        """What a shard's streams have come to, so that the events up to then need not be remembered."""
        with self._lock:
            for name in pasts.streams:
                if name in self._streams:
                    self._streams[name].known_through(pasts.run, pasts.seq)

    def past_after(self, name: str, past: StreamPast, pasts: RunPasts, *, since_s: float) -> StreamPast:
        """What a stream of a lost shard had come to, see ``StreamContinuity.past_after``."""
        with self._lock:
            stream = self._streams.setdefault(name, StreamContinuity())
            return stream.past_after(past, pasts.run, pasts.seq, since_s=since_s)

    def close(self) -> None:
        """Take in what there still is, and close the sinks. May be called again."""
        if self._over:
            return
        self._over = True
        self._wake()
        self._thread.join()
        self._wake_end.close()
        self._sleep_end.close()
        for link in self._links.values():
            link.connection.close()
        failure = self._group.close(self.failure)
        if failure is not None and failure is not self.failure:
            raise failure

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.put(function)
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # the thread has more than enough reason to wake already
            self._wake_end.send(b"\0")

    # The thread.

    def _main(self) -> None:
        try:
            while not self._over:
                self._turn()
        except BaseException as error:  # noqa: BLE001 - looked at by the driver, which ends with it
            self.failure = error

    def _turn(self) -> None:
        wait_s = _AWAITING_S if any(link.awaiting for link in self._links.values()) else _TICK_S
        readable = {polled for polled, _ in self._poller.poll(int(1000 * wait_s))}
        if self._sleep_end.fileno() in readable:
            self._sleep_end.recv(4096)
            while not self._calls.empty():
                self._calls.get()()
        now_s = time.monotonic()
        for link in list(self._links.values()):
            due = link.awaiting or now_s - link.looked_s >= _TICK_S
            if due or any(polled in readable for polled, _ in link.connection.poller.sockets):
                self._take_in(link, now_s)

    def _polled(self) -> zmq.Poller:
        """Of all that this thread waits for."""
        poller = zmq.Poller()
        poller.register(self._sleep_end, zmq.POLLIN)
        for link in self._links.values():
            for polled, flags in link.connection.poller.sockets:
                poller.register(polled, flags)
        return poller

    def _follow(self, shard: str, node: str, feed: Feed) -> None:
        if shard not in self._links:
            self._links[shard] = _Link(shard, node, feed)
            self._poller = self._polled()

    def _leave(self, shard: str, lost: str | None, done: Future[None]) -> None:
        link = self._links.get(shard)
        if link is None:
            done.set_result(None)
            return
        link.leaving, link.heard_s = (lost, done), time.monotonic()

    def _take_in(self, link: _Link, now_s: float) -> None:
        connection, link.looked_s = link.connection, now_s
        connection.receive()
        while connection.events:
            link.heard_s = now_s
            self._take(link, connection.events.popleft())
        if link.leaving is None or now_s - link.heard_s < _QUIET_S:
            return
        lost, done = link.leaving
        if lost is None and connection.repairing:
            return
        connection.give_up()
        while connection.events:
            self._take(link, connection.events.popleft())
        connection.close()
        del self._links[link.shard]
        self._poller = self._polled()
        if lost is not None:
            self._break_off(link, lost)
        with self._lock:
            self._positions.pop(link.run, None)
        done.set_result(None)

    def _take(self, link: _Link, event: Event) -> None:
        if event.run:
            link.run = event.run
        if isinstance(event, FeedSnapshot):
            return
        at = self.position(event.run)
        if isinstance(event, FeedGap):
            first = max(event.first_seq, at + 1)
            if event.last_seq >= first:
                self._missed += event.last_seq - first + 1
                logger.error("%s: events %d to %d are lost, it no longer held them", link.shard, first, event.last_seq)
                self._passed(event.run, event.last_seq)
            return
        if event.seq <= at:
            return
        with self._lock:
            self._streams.setdefault(event.stream, StreamContinuity()).apply(event)
        self._put_out(event, Origin(node=link.node, run=event.run, seq=event.seq))
        self._passed(event.run, event.seq)

    def _passed(self, run: str, seq: int) -> None:
        with self._lock:
            self._positions[run] = max(seq, self._positions.get(run, 0))

    def _break_off(self, link: _Link, reason: str) -> None:
        """Tell of the streams of a lost shard that they are offline, and that what was in their pictures is gone."""
        with self._lock:
            told = [
                (name, kind, fields)
                for name, stream in self._streams.items()
                if stream.run == link.run and link.run
                for kind, fields in stream.break_off(reason)
            ]
        for name, kind, fields in told:
            event = kind(seq=0, run=link.run, stream=name, wall=self._stamper.wall(), **fields)
            self._put_out(event, Origin(node=link.node, run=link.run))
        self._alerts = {key: number for key, number in self._alerts.items() if key[0] != link.run}

    def _put_out(self, event: Event, origin: Origin) -> None:
        """Number an event anew, and hand it to the outputs."""
        seq = self._stamper.last_seq + 1
        fields: dict[str, Any] = {"seq": seq, "run": self.run, "origin": origin}
        if isinstance(event, AlertStarted | AlertUpdated | AlertEnded):
            # No two alerts of a run have the same id.
            fields["alert_id"] = self._alerts.setdefault((event.run, event.alert_id), seq)
            if isinstance(event, AlertEnded):
                self._alerts.pop((event.run, event.alert_id))
        self._stamper.last_seq = seq
        if isinstance(event, StreamStarted):
            self._open(event.stream, _info(event))
        elif event.stream not in self._opened:
            self._open(event.stream, SourceInfo(0, 0, live=True))  # its beginning is no longer to be had
        self._group.on_event(msgspec.structs.replace(event, **fields))

    def _open(self, stream: str, info: SourceInfo) -> None:
        self._opened.add(stream)
        self._group.open(stream, info, self._class_names)

    def announce(self, name: str, node: str, info: SourceInfo) -> None:
        """Tell that a stream runs that began before this merger followed it. For any thread."""
        self._call(lambda: self._announce(name, node, info))

    def _announce(self, name: str, node: str, info: SourceInfo) -> None:
        if name in self._streams:
            return
        event = StreamStarted(
            seq=0,
            run="",
            stream=name,
            pts_s=0.0,
            wall=self._stamper.wall(),
            source=info.uri,
            width=info.width,
            height=info.height,
            fps=float(info.fps) if info.fps else None,
            live=info.live,
        )
        self._put_out(event, Origin(node=node, run=""))


def _info(event: StreamStarted) -> SourceInfo:
    fps = None if event.fps is None else Fraction(event.fps).limit_denominator(1001)
    return SourceInfo(
        event.width, event.height, fps=fps, frame_count=event.frame_count, live=event.live, uri=event.source
    )


def merged_error(merger: Merger) -> PipelineError | None:
    """What ended the merger, as an error of the program's own."""
    failure = merger.failure
    if failure is None or isinstance(failure, PipelineError):
        return failure
    raise failure
