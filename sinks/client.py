"""Reads an event feed: ``for event in subscribe("tcp://127.0.0.1:5556"): ...``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import zmq

from pipeline.events import Event, decode_json


def subscribe(endpoint: str, topics: Sequence[str] = ()) -> Iterator[Event]:
    """The events of a feed, from now on, until the caller stops reading.

    Args:
        endpoint: where the feed is published, such as ``tcp://127.0.0.1:5556``.
        topics: prefixes of ``<stream>/<type>/<class>``; none means everything.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    subscriber.setsockopt(zmq.LINGER, 0)
    for prefix in topics or [""]:
        subscriber.subscribe(prefix)
    subscriber.connect(endpoint)
    try:
        while True:
            event = decode_json(subscriber.recv_multipart()[1])
            if event is not None:
                yield event
    finally:
        subscriber.close()
        context.term()
