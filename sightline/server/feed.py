"""The event feed for browsers: the run's events as they come, to each client through a bounded queue of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import suppress

from pipeline.event_codec import encode_json, event_type
from pipeline.events import Event
from pipeline.interfaces import Sink
from pipeline.types import TrackedFrame

MOST_CLIENTS = 64
_QUEUE = 1000
_STILL_THERE_S = 15.0


class EventHub(Sink):
    """An output that passes events on to those who listen. While nobody does, an event costs one look at a tuple."""

    may_stall = False

    def __init__(self) -> None:
        self._clients: tuple[EventClient, ...] = ()
        self._ended = False

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events, while somebody listens."""
        return isinstance(item, Event) and bool(self._clients)

    def on_event(self, event: Event) -> None:
        """Pass an event on."""
        clients = self._clients
        if not clients:
            return
        name = event_type(event)
        wanted = [client for client in clients if client.wants(event.stream, name)]
        if wanted:
            text = f"event: {name}\nid: {event.run}:{event.seq}\ndata: {encode_json(event).decode()}\n\n"
            for client in wanted:
                client.put(text)

    def join(self, streams: Collection[str], types: Collection[str]) -> EventClient | None:
        """A further client, which must ``leave`` again; None where there are too many. For the server's event loop."""
        if len(self._clients) >= MOST_CLIENTS or self._ended:
            return None
        client = EventClient(frozenset(streams), frozenset(types))
        self._clients = (*self._clients, client)
        return client

    def leave(self, client: EventClient) -> None:
        """A client has gone."""
        self._clients = tuple(each for each in self._clients if each is not client)

    def end(self) -> None:
        """Send all clients away, and take no further ones. For any thread."""
        self._ended = True
        for client in self._clients:
            client.end()


class EventClient:
    """One who listens. Of what comes faster than it is read the oldest is lost, and the client is told how much.

    Args:
        streams, types: whose events, and which, are wanted; empty for all.
    """

    def __init__(self, streams: frozenset[str], types: frozenset[str]) -> None:
        self._streams = streams
        self._types = types
        self._waiting: deque[str] = deque(maxlen=_QUEUE)
        self._lost = 0
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._waking = False

    def wants(self, stream: str, kind: str) -> bool:
        """Whether an event is for this client; for any thread."""
        return (not self._streams or stream in self._streams) and (not self._types or kind in self._types)

    def put(self, text: str) -> None:
        """Queue what is to be sent. For the thread of the run."""
        if len(self._waiting) == _QUEUE:
            self._lost += 1
        self._waiting.append(text)
        if not self._waking:
            self._waking = True
            self._wake()

    def end(self) -> None:
        """There is no more. For any thread."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the server has ended; the run goes on
            self._loop.call_soon_threadsafe(self._woken.set)

    async def texts(self) -> AsyncIterator[str]:
        """What is to be sent, in the format of Server-Sent Events."""
        told = 0
        yield ": the events of this run\n\n"
        while not self._over:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _STILL_THERE_S)
            self._woken.clear()
            self._waking = False
            texts = []
            while self._waiting:
                texts.append(self._waiting.popleft())
            if self._lost > told:
                texts.insert(0, f'event: lost\ndata: {{"lost": {self._lost - told}}}\n\n')
                told = self._lost
            yield "".join(texts) or ": still there\n\n"
