"""The reading side of the event feed, over real sockets and against publishers in processes of their own."""

from __future__ import annotations

import asyncio
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from benchmarks.feed import restart
from pipeline.errors import ConfigError
from pipeline.events import Event, Heartbeat
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.client import subscribe, subscribe_async
from sinks.feed.state import FeedState
from sinks.feed.zeromq_sink import ZeroMqSink
from tests.support.feed_parts import opened, updated
from tests.support.feed_runs import recorded_run
from tests.support.free_ports import free_port_pair
from tests.support.waiting import PATIENCE_S


def take(subscription: Iterator[Event], count: int) -> list[Event]:
    return [next(subscription) for _ in range(count)]


def test_a_late_joiner_has_the_state_and_then_every_event() -> None:
    run = recorded_run(21, 400)
    with opened() as sink:
        for event in run[:250]:
            sink.on_event(event)
        # One that was there before, so that its replies tell that the 250 are out.
        with subscribe(sink.endpoint, history=True) as early:
            assert [event.seq for event in take(early, 251)] == list(range(251))
        with subscribe(sink.endpoint, follow=False) as late:
            snapshot = next(late)
            for event in run[250:]:
                sink.on_event(event)
            followed = take(late, 150)
            sink.close()
            assert list(late) == []
    assert isinstance(snapshot, FeedSnapshot)
    assert snapshot.seq == 250
    assert followed == run[250:]
    state, whole = FeedState.from_snapshot(snapshot), FeedState()
    for event in followed:
        state.apply(event)
    for event in run:
        whole.apply(event)
    assert state == whole


def test_a_subscriber_may_be_there_first() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port_pair()}"
    with subscribe(endpoint, follow=False) as subscription:
        subscription.counters  # noqa: B018 - it is connected, or rather tries to, from here on
        with opened(endpoint) as sink:
            run = recorded_run(22, 100)
            for event in run:
                sink.on_event(event)
            opening, *events = take(subscription, 101)
            while isinstance(events[0], FeedSnapshot):  # one of the time before the first event
                opening, *events = *events, next(subscription)
        rest = list(subscription)
    assert isinstance(opening, FeedSnapshot)
    assert (opening.seq, opening.streams) == (0, {})
    assert [event for event in [*events, *rest] if not isinstance(event, FeedSnapshot)] == run


def test_who_has_waited_long_looks_as_often_as_at_first() -> None:
    # A short run may be over before somebody who looks seldom has noticed that it is there.
    with subscribe(f"tcp://127.0.0.1:{free_port_pair()}") as waiting:
        (subscriber, _), *_ = waiting._link.poller.sockets
        assert isinstance(subscriber, zmq.Socket)
        monitor = subscriber.get_monitor_socket(zmq.EVENT_CONNECT_RETRIED)
        pauses_ms = [recv_monitor_message(monitor)["value"] for _ in range(6)]
        subscriber.disable_monitor()
    assert max(pauses_ms) <= 200  # ZeroMQ adds at random up to as much as it was told


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_topics_are_prefixes(encoding: str) -> None:
    run = recorded_run(23, 300)
    topics = ["cam/track.", "clip/line.crossed/person"]
    with (
        opened(encoding=encoding, linger_s=PATIENCE_S) as sink,
        subscribe(sink.endpoint, topics, follow=False) as subscription,
    ):
        assert isinstance(next(subscription), FeedSnapshot)
        for event in run:
            sink.on_event(event)
        closing = threading.Thread(
            target=sink.close
        )  # it waits for its reader, who still has to ask for the first ones
        closing.start()
        events = [event for event in subscription if not isinstance(event, FeedSnapshot)]
        closing.join()
    assert events == [
        event
        for event in run
        if (event.stream == "cam" and type(event).__name__.startswith("Track"))
        or (event.stream == "clip" and type(event).__name__ == "LineCrossed" and event.class_name == "person")  # type: ignore[attr-defined]
    ]
    assert subscription.counters.events == 300
    assert subscription.counters.malformed == 0


def test_unverified_reading_lets_the_publisher_filter() -> None:
    with (
        opened(heartbeat_s=0.05) as sink,
        subscribe(sink.endpoint, ["cam"], verify=False, heartbeats=True, follow=False) as subscription,
    ):
        assert isinstance(next(subscription), Heartbeat)
        for seq in range(1, 11):
            sink.on_event(updated(seq, stream="cam" if seq % 2 else "yard"))
        sink.close()
        events = [event for event in subscription if not isinstance(event, Heartbeat)]
        assert [event.seq for event in events] == [1, 3, 5, 7, 9]
        assert sink.counters["requests"] == 0


def test_heartbeats_on_demand() -> None:
    with opened(heartbeat_s=0.05) as sink, subscribe(sink.endpoint, heartbeats=True) as subscription:
        kinds = {type(event) for event in take(subscription, 10)}
    assert kinds == {FeedSnapshot, Heartbeat}


