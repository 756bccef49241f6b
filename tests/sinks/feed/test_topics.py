"""Topics that no event has are told, instead of being waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pipeline.errors import ConfigError
from sinks.feed.client import subscribe, subscribe_async
from sinks.feed.topics import topic_prefixes

ENDPOINT = "tcp://127.0.0.1:1"  # nobody is there


@pytest.mark.parametrize(
    "topic", ["", "gate", "gate/", "gate/zone.", "gate/zone.left", "gate/zone.left/per", "/stats/"]
)
def test_what_topics_begin_with_is_taken(topic: str) -> None:
    assert topic_prefixes([topic]) == (topic,)


@pytest.mark.parametrize(
    ("topics", "told"),
    [
        ("gate/", r"topics: expected a list of texts such as \['gate/'\]"),
        (["gate/nope"], "there is no event type 'nope'; there are stream.started"),
        (["gate/zone.letf"], "did you mean zone.left"),
        (["gate/zone/person"], "there is no event type 'zone'"),
        (["gate", "zone.entered"], "'zone.entered': begins with a type of events; expected STREAM/TYPE/CLASS"),
        (["zone."], "begins with a type of events"),
    ],
)
def test_topics_that_no_event_has_are_refused(topics: Sequence[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        subscribe(ENDPOINT, topics)

    async def ask() -> None:
        with pytest.raises(ConfigError, match=told):
            subscribe_async(ENDPOINT, topics)

    asyncio.run(ask())
