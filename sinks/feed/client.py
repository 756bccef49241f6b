"""Reads an event feed: ``for event in subscribe("tcp://127.0.0.1:5556"): ...``.

Needs pyzmq and msgspec only, beside this project's schema of the events and a few small modules.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Self, TypedDict, Unpack

import zmq.asyncio

from pipeline.events import Event
from sinks.feed.connection import FeedConnection, Options


class SubscribeOptions(TypedDict, total=False):
    """What ``subscribe`` and ``subscribe_async`` accept beside the endpoint and the topics.

    Attributes:
        requests: where the feed answers requests; by default the next port, or ``PATH.requests``.
        verify: see every event and ask for what is missing. All events then travel to this machine and topics are
            filtered here, for who gets only some can't tell a gap from what was filtered out. With ``verify=False``
            the publisher filters, which saves bandwidth; there is no snapshot, and losses go unnoticed.
        history: begin with the first event of the run, as far as the publisher still holds it, and not with the state
            as it is now.
        follow: go on with the next run when one ends; otherwise the iteration ends when the publisher says that its
            run is over.
        heartbeats: yield heartbeats too.
        timeout_s: raise ``TimeoutError`` when nothing, not even a heartbeat, is heard for so long; None waits for ever.
        give_up_s: seconds after which events that the publisher does not hand over are reported as a gap.
        keys: path of this client's ``.key_secret`` file, where the feed wants keys.
        server_key: the publisher's public key: 40 characters, or the path of its ``.key`` file.
    """

    requests: str | None
    verify: bool
    history: bool
    follow: bool
    heartbeats: bool
    timeout_s: float | None
    give_up_s: float
    keys: str | Path | None
    server_key: str | Path | None


class Subscription(Iterator[Event]):
    """An open subscription, as ``subscribe`` returns it: iterate over it, and close it or use it in a ``with``."""

    def __init__(self, link: FeedConnection) -> None:
        self._link = link
        self.counters = link.counters

    def __next__(self) -> Event:
        link = self._link
        while not link.events:
            if link.ended:
                self.close()
                raise StopIteration
            link.poller.poll(link.wait_ms())
            link.receive()
        return link.events.popleft()

    def close(self) -> None:
        """Give the sockets back. May be called more than once."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSubscription(AsyncIterator[Event]):
    """The same for asyncio, as ``subscribe_async`` returns it."""

    def __init__(self, link: FeedConnection) -> None:
        self._link = link
        self._poller = zmq.asyncio.Poller()
        for polled, flags in link.poller.sockets:
            self._poller.register(polled, flags)
        self.counters = link.counters

    async def __anext__(self) -> Event:
        link = self._link
        while not link.events:
            if link.ended:
                self.close()
                raise StopAsyncIteration
            await self._poller.poll(link.wait_ms())
            link.receive()
        return link.events.popleft()

    def close(self) -> None:
        """Give the sockets back. May be called more than once."""
        self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def subscribe(endpoint: str, topics: Sequence[str] = (), **options: Unpack[SubscribeOptions]) -> Subscription:
    """The events of a feed, in order, each once, until the caller stops reading.

    The first is a ``feed.snapshot`` with the state as it is now; what follows happened after it. Where the publisher is
    restarted, or was not there yet, the snapshot is an empty one and all events of the new run follow. Events that were
    lost on the way are asked for; what can't be had any more is reported in its place by a ``feed.gap``, and another
    snapshot comes as soon as there is one. Keep a ``sinks.feed.state.FeedState`` to know what holds at each moment.

    Args:
        endpoint: where the feed is published, such as ``tcp://127.0.0.1:5556``; it need not be there yet.
        topics: prefixes of ``<stream>/<type>/<class>``; none means everything. Snapshots and gaps always come.
        options: see ``SubscribeOptions``.

    Raises:
        ConfigError: a bad endpoint, bad keys, or a topic that no event has.
        TimeoutError: while iterating; see ``timeout_s``.
    """
    return Subscription(FeedConnection(endpoint, Options(topics=topics, **options)))


def subscribe_async(
    endpoint: str, topics: Sequence[str] = (), **options: Unpack[SubscribeOptions]
) -> AsyncSubscription:
    """The same as ``subscribe`` for asyncio: ``async for event in subscribe_async(...)``. Call it in the event loop."""
    return AsyncSubscription(FeedConnection(endpoint, Options(topics=topics, **options)))
