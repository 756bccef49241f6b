"""Pictures of a shard's streams for who looks at the cluster's page: made where frames are, when asked for.

They go from the shard's process to the driver's by a connection of their own, encrypted and open to the keys of the
cluster's feeds; nothing of them goes through Ray, and nothing is made while nobody looks.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import zmq

from sightline.cluster.messages import Feed
from sightline.server.live.encoder import tile_width
from sightline.server.live.hub import LiveHub
from sightline.server.still import still
from sinks.feed.connection_guard import ConnectionGuard
from sinks.feed.keys import Gatekeeper
from sinks.feed.sockets import Security

logger = logging.getLogger(__name__)

_TICK_MS = 200
_MAX_REQUEST_BYTES = 1024
_MAX_CONNECTIONS = 64
_MAX_SILENT_BYTES = 64 * 1024
# Pictures that may wait for one who reads too slowly, and requests that may wait to be answered.
_WAITING = 4
# What was asked longer ago nobody waits for any more.
ANSWER_S = 2.0


class _Wanted(msgspec.Struct, frozen=True):
    """A picture of a stream, as wide as that at most in pixels."""

    stream: str
    width: int


@dataclass(frozen=True, slots=True)
class StreamPicture:
    """The newest picture of a stream with its boxes, as JPEG, and how many seconds ago it was captured."""

    jpeg: bytes
    age_s: float


class PictureServer:
    """Answers with pictures, one after the other in a thread of its own, from the moment it is made until ``close``.

    Args:
        host: address of the machine under which the driver reaches it.
        hub: has the newest frames.
        security: whose keys are let in.

    Attributes:
        endpoint: where it listens.
    """

    def __init__(self, host: str, hub: LiveHub, security: Security) -> None:
        self._hub = hub
        self._over = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gatekeeper = Gatekeeper(self._context, security.allowed)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_REQUEST_BYTES)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        self._socket.setsockopt(zmq.SNDHWM, _WAITING)
        self._socket.setsockopt(zmq.RCVHWM, _WAITING)
        self._socket.setsockopt(zmq.IPV6, int(":" in host))
        self._socket.setsockopt(zmq.CURVE_SERVER, 1)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, security.keys.secret)
        self._socket.setsockopt(zmq.ZAP_DOMAIN, b"sightline")
        self._guard = ConnectionGuard(self._socket, max_connections=_MAX_CONNECTIONS, max_bytes=_MAX_SILENT_BYTES)
        address = f"tcp://[{host}]" if ":" in host else f"tcp://{host}"
        port = self._socket.bind_to_random_port(address)
        self._guard.bound(port)
        self.endpoint = f"{address}:{port}"
        self._thread = threading.Thread(target=self._serve, name="pictures")
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._over = True
        self._thread.join()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._gatekeeper.socket, zmq.POLLIN)
        while not self._over:
            readable = dict(poller.poll(_TICK_MS))
            if self._gatekeeper.socket in readable:
                self._gatekeeper.serve()
            if self._socket in readable:
                self._answer()
            self._guard.look()
        self._guard.close()
        self._context.destroy(linger=0)

    def _answer(self) -> None:
        frames = self._socket.recv_multipart(copy=False)
        with suppress(zmq.ZMQError):  # who asked had hung up before ZeroMQ could tell who it is
            self._guard.completed(int(frames[0].get(zmq.SRCFD)))
        try:
            wanted = msgspec.json.decode(frames[-1].bytes, type=_Wanted)
        except msgspec.DecodeError as error:
            logger.debug("pictures: a request that is none: %s", error)
            return
        self._socket.send_multipart([frames[0].bytes, *self._picture(wanted)])

    def _picture(self, wanted: _Wanted) -> tuple[bytes, ...]:
        """The age and the JPEG; nothing where there is none."""
        tracked = self._hub.newest(wanted.stream)
        if tracked is None:
            return (b"",)
        try:
            names = self._hub.class_names(wanted.stream)
            jpeg = still(tracked, names, boxes=True, width=tile_width(wanted.width))
        except Exception:  # it concerns this picture alone
            logger.exception("%s: its picture can't be made", wanted.stream)
            return (b"",)
        return str(time.monotonic() - tracked.frame.captured_s).encode(), jpeg


class PictureReader:
    """Asks shards for pictures, from any thread, until ``close``."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def picture(self, endpoint: str, feed: Feed, stream: str, width: int) -> StreamPicture | None:
        """The newest picture of a stream; None where there is none, or no answer in time.

        Args:
            endpoint: of the shard's pictures.
            feed: of the shard, whose keys count for its pictures.
            stream: its name.
            width: in pixels that it is shown with.
        """
        with self._context.socket(zmq.DEALER) as asking:
            asking.setsockopt(zmq.LINGER, 0)
            asking.setsockopt(zmq.IPV6, int("[" in endpoint))
            asking.setsockopt(zmq.CURVE_SERVERKEY, feed.server_key.encode())
            asking.setsockopt(zmq.CURVE_PUBLICKEY, feed.public.encode())
            asking.setsockopt(zmq.CURVE_SECRETKEY, feed.secret.encode())
            asking.connect(endpoint)
            asking.send(msgspec.json.encode(_Wanted(stream, width)))
            if not asking.poll(int(1000 * ANSWER_S)):
                return None
            age_s, *jpeg = asking.recv_multipart()
        return StreamPicture(jpeg[0], float(age_s)) if jpeg else None

    def close(self) -> None:
        """Ask no more."""
        self._context.term()
