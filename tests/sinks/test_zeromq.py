"""The publishing side of the event feed, over real sockets."""

from __future__ import annotations

import socket

import pytest
import zmq

from pipeline.errors import SinkError
from pipeline.types import SourceInfo
from sinks.zeromq import ZeroMqSink
from tests.sinks.feed_parts import free_port_pair, updated


@pytest.fixture
def free_port() -> int:
    return free_port_pair()


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("localhost:5556", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1:70000", "between 1 and 65535"),
        ("tcp://127.0.0.1:0", "between 1 and 65535"),
        ("tcp://[::zz]:5556", "not an IPv6 address"),
        ("udp://127.0.0.1:5556", "expected tcp://HOST:PORT"),
        ("tcp://nosuchcard:5556", "insecure"),
        ("tcp://0.0.0.0:5556", "insecure"),
        ("tcp://*:5556", "insecure"),
        ("tcp://192.0.2.1:5556", "insecure"),
    ],
)
def test_a_bad_endpoint_is_one_plain_line(endpoint: str, says: str) -> None:
    with pytest.raises(SinkError, match=says) as caught:
        ZeroMqSink(endpoint).check()
    assert "\n" not in str(caught.value)
    assert endpoint in str(caught.value)


def test_a_port_in_use_is_said_before_the_first_frame() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SinkError, match="in use by another program"),
    ):
        ZeroMqSink(f"tcp://127.0.0.1:{taken.getsockname()[1]}").check()


def test_an_address_of_another_machine_is_said(free_port: int) -> None:
    with pytest.raises(SinkError, match="no such address"):
        ZeroMqSink(f"tcp://192.0.2.1:{free_port}", insecure=True).check()


def test_checking_takes_nothing(free_port: int) -> None:
    sink = ZeroMqSink(f"tcp://127.0.0.1:{free_port}")
    sink.check()
    sink.check()
    with socket.create_server(("127.0.0.1", free_port)):
        pass


def test_topic_and_payload_as_any_subscriber_sees_them() -> None:
    sink = ZeroMqSink("tcp://127.0.0.1:*")
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        try:
            sink.open("cam", SourceInfo(width=64, height=48), ["person"])
            subscriber.setsockopt(zmq.RCVTIMEO, 10_000)
            subscriber.subscribe("cam/track.updated/person")
            subscriber.connect(sink.endpoint)
            seq = 0
            while not subscriber.poll(20):  # until the subscription has arrived
                seq += 1
                sink.on_event(updated(seq, name="car"))
                sink.on_event(updated(seq))
            topic, payload = subscriber.recv_multipart()[:2]
        finally:
            sink.close()
    assert topic == b"cam/track.updated/person"
    assert payload.startswith(b'{"type":"track.updated","schema":1,"seq":')
    assert b'"class":"person"' in payload
