"""The proxy does what it is told to, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fault_proxy import FaultProxy, Faults, Splitter, Step, main
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S

PACKETS = [b"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nv=0"] + [
    b"$\x00\x00\x20" + bytes(12) + bytes([number]) * 20 for number in range(200)
]


class _Camera(socketserver.BaseRequestHandler):
    """Sends packets once it is asked, and then waits for the reader to go."""

    def handle(self) -> None:
        request = self.request
        with contextlib.suppress(ConnectionError):
            while request.recv(100):
                request.sendall(b"".join(PACKETS))


@contextlib.contextmanager
def camera() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Camera) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield ("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def connect(proxy: FaultProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
    connection.sendall(b"PLAY")
    return connection


def received(connection: socket.socket, packets: int = len(PACKETS)) -> list[bytes]:
    splitter = Splitter()
    found: list[bytes] = []
    while len(found) < packets:
        data = connection.recv(4096)
        if not data:
            break
        found += splitter.feed(data)
    return found


@given(st.lists(st.integers(1, 50), max_size=400), st.booleans())
def test_packets_come_whole_however_they_arrive(cuts: list[int], rtsp: bool) -> None:
    stream = b"".join(PACKETS if rtsp else PACKETS[1:])
    splitter = Splitter()
    found: list[bytes] = []
    for cut in cuts:
        if cut and stream:
            found += splitter.feed(stream[:cut])
            stream = stream[cut:]
    found += splitter.feed(stream) if stream else []
    assert b"".join(found) == b"".join(PACKETS if rtsp else PACKETS[1:])
    if rtsp:
        assert found == PACKETS


def test_without_faults_everything_comes_through() -> None:
    with camera() as address, FaultProxy(address) as proxy, connect(proxy) as connection:
        assert received(connection) == PACKETS


def test_a_share_of_packets_is_dropped_changed_or_swapped() -> None:
    with camera() as address, FaultProxy(address, seed=3) as proxy, connect(proxy) as connection:
        assert received(connection) == PACKETS
        proxy.set(Faults(corrupt=0.1))
        connection.sendall(b"PLAY")
        changed = received(connection)
        wrong = [index for index, packet in enumerate(changed) if packet != PACKETS[index]]
        assert len(wrong) == proxy.counts["corrupted"]
        assert 5 <= len(wrong) <= 40
        assert all(changed[index][:16] == PACKETS[index][:16] for index in wrong), "the headers are whole"

        proxy.set(Faults(reorder=0.1))
        connection.sendall(b"PLAY")
        swapped = received(connection)
        assert sorted(swapped) == sorted(PACKETS)
        assert swapped != PACKETS

        proxy.set(Faults(drop=0.1))
        connection.sendall(b"PLAY")
        kept = received(connection, packets=150)
        assert proxy.counts["dropped"] >= 5
        assert kept == [packet for packet in PACKETS if packet in set(kept)][: len(kept)]


def test_a_stalled_connection_stays_open_and_goes_on_later() -> None:
    with camera() as address, FaultProxy(address, faults=Faults(stalled=True)) as proxy, connect(proxy) as connection:
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.set(Faults())
        connection.settimeout(PATIENCE_S)
        assert received(connection) == PACKETS


def test_a_cut_resets_and_a_refusal_closes() -> None:
    with camera() as address, FaultProxy(address) as proxy, connect(proxy) as connection:
        assert received(connection) == PACKETS
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        proxy.set(Faults(refused=True))
        with contextlib.suppress(ConnectionError), connect(proxy) as refused:
            assert refused.recv(1) == b""
        proxy.set(Faults())
        with connect(proxy) as again:
            assert received(again) == PACKETS
        assert (proxy.counts["cut"], proxy.counts["refused"], proxy.counts["connections"]) == (1, 1, 3)


def test_the_bandwidth_is_limited() -> None:
    size = sum(map(len, PACKETS))
    with camera() as address, FaultProxy(address, faults=Faults(bytes_per_s=size / 0.5)) as proxy:
        begun_s = time.monotonic()
        with connect(proxy) as connection:
            assert received(connection) == PACKETS
        assert time.monotonic() - begun_s > 0.4


def test_a_schedule_is_followed_and_repeated() -> None:
    steps = [Step(0.05, Faults(refused=True), cut=True), Step(0.1, Faults())]
    with camera() as address, FaultProxy(address, schedule=steps, repeat_s=0.2) as proxy:
        for _ in range(2):
            with contextlib.suppress(ConnectionError), connect(proxy) as connection:
                while received(connection):
                    connection.sendall(b"PLAY")
        assert proxy.counts["cut"] + proxy.counts["refused"] >= 2


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    with camera() as address:
        proxy = FaultProxy(address)
        with proxy, connect(proxy) as connection:
            received(connection)
    assert threading.active_count() == before


def test_a_server_that_is_off_ends_the_connection() -> None:
    with (
        FaultProxy(("127.0.0.1", free_port())) as proxy,
        contextlib.suppress(ConnectionError),
        connect(proxy) as connection,
    ):
        assert connection.recv(1) == b""


def test_the_command_line_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--stall-at" in capsys.readouterr().out
