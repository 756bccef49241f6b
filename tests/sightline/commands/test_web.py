"""``run --web`` in a process of its own: it serves while the run lasts, longer where asked, and says what is wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from sightline.commands.main import _with_web_address, main
from tests.support.clips import write_clip
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", count=10)


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run in a process, and its address."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = next((m[1] for line in process.stderr if (m := re.fullmatch(r"web: (http\S+)/\n", line))), None)
            assert found is not None, "it serves nothing"
            yield process, found
        finally:
            process.kill()


def test_a_run_is_served_and_stays_until_it_is_stopped(clip: Path, tiny_weights: Path) -> None:
    with running("run", str(clip), "--web", "127.0.0.1:0", "--web-stay") as (process, url):
        assert process.stderr is not None
        assert next(line for line in process.stderr if "stays open" in line)
        (view,) = requests.get(f"{url}/api/streams", timeout=PATIENCE_S).json()["streams"]
        assert (view["name"], view["state"]) == ("clip", "ended")
        report = requests.get(f"{url}/api/report", timeout=PATIENCE_S).json()
        assert report["streams"]["clip"]["processed"] == 10
        assert "text/html" in requests.get(url, timeout=PATIENCE_S).headers["Content-Type"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0, "the run itself had come to its end"


def test_a_port_that_is_in_use_is_one_plain_line(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([str(clip), "--web", f"127.0.0.1:{port}"]) == 1
    told = capsys.readouterr().err
    assert told == f"error: web 127.0.0.1:{port}: the port is in use; choose another, or end the program that has it\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--web", "0.0.0.0:8080"], "token_env"),
        (["--web", "[::]:8080"], "token_env"),
        (["--web", "127.0.0.1:99999"], "expected HOST:PORT"),
        (["--web", "127.0.0.1:8080", "--set", "web.token_env=NO_SUCH_VARIABLE"], "at least 16 characters"),
        (["--web", "127.0.0.1:8080", "--set", "web.read_token_env=A_B"], "beside token_env"),
        (["--web", "127.0.0.1:8080", "--each"], "--each"),
    ],
    ids=str,
)
def test_what_can_t_be_served_is_told_before_anything_begins(
    arguments: list[str], says: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(clip), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_what_was_changed_in_another_run_counts_is_told_of_and_is_no_output(
    clip: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, changes = tmp_path / "my.yaml", tmp_path / "my.changes.yaml"
    config.write_text(f"source: {clip}\n")
    changes.write_text("streams: {clip: {zones: {all: {polygon: [[0, 0], [1, 0], [1, 1]], units: fraction}}}}\n")
    assert main(["run", "--config", str(config), "--jsonl", str(changes)]) == 2
    assert "changes of the configuration" in capsys.readouterr().err
    report = tmp_path / "report.json"
    assert main(["run", "--config", str(config), "--report", str(report)]) == 0
    assert f"{changes}: what was changed" in capsys.readouterr().err
    assert list(json.loads(report.read_text())["streams"]["clip"]["zones"]) == ["all"]


def test_an_address_may_be_left_out() -> None:
    for given, meant in (
        (["run", "a.mp4", "--web"], ["run", "a.mp4", "--web", "127.0.0.1:8080"]),
        (["run", "--web", "a.mp4"], ["run", "--web", "127.0.0.1:8080", "a.mp4"]),
        (["run", "--web", "webcam:0"], ["run", "--web", "127.0.0.1:8080", "webcam:0"]),
        (["run", "--web", "rtsp://cam:554"], ["run", "--web", "127.0.0.1:8080", "rtsp://cam:554"]),
        (["run", "--web", "--web-stay"], ["run", "--web", "127.0.0.1:8080", "--web-stay"]),
        (["run", "--web", "[::1]:80", "a.mp4"], ["run", "--web", "[::1]:80", "a.mp4"]),
    ):
        assert _with_web_address(given) == meant
