"""The subscribers of the documentation, run against a real feed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.feed_parts import RUN, opened, updated
from tests.support.feed_runs import recorded_run
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"


def start(command: Sequence[str]) -> tuple[subprocess.Popen[str], IO[str]]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, encoding="utf-8"
    )
    assert process.stdout is not None
    return process, process.stdout


def test_python() -> None:
    run = recorded_run(31, 400)
    with opened(linger_s=PATIENCE_S) as sink:
        for event in run[:100]:
            sink.on_event(event)
        process, output = start([sys.executable, str(EXAMPLES / "subscriber.py"), sink.endpoint])
        with process:
            try:
                joined = output.readline()
                for event in run[100:]:
                    sink.on_event(event)
                sink.close()
                lines = output.read().splitlines()
                assert process.wait(PATIENCE_S) == 0
            finally:
                process.kill()
    assert joined.startswith(f"run {RUN} after event ")
    joined_at = int(joined.split()[-1])
    names = [type(event).__name__ for event in run[joined_at:]]
    assert sum("crossed" in line for line in lines) == names.count("LineCrossed")
    assert sum("came" in line for line in lines) == names.count("TrackStarted")
    assert sum("went" in line for line in lines) == names.count("TrackEnded")
    assert not any("missed" in line for line in lines)


@pytest.fixture
def node() -> str:
    """Node.js, if it is here together with the package that the example needs."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is missing: install node and npm, then run `npm ci` in docs/examples")
    found = subprocess.run([program, "-e", "require.resolve('zeromq')"], cwd=EXAMPLES, capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip("the npm package zeromq is missing: run `npm ci` in docs/examples")
    return program


def test_node(node: str) -> None:
    """It is stopped for so long that messages are dropped for it, and has to ask for them."""
    before, total = 100, 25_000
    with opened(replay=total, high_water=500, linger_s=PATIENCE_S) as sink:
        for seq in range(1, before + 1):
            sink.on_event(updated(seq))
        process, output = start([node, str(EXAMPLES / "subscriber.mjs"), sink.endpoint])
        with process:
            try:
                snapshot = json.loads(output.readline())
                process.send_signal(signal.SIGSTOP)
                for seq in range(before + 1, total + 1):
                    sink.on_event(updated(seq))
                process.send_signal(signal.SIGCONT)
                events: list[dict[str, Any]] = []
                while not events or events[-1]["seq"] < total:
                    events.append(json.loads(output.readline()))
                sink.close()
                assert output.read() == ""
                assert process.wait(PATIENCE_S) == 0
            finally:
                process.kill()
        assert sink.counters["requests"] > 1
    assert (snapshot["type"], snapshot["run"]) == ("feed.snapshot", RUN)
    assert [event["seq"] for event in events] == list(range(snapshot["seq"] + 1, total + 1))
    assert {event["type"] for event in events} == {"track.updated"}
