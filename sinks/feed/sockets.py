"""The sockets of an event feed, and what protects them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import zmq

from pipeline.errors import SinkError
from sinks.feed.connection_guard import ConnectionGuard
from sinks.feed.endpoint import Endpoint, bind_problem
from sinks.feed.keys import Gatekeeper, KeyPair
from sinks.feed.protocol import MAX_REQUEST_BYTES

_MAX_CONNECTIONS = 64  # per socket
_MAX_SILENT_BYTES = 64 * 1024
_REPLIES_WAITING = 4  # per reader, of a megabyte at most
_REQUESTS_WAITING = 64  # per reader


@dataclass(frozen=True, slots=True)
class Security:
    """Who may read a feed: ``keys`` of the publisher, and the public keys (Z85) of those it talks to."""

    keys: KeyPair
    allowed: frozenset[bytes]


class FeedSockets:
    """A PUB socket for events, a ROUTER socket for requests, and what protects them.

    Args:
        endpoint, requests: where to bind the two.
        high_water: messages kept per subscriber that reads too slowly.
        security: None lets everyone read who can connect.

    Raises:
        SinkError: an address can't be bound.
    """

    def __init__(self, endpoint: Endpoint, requests: Endpoint, *, high_water: int, security: Security | None) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.guards: list[ConnectionGuard] = []
        self.gatekeeper: Gatekeeper | None = None
        with ExitStack() as undo:
            undo.callback(self.close, 0.0)
            if security is not None:
                self.gatekeeper = Gatekeeper(self.context, security.allowed)
            self.publisher = self._socket(zmq.PUB, endpoint, security)
            self.publisher.setsockopt(zmq.SNDHWM, high_water)
            self.router = self._socket(zmq.ROUTER, requests, security)
            self.router.setsockopt(zmq.SNDHWM, _REPLIES_WAITING)
            self.router.setsockopt(zmq.RCVHWM, _REQUESTS_WAITING)
            self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # so that readers who have gone are noticed
            self.endpoint, self.requests_endpoint = self._bind_both(endpoint, requests)
            undo.pop_all()

    def _socket(self, kind: int, endpoint: Endpoint, security: Security | None) -> zmq.Socket[bytes]:
        made = self.context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        made.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        made.setsockopt(zmq.IPV6, int(endpoint.ipv6))
        # The system notices peers that vanished; ZeroMQ's own heartbeats would count as bytes that they sent.
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 15)
        made.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
        made.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        if security is not None:
            made.setsockopt(zmq.CURVE_SERVER, 1)
            made.setsockopt(zmq.CURVE_SECRETKEY, security.keys.secret)
            made.setsockopt(zmq.ZAP_DOMAIN, b"sightline")
        self.guards.append(ConnectionGuard(made, max_connections=_MAX_CONNECTIONS, max_bytes=_MAX_SILENT_BYTES))
        return made

    def _bind_both(self, endpoint: Endpoint, requests: Endpoint) -> tuple[Endpoint, Endpoint]:
        bound = _bind(self.publisher, endpoint)
        attempts = 100 if endpoint.port == 0 and requests.port == 0 else 1
        for attempt in range(attempts):
            try:
                wanted = bound.requests() if attempts > 1 else requests
                bound_requests = _bind(self.router, wanted)
                break
            except SinkError:
                # Any free pair of ports will do; this one's second half is taken.
                if attempt == attempts - 1:
                    raise
                self.publisher.unbind(str(bound))
                bound = _bind(self.publisher, endpoint)
        for guard, port in zip(self.guards, (bound.port, bound_requests.port), strict=True):
            guard.bound(port)
        return bound, bound_requests

    @property
    def requests_port(self) -> int | None:
        """TCP port of the ROUTER socket; None where it has none."""
        return self.requests_endpoint.port or None

    def completed(self, frame: zmq.Frame) -> None:
        """A whole request came; ``frame`` is one of its frames."""
        try:
            descriptor = int(frame.get(zmq.SRCFD))
        except zmq.ZMQError:
            return  # the peer had hung up before ZeroMQ could tell who it is
        self.guards[1].completed(descriptor)

    def close(self, linger_s: float) -> None:
        """Close all; what subscribers have not taken yet is kept for them for so many seconds."""
        for guard in self.guards:
            guard.close()
        self.context.destroy(linger=int(linger_s * 1000))


def _bind(bound: zmq.Socket[bytes], endpoint: Endpoint) -> Endpoint:
    try:
        bound.bind(str(endpoint))
    except zmq.ZMQError as error:
        raise SinkError(f"{endpoint.purpose} {endpoint}: {bind_problem(error.errno)}") from error
    if endpoint.path:
        Path(endpoint.path).chmod(0o600)  # for this user's programs only, as loopback is for this machine's
        return endpoint
    return Endpoint.parse(bound.getsockopt_string(zmq.LAST_ENDPOINT))
