"""The publisher's memory of its feed: what was sent, what holds now, the answers to readers. No sockets, no threads."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Literal

from pipeline.event_codec import encode_json, encode_msgpack, topic
from pipeline.events import Event, Heartbeat
from sinks.feed.protocol import (
    HEARTBEAT_TOPIC,
    MAX_REPLY_BYTES,
    MAX_REPLY_EVENTS,
    FinalReply,
    ReplayReply,
    ReplayRequest,
    Request,
    SnapshotReply,
    SnapshotRequest,
    encode_message,
    utc_now,
)
from sinks.feed.replay_ring import ReplayRing
from sinks.feed.state import FeedState, make_snapshot

Encoding = Literal["json", "msgpack"]


class FeedMemory:
    """One feed of events.

    Args:
        types: the event types that are published; empty for all.
        encoding: of the events; requests and the headers of replies are always JSON.
        replay: how many events are kept for readers that missed some.

    Attributes:
        run: of the newest event; empty before the first.
        seq: number of the newest event; 0 before the first.
    """

    def __init__(self, *, types: Collection[str] = (), encoding: Encoding = "json", replay: int = 10_000) -> None:
        self.run = ""
        self.seq = 0
        self._types = frozenset(types)
        self._encode = encode_json if encoding == "json" else encode_msgpack
        self._ring = ReplayRing(replay)
        self._state = FeedState(self._types)
        self._began = time.monotonic()
        self._snapshot: bytes | None = None

    def publish(self, event: Event, previous: int) -> tuple[bytes, bytes, bytes]:
        """Remember an event and return the message for it.

        Args:
            event: of a type that is published; its number is greater than the last one's, unless its run is another.
            previous: number of the event before it in the feed, 0 for the first.

        Returns:
            Topic, event and ``previous`` as decimal digits.
        """
        if event.run != self.run:
            self._restart(event.run)
        self.seq = event.seq
        payload = self._encode(event)
        self._ring.append(event.seq, previous, payload)
        self._state.apply(event)
        self._snapshot = None
        return topic(event).encode(), payload, b"%d" % previous

    def lose(self, run: str, seq: int) -> None:
        """Events up to this one existed but were not published; let heartbeats tell, so that readers see the gap."""
        if run == self.run:
            self.seq = max(self.seq, seq)

    def _restart(self, run: str) -> None:
        if self.run:  # what was there before the first event belongs to the first run
            self._began = time.monotonic()
        self.run = run
        self._ring.clear()
        self._state = FeedState(self._types)

    def heartbeat(self, requests_port: int | None, *, final: bool = False) -> tuple[bytes, bytes, bytes]:
        """The message that says that the publisher is alive."""
        event = Heartbeat(
            seq=self.seq,
            run=self.run,
            stream="",
            pts_s=0.0,
            wall=utc_now(),
            requests_port=requests_port,
            final=final,
        )
        return HEARTBEAT_TOPIC, self._encode(event), b"%d" % self.seq

    def final(self) -> list[bytes]:
        """The message that announces the end to one reader."""
        return [encode_message(FinalReply(self.run, self.seq))]

    def answer(self, request: Request) -> list[bytes]:
        """The reply to a request; empty for one that needs none."""
        if isinstance(request, SnapshotRequest):
            age_s = time.monotonic() - self._began
            return [encode_message(SnapshotReply(self.run, self.seq, age_s)), self._current()]
        if isinstance(request, ReplayRequest):
            return self._replay(request)
        return []

    def _replay(self, request: ReplayRequest) -> list[bytes]:
        after, through = request.after, min(request.through, self.seq)
        previous, payloads = after, list[bytes]()
        if request.run == self.run and 0 <= after < through:
            previous, payloads = self._ring.read(after, through, MAX_REPLY_EVENTS, MAX_REPLY_BYTES)
        return [encode_message(ReplayReply(self.run, after, previous, self.seq)), *payloads]

    def _current(self) -> bytes:
        if self._snapshot is None:
            event = make_snapshot(self._state, seq=self.seq, run=self.run, wall=utc_now())
            self._snapshot = self._encode(event)
        return self._snapshot
