"""Commands to a running Sightline: answered, refused, and never able to crash or block it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SinkError, SinkPathError
from sightline.server.control_socket import MAX_COMMAND_BYTES, ControlSocket, send_command
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S


def broken() -> str:
    raise RuntimeError("it broke")


COMMANDS = {"reload": lambda: "2 unchanged", "status": lambda: "door: online\ngårdsplan: offline", "broken": broken}


@pytest.fixture
def control() -> Iterator[ControlSocket]:
    before = set(threading.enumerate())
    with ControlSocket("tcp://127.0.0.1:*", COMMANDS) as made:
        yield made
    made.close()
    assert set(threading.enumerate()) <= before


def exchange(endpoint: str, *frames: bytes, timeout_ms: int = round(1000 * PATIENCE_S)) -> bytes | None:
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.connect(endpoint)
        client.send_multipart(frames)
        return client.recv() if client.poll(timeout_ms) else None


def test_commands_are_answered(control: ControlSocket) -> None:
    assert send_command(control.endpoint, "reload") == "2 unchanged"
    assert send_command(control.endpoint, " status\n") == "door: online\ngårdsplan: offline"
    assert control.malformed == 0


def test_a_command_that_fails_is_an_answer(control: ControlSocket, caplog: pytest.LogCaptureFixture) -> None:
    assert send_command(control.endpoint, "broken") == "error: it broke"
    assert "broken failed" in caplog.text
    assert send_command(control.endpoint, "reload") == "2 unchanged"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=64), min_size=1, max_size=4).filter(
        lambda f: f[0] and f[0].decode("latin-1").strip() not in COMMANDS
    )
)
def test_malformed_requests_are_counted_and_answered(control: ControlSocket, frames: list[bytes]) -> None:
    before = control.malformed
    reply = exchange(control.endpoint, *frames)
    assert reply == b"error: no such command; there are reload, status, broken"
    assert control.malformed == before + 1


def test_what_is_too_long_and_what_is_no_zeromq_is_cut_off(control: ControlSocket) -> None:
    assert exchange(control.endpoint, bytes(MAX_COMMAND_BYTES + 1), timeout_ms=300) is None
    host, port = control.endpoint.removeprefix("tcp://").split(":")
    noise = [np.random.default_rng(seed).bytes(5000) for seed in range(20)]
    for data in (b"GET / HTTP/1.1\r\n\r\n", *noise):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as stranger:
            stranger.sendall(data)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S):  # says nothing
        assert send_command(control.endpoint, "reload") == "2 unchanged"
    with pytest.raises(SinkError, match="1 to 256 bytes"):
        send_command(control.endpoint, "x" * 300)


def test_a_client_that_leaves_without_its_answer_harms_nobody() -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def slow() -> str:
        asked.set()
        assert may_answer.wait(PATIENCE_S)
        return "done"

    with ControlSocket("tcp://127.0.0.1:*", {"slow": slow, "quick": lambda: "yes"}) as control:
        assert exchange(control.endpoint, b"slow", timeout_ms=1) is None
        if asked.wait(2):  # it may have left before it had asked
            may_answer.set()
        assert send_command(control.endpoint, "quick") == "yes"
        may_answer.set()


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:5558", "tcp://*:5558", "tcp://192.0.2.7:5558", "tcp://eth0:5558", "ipc:///x", "5558", ""],
)
def test_only_this_machine_is_listened_to(endpoint: str) -> None:
    for use in (lambda: ControlSocket(endpoint, COMMANDS), lambda: send_command(endpoint, "stop")):
        with pytest.raises(SinkPathError, match="control endpoint") as caught:
            use()
        assert len(str(caught.value).splitlines()) == 1


def test_an_address_in_use_and_nobody_there_are_plain_lines(control: ControlSocket) -> None:
    with pytest.raises(SinkError, match="in use"):
        ControlSocket(control.endpoint, COMMANDS)
    with pytest.raises(SinkError, match="no reply within"):
        send_command(f"tcp://127.0.0.1:{free_port()}", "status", timeout_s=0.1)
