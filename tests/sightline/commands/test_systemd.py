"""What systemd is told, over a socket as it makes one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sightline.commands.systemd import ServiceManager
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "packaging" / "sightline.service"


@pytest.fixture
def told(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd listens; its address is ``told`` in ``tmp_path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "told"))
        heard.settimeout(PATIENCE_S)
        yield heard


def words(heard: socket.socket) -> list[str]:
    return heard.recv(4096).decode().splitlines()


def test_the_loop_itself_gives_the_words_of_life(told: socket.socket, tmp_path: Path) -> None:
    asked: list[Callable[[], None]] = []
    come = threading.Semaphore(0)

    def ask(function: Callable[[], None]) -> None:
        asked.append(function)
        come.release()

    manager = ServiceManager(str(tmp_path / "told"), watchdog_s=0.03)
    with manager.watching(ask):
        assert words(told) == ["READY=1"]
        for _ in range(2):
            assert come.acquire(timeout=PATIENCE_S)
        told.setblocking(False)
        with pytest.raises(BlockingIOError):  # the run has not come around
            told.recv(4096)
        told.settimeout(PATIENCE_S)
        asked[0]()
        assert words(told) == ["WATCHDOG=1"]
    assert words(told) == ["STOPPING=1"]


def test_a_reload_is_told_before_and_after(told: socket.socket, tmp_path: Path) -> None:
    def reload() -> None:
        raise RuntimeError("what it raises is its own matter")

    with pytest.raises(RuntimeError):
        ServiceManager(str(tmp_path / "told")).reloading(reload)()
    first, clock = words(told)
    assert first == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", clock)
    assert words(told) == ["READY=1"]


def test_an_abstract_address_is_one(tmp_path: Path) -> None:
    name = f"sightline-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(PATIENCE_S)
        ServiceManager(f"@{name}").tell("READY=1")
        assert words(heard) == ["READY=1"]


def test_who_does_not_listen_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(None, watchdog_s=1.0).tell("READY=1")
    assert not caplog.text and ServiceManager(None, 1.0).watchdog_s is None
    ServiceManager(str(tmp_path / "nobody")).tell("READY=1")
    assert "READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # it is meant for another process
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_what_it_waits_for_is_in_the_environment(
    environment: dict[str, str], watchdog_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"NOTIFY_SOCKET": "/nowhere", **environment}.items():
        monkeypatch.setenv(name, value)
    assert ServiceManager.of_environment().watchdog_s == watchdog_s


def test_a_run_is_a_service(told: socket.socket, tmp_path: Path, demo_clip: Path) -> None:
    """From its start over a reload to its end: the words come in the order in which systemd wants them."""
    (tmp_path / "my.yaml").write_text(f"source: {demo_clip}\n")
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "told"), "WATCHDOG_USEC": "60000"}
    environment.pop("WATCHDOG_PID", None)
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--config", "my.yaml", "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as run:
        assert words(told) == ["READY=1"]
        assert words(told) == ["WATCHDOG=1"]
        run.send_signal(signal.SIGHUP)
        heard = []
        while "READY=1" not in heard:
            heard += words(told)
        assert "RELOADING=1" in heard
        run.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in heard:
            heard += words(told)
        assert run.wait(PATIENCE_S) in (0, 130)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_the_unit_is_shut_in_as_the_page_says(tmp_path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for sightline.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    stated = re.search(r"from 0 to 10: ([\d.]+)\.\n", page)
    assert stated and float(found[1]) <= float(stated[1])
