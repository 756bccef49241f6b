"""Senseless messages for the event feed's sockets: from programs that speak ZeroMQ badly, or not at all."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

import zmq


def nonsense(chance: random.Random) -> list[bytes]:
    """A request that makes no sense, in one of many ways."""
    whole = b'{"request":"replay","run":"x","after":1,"through":9}'
    ways: list[Callable[[], list[bytes]]] = [
        lambda: [chance.randbytes(chance.randrange(200))],
        lambda: [whole[: chance.randrange(len(whole))]],
        lambda: [whole.replace(b"1", b"1e999")],
        lambda: [whole.replace(b"9", b"9" * 300)],
        lambda: [whole.replace(b'"x"', b'"\\ud800"')],
        lambda: [b'{"request":"delete"}'],
        lambda: [b"[" * 4000],
        lambda: [b'{"request":' * 300],
        lambda: [b"\0" * 4096],
        list,
        lambda: [b""] * chance.randrange(2, 60),
        lambda: [chance.randbytes(3) for _ in range(chance.randrange(2, 20))],
        lambda: [b"", b"", whole],
        lambda: [b"\0" * 5000] if chance.random() < 0.01 else [b"{}"],  # one too long ends the connection
    ]
    return chance.choice(ways)()


def handshake(peer: bytes) -> bytes:
    """What a ZeroMQ peer of that socket type says first, without keys."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    ready = b"\x05READY\x0bSocket-Type" + len(peer).to_bytes(4, "big") + peer
    return greeting + b"\x04" + bytes([len(ready)]) + ready


def nonsense_bytes(chance: random.Random, peer: bytes) -> bytes:
    """What a program says that doesn't speak the protocol, or not well, as bytes on the wire."""
    ways: list[Callable[[], bytes]] = [
        lambda: chance.randbytes(chance.randrange(1, 300)),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: handshake(peer)[: chance.randrange(1, 90)],
        lambda: handshake(peer) + chance.randbytes(chance.randrange(1, 300)),
        lambda: handshake(peer) + b"\x02" + b"\x7f" * 8 + bytes(1000),
        lambda: handshake(peer) + b"\x02" + (1 << 32).to_bytes(8, "big") + bytes(1000),
        lambda: handshake(peer) + b"\x00\x00" * 1000,
        lambda: handshake(peer) + b"\x01\x01x" * 1000,
        lambda: handshake(b"X" * 100),
    ]
    return chance.choice(ways)()


def flood(address: str, kind: int, messages: int, seed: int) -> None:
    """Send so many senseless messages to a socket of the feed, a hundredth of them as bare bytes."""
    chance = random.Random(seed)
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    peer = b"DEALER" if kind == zmq.DEALER else b"SUB"
    with zmq.Context() as context:
        sender = _connect(context, kind, address)
        for number in range(messages):
            if number % 100 == 0:
                time.sleep(0.02)  # the publisher takes in 5000 requests/s; what is beyond would never reach it
                with socket.create_connection((host, int(port)), timeout=10) as bare:
                    bare.sendall(nonsense_bytes(chance, peer))
                continue
            message = nonsense(chance) or [b""]
            if kind == zmq.XSUB and number % 2:
                message[0] = chance.choice([b"\0", b"\1"]) + message[0]  # (un)subscribe from something
            try:
                sender.send_multipart(message)
            except zmq.Again:
                # After being cut off now and then, ZeroMQ does not connect again by itself.
                sender.close(linger=0)
                sender = _connect(context, kind, address)
        sender.close()


def _connect(context: zmq.Context[zmq.Socket[bytes]], kind: int, address: str) -> zmq.Socket[bytes]:
    sender = context.socket(kind)
    sender.setsockopt(zmq.LINGER, 5000)
    sender.setsockopt(zmq.SNDTIMEO, 2000)
    sender.connect(address)
    return sender
