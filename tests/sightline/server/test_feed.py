"""Events for browsers: a bounded queue each, and nothing to do while nobody listens."""

from __future__ import annotations

import asyncio

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import Event, StreamOffline
from sightline.server.feed import MOST_CLIENTS, EventHub

STAMP = EventStamper("run")


def offline(stream: str = "door") -> Event:
    return STAMP(StreamOffline, stream=stream, pts_s=0.0, reason="<script>\n\ndata: no")


def test_nobody_listens_and_nothing_is_made() -> None:
    hub = EventHub()
    assert not hub.takes(offline())
    hub.on_event(offline())


def test_who_does_not_read_loses_the_oldest_and_is_told() -> None:
    async def listen() -> list[str]:
        hub = EventHub()
        client = hub.join(["door"], ["stream.offline"])
        assert client is not None
        assert hub.join([], ["track.started"]) is not None
        for _ in range(2500):
            hub.on_event(offline())
            hub.on_event(offline("yard"))
        assert len(client._waiting) == 1000
        texts = client.texts()
        begun, told = await anext(texts), await anext(texts)
        hub.leave(client)
        client.end()
        return [begun, *[part async for part in texts], told]

    begun, told = asyncio.run(listen())
    assert begun.startswith(":")
    lost, *events, rest = told.split("\n\n")
    assert lost == 'event: lost\ndata: {"lost": 1500}'
    assert len(events) == 1000
    assert rest == ""
    assert all(event.splitlines()[0] == "event: stream.offline" and len(event.splitlines()) == 3 for event in events)


def test_listeners_are_counted_and_all_are_sent_away_at_the_end() -> None:
    async def listen() -> None:
        hub = EventHub()
        clients = [hub.join([], []) for _ in range(MOST_CLIENTS)]
        assert None not in clients
        assert hub.join([], []) is None
        hub.end()
        for client in clients:
            assert client is not None
            assert len([text async for text in client.texts()]) == 1
        assert hub.join([], []) is None

    asyncio.run(asyncio.wait_for(listen(), 30))
