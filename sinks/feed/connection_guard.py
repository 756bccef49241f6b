"""Limits on what connections may send to the event feed.

ZeroMQ's own limits leave two ways for a peer to make a publisher grow without bound: a message of endlessly many
parts, which ZeroMQ gathers before anyone sees it, and endlessly many subscriptions. Neither can be seen through the
sockets, so the guard watches the connections beneath them: how many there are, and (on Linux, where the kernel counts
it) how much each has sent. One that goes beyond what any reader needs is cut off; ZeroMQ then frees what it gathered.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

import zmq

_MONITOR_EVENT = struct.Struct("=Hi")
_TCP_INFO_BYTES = 256
_BYTES_RECEIVED = slice(128, 136)  # tcpi_bytes_received of Linux's struct tcp_info
_EVENTS_PER_LOOK = 500


@dataclass(slots=True)
class _Connection:
    allowed_from: int = 0  # bytes received before these don't count


class ConnectionGuard:
    """Watches the connections of one bound TCP socket.

    Args:
        guarded: the socket, before it is bound.
        max_connections: further ones are cut off at once.
        max_bytes: what a connection may send without completing a request. Where no requests are expected (a
            publisher), what it may send at all: its subscriptions.

    Attributes:
        cut: how many connections were cut off.
    """

    def __init__(self, guarded: zmq.Socket[bytes], *, max_connections: int, max_bytes: int) -> None:
        self._guarded = guarded
        self._max_connections = max_connections
        self._max_bytes = max_bytes
        self._connections: dict[int, _Connection] = {}
        self._monitor: zmq.Socket[bytes] = guarded.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._port: int | None = None
        self.cut = 0

    def bound(self, port: int) -> None:
        """The socket is bound now; connections that are not to this port are none of the guard's business."""
        self._port = port

    def close(self) -> None:
        """Stop watching the socket's connections."""
        self._guarded.disable_monitor()

    def completed(self, descriptor: int) -> None:
        """A whole request came over the connection with this file descriptor."""
        connection = self._connections.get(descriptor)
        if connection is not None:
            received = self._received(descriptor)
            if received is not None:
                connection.allowed_from = received

    def look(self) -> None:
        """See who came and went, and cut off those who send too much."""
        self._hear()
        for descriptor, connection in list(self._connections.items()):
            received = self._received(descriptor)
            if received is None:
                del self._connections[descriptor]
            elif received - connection.allowed_from > self._max_bytes:
                self._cut(descriptor)

    def _hear(self) -> None:
        for _ in range(_EVENTS_PER_LOOK):
            if not self._monitor.poll(0):
                return
            kind, descriptor = _MONITOR_EVENT.unpack(self._monitor.recv_multipart()[0])
            if kind == zmq.EVENT_DISCONNECTED:
                self._connections.pop(descriptor, None)
            elif len(self._connections) >= self._max_connections:
                self._cut(descriptor)
            else:
                self._connections[descriptor] = _Connection()

    def _received(self, descriptor: int) -> int | None:
        """Bytes received over a connection; None when it is gone. 0 where the system does not count them."""
        connection = self._own(descriptor)
        if connection is None:
            return None
        with connection:
            if not sys.platform.startswith("linux"):
                return 0
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            return int.from_bytes(info[_BYTES_RECEIVED], sys.byteorder)

    def _cut(self, descriptor: int) -> None:
        self._connections.pop(descriptor, None)
        connection = self._own(descriptor)
        if connection is None:
            return
        with connection:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has just closed by itself
            self.cut += 1

    def _own(self, descriptor: int) -> socket.socket | None:
        """A duplicate of a connection's descriptor, or None when it is no longer a connection to the guarded port.

        ZeroMQ closes descriptors in a thread of its own and the number may be something else's by now, so what it is
        now is checked on the duplicate, which nobody else closes.
        """
        try:
            number = os.dup(descriptor)
        except OSError:
            return None
        try:
            duplicate = socket.socket(fileno=number)
        except OSError:
            os.close(number)
            return None
        try:
            if duplicate.getsockname()[1] == self._port:
                return duplicate
        except (OSError, IndexError, TypeError):
            pass
        duplicate.close()
        return None
