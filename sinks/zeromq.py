"""The event feed: every event on a ZeroMQ PUB socket.

Each message has two frames: the topic ``<stream>/<type>/<class>``, which subscribers filter by prefix, and the event
as one JSON object.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from pipeline.errors import SinkError
from pipeline.events import Event, encode_json, topic
from pipeline.types import Sink, SourceInfo
from sinks.endpoint import Endpoint, bind_problem


class ZeroMqSink(Sink):
    """Publishes events.

    Args:
        endpoint: ``tcp://HOST:PORT`` to bind; ``*`` as the port takes any free one.
        high_water: messages kept per subscriber that reads too slowly; more are dropped for that subscriber.
        insecure: allow addresses other than loopback, though anyone who can connect can read the events.
        linger_s: how long ``close`` waits for subscribers to take what was published.
    """

    def __init__(
        self, endpoint: str, *, high_water: int = 10_000, insecure: bool = False, linger_s: float = 1.0
    ) -> None:
        self._wanted = endpoint
        self._high_water = high_water
        self._insecure = insecure
        self._linger_s = linger_s
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._publisher: zmq.Socket[bytes] | None = None
        self.endpoint = endpoint

    def check(self) -> None:
        """Raise ``SinkError`` for an address that is malformed, in use, or open to others without leave."""
        self._parse().check_free()

    def _parse(self) -> Endpoint:
        endpoint = Endpoint.parse(self._wanted)
        if not endpoint.loopback and not self._insecure:
            raise SinkError(
                f"events endpoint {endpoint}: others could read the events there; use 127.0.0.1, or set insecure"
            )
        return endpoint

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Bind, at the first stream."""
        if self._publisher is not None:
            return
        endpoint = self._parse()
        self._context = zmq.Context()
        self._publisher = self._context.socket(zmq.PUB)
        self._publisher.setsockopt(zmq.SNDHWM, self._high_water)
        self._publisher.setsockopt(zmq.LINGER, int(self._linger_s * 1000))
        self._publisher.setsockopt(zmq.IPV6, int(endpoint.ipv6))
        try:
            self._publisher.bind(str(endpoint))
        except zmq.ZMQError as error:
            raise SinkError(f"events endpoint {endpoint}: {bind_problem(error.errno)}") from error
        self.endpoint = self._publisher.getsockopt_string(zmq.LAST_ENDPOINT)

    def on_event(self, event: Event) -> None:
        """Publish it."""
        if self._publisher is not None:
            self._publisher.send_multipart((topic(event).encode(), encode_json(event)), copy=True)

    def close(self, error: BaseException | None = None) -> None:
        """Let subscribers take what was published, for a bounded time, and give the port back."""
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None
        if self._context is not None:
            self._context.term()
            self._context = None
