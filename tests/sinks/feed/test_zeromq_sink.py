"""The publishing side of the event feed, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from benchmarks.feed import throughput
from pipeline.errors import SinkError
from pipeline.event_codec import decode_json, decode_msgpack
from pipeline.events import Heartbeat
from pipeline.types import SourceInfo
from sinks.feed.protocol import MAX_REPLY_EVENTS
from sinks.feed.zeromq_sink import ZeroMqSink
from tests.support.feed_parts import RUN, opened, updated
from tests.support.feed_runs import recorded_run
from tests.support.free_ports import free_port_pair
from tests.support.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("localhost:5556", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "expected tcp://HOST:PORT"),
        ("tcp://127.0.0.1:70000", "between 1 and 65535"),
        ("tcp://127.0.0.1:65535", "use 65534 or less"),
        ("tcp://127.0.0.1:0", "between 1 and 65535"),
        ("tcp://[::zz]:5556", "not an IPv6 address"),
        ("udp://127.0.0.1:5556", "expected tcp://HOST:PORT"),
        ("tcp://nosuchcard:5556", "insecure"),
        ("tcp://0.0.0.0:5556", "insecure"),
        ("tcp://*:5556", "insecure"),
        ("tcp://192.0.2.1:5556", "insecure"),
        ("ipc://", "expected ipc://PATH"),
        ("ipc:///nowhere/at/all", "no folder /nowhere/at"),
        ("ipc:///" + "x" * 100, "90 bytes at most"),
    ],
)
def test_a_bad_endpoint_is_one_plain_line(endpoint: str, says: str) -> None:
    with pytest.raises(SinkError, match=says) as caught:
        ZeroMqSink(endpoint).check()
    assert "\n" not in str(caught.value)
    assert endpoint in str(caught.value)
    assert caught.value.exit_code == (1 if says.startswith("no folder") else 2)


def test_a_port_in_use_is_said_before_the_first_frame() -> None:
    port = free_port_pair()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(SinkError, match="in use by another program"):
        ZeroMqSink(f"tcp://127.0.0.1:{port}").check()
    # The port for requests counts too.
    with socket.create_server(("127.0.0.1", port + 1)):
        sink = ZeroMqSink(f"tcp://127.0.0.1:{port}")
        with pytest.raises(SinkError, match=f"requests to the event feed .*{port + 1}: it is in use by another"):
            sink.check()
        with pytest.raises(SinkError, match=f"{port + 1}: it is in use by another program"):
            sink.open("cam", SourceInfo(width=64, height=48), [])
        sink.close()
    sink.check()  # nothing is held after the failure


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(SinkError, match="no such address"):
        ZeroMqSink(f"tcp://192.0.2.1:{free_port_pair()}", insecure=True).check()
    with pytest.raises(SinkError, match="neither an IP address nor a network interface"):
        ZeroMqSink("tcp://nosuchcard:5556", insecure=True).check()


def test_every_interface_by_leave() -> None:
    ZeroMqSink(f"tcp://*:{free_port_pair()}", insecure=True).check()


@pytest.mark.parametrize(
    "options",
    [{"types": ["track.flew"]}, {"types": []}, {"encoding": "yaml"}, {"replay": -1}, {"high_water": 0}],
)
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ZeroMqSink("tcp://127.0.0.1:*", **options)


def test_checking_takes_nothing_and_closing_gives_back() -> None:
    port = free_port_pair()
    sink = ZeroMqSink(f"tcp://127.0.0.1:{port}")
    sink.check()
    sink.check()
    sink.close()
    threads = threading.active_count()
    sink.open("cam", SourceInfo(width=64, height=48), [])
    sink.open("yard", SourceInfo(width=64, height=48), [])
    with pytest.raises(SinkError, match="in use"):
        ZeroMqSink(f"tcp://127.0.0.1:{port}").check()
    sink.close()
    sink.close()
    assert threading.active_count() == threads
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_event_before_open_is_refused() -> None:
    with pytest.raises(SinkError, match="before the feed was opened"):
        ZeroMqSink("tcp://127.0.0.1:*").on_event(updated(1))


@contextmanager
def plain_subscriber(sink: ZeroMqSink, *prefixes: str) -> Iterator[zmq.Socket[bytes]]:
    """What any program in any language can do; ready when it yields."""
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        subscriber.setsockopt(zmq.LINGER, 0)
        for prefix in (*prefixes, "/heartbeat/"):
            subscriber.subscribe(prefix)
        subscriber.connect(sink.endpoint)
        subscriber.recv_multipart()  # a heartbeat: the subscriptions have arrived
        yield subscriber


def next_but_heartbeats(subscriber: zmq.Socket[bytes]) -> list[bytes]:
    while (frames := subscriber.recv_multipart())[0] == b"/heartbeat/":
        pass
    return frames


def next_heartbeat(subscriber: zmq.Socket[bytes]) -> Heartbeat:
    heartbeat = decode_json(subscriber.recv_multipart()[1])
    assert isinstance(heartbeat, Heartbeat)
    return heartbeat


def test_topic_payload_and_previous_as_any_subscriber_sees_them() -> None:
    with opened(heartbeat_s=0.05) as sink, plain_subscriber(sink, "cam/track.updated/person") as subscriber:
        sink.on_event(updated(1, name="car"))
        sink.on_event(updated(2))
        topic, payload, previous = next_but_heartbeats(subscriber)
    assert (topic, previous) == (b"cam/track.updated/person", b"1")
    assert payload.startswith(b'{"type":"track.updated","schema":1,"seq":2,')
    assert decode_json(payload) == updated(2)


def test_message_pack() -> None:
    with opened(heartbeat_s=0.05, encoding="msgpack") as sink, plain_subscriber(sink, "cam") as subscriber:
        sink.on_event(updated(1))
        payload = next_but_heartbeats(subscriber)[1]
    assert decode_msgpack(payload) == updated(1)
    assert msgspec.msgpack.decode(payload)["class"] == "person"


def test_only_chosen_types_are_sent_and_form_a_chain() -> None:
    with (
        opened(heartbeat_s=0.05, types=["line.crossed", "zone.left"]) as sink,
        plain_subscriber(sink, "") as subscriber,
    ):
        run = recorded_run(11, 300)
        for event in run:
            sink.on_event(event)
        wanted = [event for event in run if type(event).__name__ in {"LineCrossed", "ZoneLeft"}]
        previous = 0
        for event in wanted:
            _, payload, before = next_but_heartbeats(subscriber)
            assert decode_json(payload) == event
            assert int(before) == previous
            previous = event.seq
    assert len(wanted) > 5


def test_heartbeats_tell_the_last_number_the_port_for_requests_and_the_end() -> None:
    with opened(heartbeat_s=0.05) as sink, plain_subscriber(sink) as subscriber:
        for seq in range(1, 4):
            sink.on_event(updated(seq))
        while (heartbeat := next_heartbeat(subscriber)).seq < 3:
            assert not heartbeat.final
        sink.close()
        while not (heartbeat := next_heartbeat(subscriber)).final:
            pass
    assert (heartbeat.seq, heartbeat.run, heartbeat.stream) == (3, RUN, "")
    assert heartbeat.requests_port == int(sink.requests_endpoint.rsplit(":", 1)[1])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_requests_as_any_program_can_make_them(kind: int) -> None:
    with opened() as sink, zmq.Context() as context, context.socket(kind) as client:
        client.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        client.setsockopt(zmq.LINGER, 0)
        client.connect(str(sink.requests_endpoint))
        total = MAX_REPLY_EVENTS + 500
        for seq in range(1, total + 1):
            sink.on_event(updated(seq))
        client.send_json({"request": "snapshot"})
        header, snapshot = client.recv_multipart()
        while json.loads(header)["seq"] < total:  # the request overtook the events, which is its right
            client.send_json({"request": "snapshot"})
            header, snapshot = client.recv_multipart()
        assert json.loads(snapshot)["streams"]["cam"]["tracks"][0]["track_id"] == 1
        client.send_json({"request": "replay", "run": RUN, "after": 3, "through": total, "a new field": 1})
        header, *payloads = client.recv_multipart()
        assert json.loads(header) == {"reply": "replay", "run": RUN, "after": 3, "previous": 3, "seq": total}
        assert [json.loads(payload)["seq"] for payload in payloads] == list(range(4, 4 + len(payloads)))
        assert 0 < len(payloads) <= MAX_REPLY_EVENTS
        client.send_json({"request": "replay", "run": "another", "after": 3, "through": 9})
        assert json.loads(client.recv_multipart()[0])["run"] == RUN


def test_every_request_of_a_quick_reader_is_answered() -> None:
    with opened() as sink, zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        client.setsockopt(zmq.LINGER, 0)
        client.connect(str(sink.requests_endpoint))
        for _ in range(3000):
            client.send(b'{"request":"snapshot"}')
            assert len(client.recv_multipart()) == 2
        assert sink.counters["unsent_replies"] == 0


def test_a_file_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    with opened(f"ipc://{path}", heartbeat_s=0.05) as sink, plain_subscriber(sink, "cam") as subscriber:
        assert path.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "feed.requests").stat().st_mode & 0o777 == 0o600
        sink.on_event(updated(1))
        assert decode_json(next_but_heartbeats(subscriber)[1]) == updated(1)
        with pytest.raises(SinkError, match="in use"):
            ZeroMqSink(f"ipc://{path}").check()
    ZeroMqSink(f"ipc://{path}").check()


def test_a_failure_of_the_feed_reaches_the_pipeline() -> None:
    with pytest.raises(SinkError, match="event feed stopped"), opened() as sink:
        sink.on_event(updated(1, stream="\udcff"))  # no UTF-8 can say this
        for seq in range(2, 10**6):
            sink.on_event(updated(seq))


def test_three_subscribers_one_of_them_stopped_for_a_while() -> None:
    report = throughput(rate=3000, seconds=2.0, stop_s=1.0, replay=10_000, subscribers=3)
    for subscriber in report["subscribers"]:
        assert (subscriber["received"], subscriber["last"]) == (6000, 6000)
        assert (subscriber["out_of_order"], subscriber["gaps"]) == (0, [])
    assert report["counters"]["dropped"] == 0