def test_silence_is_an_error_where_a_limit_was_given() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port_pair()}"
    for verify in (True, False):
        with (
            pytest.raises(TimeoutError, match=f"nothing was heard from {endpoint} for 0.2 s; is it running"),
            subscribe(endpoint, timeout_s=0.2, verify=verify) as subscription,
        ):
            next(subscription)


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:5556", "tcp://127.0.0.1", "tcp://127.0.0.1:65535", "tcp://127.0.0.1:0", "http://x:1"]
)
def test_a_bad_endpoint_is_one_plain_line(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="expected tcp://HOST:PORT") as caught:
        subscribe(endpoint)
    assert "\n" not in str(caught.value)


def test_requests_may_be_answered_elsewhere() -> None:
    first, second = free_port_pair(), free_port_pair()
    requests = f"tcp://127.0.0.1:{second}"
    with (
        opened(f"tcp://127.0.0.1:{first}", requests=requests) as sink,
        subscribe(sink.endpoint, requests=requests) as subscription,
    ):
        assert isinstance(next(subscription), FeedSnapshot)


def test_nothing_is_left_behind_by_a_loop_that_is_left() -> None:
    with opened() as sink:
        for event in subscribe(sink.endpoint):
            assert isinstance(event, FeedSnapshot)
            break


def test_asyncio() -> None:
    run = recorded_run(24, 300)

    async def read(sink: ZeroMqSink) -> list[Event]:
        events: list[Event] = []
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        other = asyncio.create_task(tick())
        async with subscribe_async(sink.endpoint, follow=False) as subscription:
            async for event in subscription:
                events.append(event)
                if len(events) == 1:
                    for published in run:
                        sink.on_event(published)
                if event.seq == 300:
                    await asyncio.to_thread(sink.close)
        other.cancel()
        assert ticks > 1  # others had their turn
        return events

    with opened() as sink:
        events = asyncio.run(asyncio.wait_for(read(sink), PATIENCE_S))
    assert [event for event in events if not isinstance(event, FeedSnapshot)] == run


def test_two_asyncio_readers_at_once() -> None:
    async def first_five(endpoint: str) -> list[int]:
        async with subscribe_async(endpoint, history=True) as subscription:
            return [(await anext(subscription)).seq for _ in range(6)]

    async def both(endpoint: str) -> tuple[list[int], list[int]]:
        return await asyncio.gather(first_five(endpoint), first_five(endpoint))

    with opened() as sink:
        for seq in range(1, 6):
            sink.on_event(updated(seq))
        with subscribe(sink.endpoint, history=True) as early:
            take(early, 6)
        assert tuple(asyncio.run(both(sink.endpoint))) == ([0, 1, 2, 3, 4, 5],) * 2


def test_a_killed_publisher_is_followed_into_its_next_run() -> None:
    report = restart(2)
    assert report["runs"] == 3
    assert report["kept"]


class Wire(threading.Thread):
    """Forwards TCP connections from a port to another until it is cut."""

    def __init__(self, port: int, target: int) -> None:
        super().__init__(name="wire")
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self._scissors, self._thread_end = socket.socketpair()
        self.start()

    def run(self) -> None:
        opposite: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as selector:
            for watched in (self._listener, self._thread_end):
                selector.register(watched, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._thread_end in ready:
                    break
                for end in ready:
                    assert isinstance(end, socket.socket)
                    if end is self._listener:
                        pair = end.accept()[0], socket.create_connection(("127.0.0.1", self._target))
                        for one, other in (pair, pair[::-1]):
                            opposite[one] = other
                            selector.register(one, selectors.EVENT_READ)
                    elif data := end.recv(65536):
                        opposite[end].sendall(data)
                    else:
                        selector.unregister(end)
        for closed in (*opposite, self._listener, self._thread_end, self._scissors):
            closed.close()

    def cut(self) -> None:
        self._scissors.send(b"x")
        self.join()


def test_a_subscriber_that_was_cut_off_catches_up() -> None:
    port = free_port_pair()
    numbers: list[int] = []
    seq = 0
    with opened(replay=1000, heartbeat_s=0.05) as sink:
        targets = [int(str(address).rsplit(":", 1)[1]) for address in (sink.endpoint, sink.requests_endpoint)]
        with subscribe(f"tcp://127.0.0.1:{port}", give_up_s=PATIENCE_S) as subscription:
            for _ in range(3):
                wires = [Wire(port + index, target) for index, target in enumerate(targets)]
                for _ in range(100):
                    seq += 1
                    sink.on_event(updated(seq))
                while not numbers or numbers[-1] != seq:
                    event = next(subscription)
                    assert not isinstance(event, FeedGap)
                    if not isinstance(event, FeedSnapshot) or not numbers:
                        numbers.append(event.seq)
                for wire in wires:
                    wire.cut()
                for _ in range(200):  # these go to nobody
                    seq += 1
                    sink.on_event(updated(seq))
    assert numbers == list(range(numbers[0], seq - 199))
    assert subscription.counters.repaired >= 400


def test_the_client_needs_only_pyzmq_and_msgspec() -> None:
    """Everything else that the project installs is made unavailable."""
    script = """
import sys
allowed = {"zmq", "msgspec", "pipeline", "sinks"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in allowed or root in sys.stdlib_module_names or root.startswith(("_", "cython")):
            return None
        raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import sinks.feed.client
sinks.feed.client.subscribe("tcp://127.0.0.1:5556").close()
print(sorted(name for name in sys.modules if name.startswith(("pipeline.", "sinks."))))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "pipeline.types" not in result.stdout
