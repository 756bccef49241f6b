"""Who may read the feed, and what those can do who may not: nothing."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
import zmq.auth

from benchmarks.feed_flood import flood, handshake
from pipeline.errors import ConfigError, SinkError
from pipeline.feed_events import FeedSnapshot
from pipeline.types import SourceInfo
from sinks.feed.client import Subscription, subscribe
from sinks.feed.keys import read_key_pair, read_public_key, write_keys
from sinks.feed.zeromq_sink import ZeroMqSink
from tests.support.feed_parts import opened, updated
from tests.support.free_ports import free_port_pair
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the keys of a publisher, a friend and a stranger."""
    for name in ("publisher", "friend", "stranger"):
        write_keys(name, tmp_path / "keys")
    return tmp_path / "keys"


def test_key_files_are_private_and_readable_by_other_programs(tmp_path: Path) -> None:
    public_file, secret_file = write_keys("front-door", tmp_path / "new" / "folder")
    assert [path.stat().st_mode & 0o777 for path in (public_file, secret_file)] == [0o600, 0o600]
    public, nothing = zmq.auth.load_certificate(public_file)
    assert nothing is None
    pair = read_key_pair(secret_file)
    assert zmq.auth.load_certificate(secret_file) == (pair.public, pair.secret)
    assert pair.public == public == zmq.curve_public(pair.secret) == read_public_key(public_file)
    assert read_public_key(public.decode()) == public
    assert pair.secret.decode() not in repr(pair)


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65, ".hidden", "é"])
def test_key_names_that_make_no_good_file_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key name"):
        write_keys(name, tmp_path)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    write_keys("one", tmp_path)
    with pytest.raises(ConfigError, match="exists already"):
        write_keys("one", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be written"):
        write_keys("two", tmp_path / "file")


def test_keys_that_can_not_be_read_are_one_plain_line(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_bytes(b"\xff\x00")
    (tmp_path / "short").write_text('curve\n    public-key = "abc"\n')
    endpoint = f"tcp://127.0.0.1:{free_port_pair()}"
    cases = [
        (keys / "publisher.key", [keys], "no secret key"),
        (keys / "nobody.key_secret", [keys], "can't be read as a key file"),
        (tmp_path / "nonsense", [keys], "can't be read as a key file"),
        (tmp_path / "short", [keys], "40 characters"),
        (keys / "publisher.key_secret", [], "no client may read"),
        (keys / "publisher.key_secret", [tmp_path], "no client may read"),
        (keys / "publisher.key_secret", ["\N{SNOWMAN}" * 40], "40 characters"),
        (keys / "publisher.key_secret", [keys / "nobody.key"], "can't be read as a key file"),
    ]
    for own, clients, says in cases:
        with pytest.raises(ConfigError, match=says) as caught:
            ZeroMqSink(endpoint, keys=own, clients=clients).check()  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_other_machines_only_with_keys_or_by_leave(keys: Path) -> None:
    port = free_port_pair()
    with pytest.raises(SinkError, match="give keys, or set insecure"):
        ZeroMqSink(f"tcp://0.0.0.0:{port}").check()
    with pytest.raises(SinkError, match="give keys, or set insecure"):
        ZeroMqSink(f"tcp://127.0.0.1:{port}", requests=f"tcp://0.0.0.0:{port + 1}").check()
    ZeroMqSink(f"tcp://0.0.0.0:{port}", keys=keys / "publisher.key_secret", clients=[keys]).check()


def publish_until(sink: ZeroMqSink, numbers: Iterator[int], done: Callable[[], bool], listener: Subscription) -> None:
    """Publish until something is so, and let a subscriber who may read confirm each event."""
    while not done():
        seq = next(numbers)
        sink.on_event(updated(seq))
        while isinstance(event := next(listener), FeedSnapshot):
            pass
        assert event.seq == seq


def test_who_has_no_allowed_key_gets_nothing(keys: Path) -> None:
    allowed = {"keys": keys / "publisher.key_secret", "clients": [keys / "friend.key"]}
    numbers = itertools.count(1)
    with (
        opened(**allowed, heartbeat_s=0.05) as sink,  # type: ignore[arg-type]
        zmq.Context() as context,
        subscribe(sink.endpoint, keys=keys / "friend.key_secret", server_key=keys / "publisher.key") as friend,
    ):
        assert isinstance(next(friend), FeedSnapshot)
        intruders = []
        for kind, address in ((zmq.SUB, sink.endpoint), (zmq.DEALER, str(sink.requests_endpoint))):
            for own, server in ((None, None), ("stranger", "publisher"), ("friend", "stranger")):
                intruder = context.socket(kind)
                intruders.append(intruder)
                intruder.setsockopt(zmq.LINGER, 0)
                monitor = intruder.get_monitor_socket(
                    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
                    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
                    | zmq.EVENT_DISCONNECTED
                )
                if own is not None:
                    pair = read_key_pair(keys / f"{own}.key_secret")
                    intruder.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
                    intruder.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
                    intruder.setsockopt(zmq.CURVE_SERVERKEY, read_public_key(keys / f"{server}.key"))
                if kind == zmq.SUB:
                    intruder.subscribe("")
                intruder.connect(address)
                if kind == zmq.DEALER:
                    intruder.send(b'{"request":"snapshot"}')
                publish_until(sink, numbers, lambda m=monitor: bool(m.poll(10)), friend)  # type: ignore[misc]
        # All were turned away and have tried again since; nothing has come.
        for _ in range(20):
            publish_until(sink, numbers, iter([False, True]).__next__, friend)
        assert not any(intruder.poll(10) for intruder in intruders)
        assert sink.counters["refused"] >= 2
        assert sink.counters["requests"] == 1  # the friend's snapshot
        for intruder in intruders:
            intruder.disable_monitor()
            intruder.close()


def test_a_client_needs_both_keys(keys: Path) -> None:
    with pytest.raises(ConfigError, match="give both"):
        subscribe("tcp://127.0.0.1:5556", keys=keys / "friend.key_secret")
    with pytest.raises(ConfigError, match="no secret key"):
        subscribe("tcp://127.0.0.1:5556", keys=keys / "friend.key", server_key=keys / "publisher.key")


def test_nonsense_on_both_sockets_is_dropped_and_counted() -> None:
    numbers = itertools.count(1)
    with opened(heartbeat_s=0.05) as sink, subscribe(sink.endpoint) as listener:
        assert isinstance(next(listener), FeedSnapshot)
        floods = [
            threading.Thread(target=flood, args=(sink.endpoint, zmq.XSUB, 1000, 1)),
            threading.Thread(target=flood, args=(sink.requests_endpoint, zmq.DEALER, 1000, 2)),
        ]
        for thread in floods:
            thread.start()
        publish_until(sink, numbers, lambda: not any(thread.is_alive() for thread in floods), listener)
        for thread in floods:
            thread.join()
        publish_until(sink, numbers, lambda: sink.counters["malformed"] > 100, listener)


def connected(address: str, peer: bytes) -> socket.socket:
    """A bare connection whose ZeroMQ handshake is done."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    connection.sendall(handshake(peer))
    return connection


def parts_without_end() -> Iterator[bytes]:
    """A message of endlessly many parts."""
    return itertools.repeat(b"\x01\x01x" * 5000)


def subscriptions_without_end() -> Iterator[bytes]:
    """Ever new subscriptions."""
    for number in itertools.count():
        topics = (b"\x01%08d-%04d" % (number, index) for index in range(1000))
        yield b"".join(b"\x00" + bytes([len(topic)]) + topic for topic in topics)


@pytest.mark.parametrize(
    ("peer", "attack"),
    [(b"DEALER", parts_without_end), (b"SUB", parts_without_end), (b"SUB", subscriptions_without_end)],
)
def test_nobody_can_make_the_publisher_grow(peer: bytes, attack: Callable[[], Iterator[bytes]]) -> None:
    numbers = itertools.count(1)
    with opened() as sink, subscribe(sink.endpoint) as listener:
        assert isinstance(next(listener), FeedSnapshot)
        address = sink.endpoint if peer == b"SUB" else str(sink.requests_endpoint)
        before = psutil.Process().memory_info().rss
        while not sink.counters["cut"]:  # now and then ZeroMQ finds fault with such a hasty handshake, and is first
            with connected(address, peer) as connection, contextlib.suppress(OSError):
                connection.settimeout(2)  # the system may also just take no more
                for piece in itertools.islice(attack(), 10_000):
                    connection.sendall(piece)
        publish_until(sink, numbers, iter([False] * 5 + [True]).__next__, listener)
        assert psutil.Process().memory_info().rss - before < 100 * 2**20


def test_connections_beyond_any_need_are_cut() -> None:
    numbers = itertools.count(1)
    with opened() as sink, subscribe(sink.endpoint) as listener:
        assert isinstance(next(listener), FeedSnapshot)
        crowd = [connected(sink.endpoint, b"SUB") for _ in range(80)]
        publish_until(sink, numbers, lambda: sink.counters["cut"] >= 17, listener)
        for connection in crowd:
            connection.close()
        publish_until(sink, numbers, iter([False] * 20 + [True]).__next__, listener)


def test_the_snippet_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    snippet = page.split("```python\n")[-1].split("```")[0]
    assert "write_keys" in snippet
    monkeypatch.chdir(tmp_path)
    port = free_port_pair()
    names: dict[str, Any] = {}
    exec(compile(snippet.replace("5556", str(port)), "events.md", "exec"), names)
    sink: ZeroMqSink = names["sink"]
    sink.check()
    sink.open("cam", SourceInfo(width=64, height=48), [])
    try:
        assert isinstance(next(names["events"]), FeedSnapshot)
    finally:
        names["events"].close()
        sink.close()
