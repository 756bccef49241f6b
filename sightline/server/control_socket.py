"""Telling a running Sightline what to do: one line of text in, one out, on this machine only.

    with ControlSocket("tcp://127.0.0.1:5558", {"reload": reloader.reload, "stop": stop}):
        ...
    send_command("tcp://127.0.0.1:5558", "reload")

The wire: ZeroMQ, to be talked to with a REQ socket. A request is one frame of UTF-8 with the name of a command and the
words that it needs, the reply one frame of UTF-8; it begins with ``error: `` where the request could not be met.
Whoever may run programs on this machine may send commands.

What listens is a ROUTER socket: a REP socket answers nobody any more after a stranger has sent it some kilobytes of
noise (measured with libzmq 4.3).
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Self

import zmq

from pipeline.errors import SinkError, SinkPathError
from sinks.feed.endpoint import Endpoint, bind_problem

logger = logging.getLogger(__name__)

MAX_COMMAND_BYTES = 256
MAX_REPLY_BYTES = 1_000_000


class ControlSocket:
    """Answers commands in a thread of its own, one at a time, from the moment it is made until ``close``.

    Args:
        endpoint: ``tcp://127.0.0.1:PORT``, or another address that only this machine can reach.
        commands: what to call for each command, with the words that follow its name; returns the reply. Called in the
            thread; what it raises is logged and answered as an error.

    Attributes:
        endpoint: where it listens; with the port that was chosen, where ``*`` was asked for.

    Raises:
        SinkError: the address is another machine's business, or can't be bound.
    """

    def __init__(self, endpoint: str, commands: Mapping[str, Callable[..., str]]) -> None:
        wanted = parse_endpoint(endpoint)
        self._commands = MappingProxyType(dict(commands))
        self._lock = threading.Lock()
        self._malformed = 0
        self._closed = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._socket = self._context.socket(zmq.ROUTER)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_COMMAND_BYTES)
            self._socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
            self._socket.setsockopt(zmq.IPV6, int(wanted.ipv6))
            self._socket.bind(str(wanted))
            self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
            # A socket belongs to one thread; this pair carries the wish to close into it.
            self._waker = self._context.socket(zmq.PAIR)
            self._waker.bind("inproc://close")
            self._woken = self._context.socket(zmq.PAIR)
            self._woken.connect("inproc://close")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise SinkError(f"control endpoint {wanted}: {bind_problem(error.errno)}") from error
        self._thread = threading.Thread(target=self._serve, name="control")
        self._thread.start()

    @property
    def malformed(self) -> int:
        """Requests that were no command: not one frame, no UTF-8, unknown. What is too long ZeroMQ itself cuts off."""
        with self._lock:
            return self._malformed

    def close(self) -> None:
        """Answer no more. Waits for a command that is under way, so no command may call it. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._waker.send(b"")
        self._thread.join()
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._woken in ready:
                # A reply that was just sent is still on its way.
                self._socket.close(linger=200)
                return
            try:
                sender, *frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                continue  # what came was not even a message; ZeroMQ has thrown it away
            # What a REQ socket puts before the request, and wants before the reply.
            envelope = [sender, b""]
            if frames[:1] == [b""]:
                del frames[0]
            reply = self._answer(frames).encode()[:MAX_REPLY_BYTES]
            try:
                self._socket.send_multipart([*envelope, reply], zmq.DONTWAIT)
            except zmq.ZMQError as error:  # who asked has gone
                logger.debug("control: the reply could not be sent: %s", error)

    def _answer(self, frames: list[bytes]) -> str:
        try:
            (frame,) = frames
            name, *words = frame.decode().split()
            command = self._commands[name]
            inspect.signature(command).bind(*words)
        except (ValueError, KeyError, TypeError):  # UnicodeDecodeError is a ValueError
            with self._lock:
                self._malformed += 1
            return f"error: no such command; there are {', '.join(self._commands)}"
        try:
            return command(*words)
        except Exception as error:
            logger.exception("control: %s failed", name)
            return f"error: {error}"


def parse_endpoint(text: str) -> Endpoint:
    """The address of a ``ControlSocket``.

    Raises:
        SinkPathError: it is none, or one that other machines can reach.
    """
    try:
        endpoint = Endpoint.parse(text)
    except SinkError as error:
        raise SinkPathError(str(error).replace("events endpoint", "control endpoint", 1)) from None
    if endpoint.path:
        raise SinkPathError(f"control endpoint {text!r}: commands are taken over TCP; use tcp://127.0.0.1:PORT")
    if not endpoint.local:
        raise SinkPathError(
            f"control endpoint {text!r}: commands are taken from this machine only; use tcp://127.0.0.1:PORT"
        )
    return endpoint


def send_command(endpoint: str, command: str, timeout_s: float = 10.0) -> str:
    """Have a running Sightline do something; returns its reply.

    Raises:
        SinkError: the address can't be one of a ``ControlSocket``, the command is too long, or there is no reply within
            ``timeout_s`` seconds.
    """
    address, request = parse_endpoint(endpoint), command.encode()
    if not 0 < len(request) <= MAX_COMMAND_BYTES:
        raise SinkError(f"control: expected a command of 1 to {MAX_COMMAND_BYTES} bytes, got {len(request)}")
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.MAXMSGSIZE, MAX_REPLY_BYTES)
        client.setsockopt(zmq.IPV6, int(address.ipv6))
        client.connect(str(address))
        client.send(request)
        if not client.poll(round(1000 * timeout_s)):
            raise SinkError(f"control endpoint {address}: no reply within {timeout_s:g} s; is a run listening there?")
        return client.recv().decode(errors="replace")
