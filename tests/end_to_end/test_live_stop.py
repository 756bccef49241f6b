"""A run ends when it is told to, whatever its cameras do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy, Faults
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server

ROOT = Path(__file__).resolve().parents[2]
# Had the run to wait for any of these, the test's own time limit would end it.
AN_HOUR_S = 3600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_silent_cameras_do_not_hold_up_the_end(number: signal.Signals, tiny_weights: Path, tmp_path: Path) -> None:
    require_rtsp_server()
    content = {f"camera{k}": LivePicture(160, 120, fps=10) for k in range(3)}
    with (
        RtspServer(content) as server,
        FaultProxy(("127.0.0.1", server.port)) as falls_silent,
        FaultProxy(("127.0.0.1", server.port), faults=Faults(stalled=True)) as silent,
    ):
        events, report = tmp_path / "events.pipe", tmp_path / "report.json"
        os.mkfifo(events)
        config = tmp_path / "cameras.json"  # YAML is a superset of JSON
        streams = {
            "good": server.url_of("camera0"),
            "falls": server.url_of("camera1", port=falls_silent.port),
            "never": server.url_of("camera2", port=silent.port),
            "off": "rtsp://127.0.0.1:1/none",
        }
        config.write_text(
            json.dumps(
                {
                    "streams": {name: {"source": url} for name, url in streams.items()},
                    "input": {"open_timeout_s": AN_HOUR_S, "read_timeout_s": AN_HOUR_S, "longest_wait_s": AN_HOUR_S},
                    "output": {"jsonl": str(events), "report": str(report)},
                }
            )
        )
        run = subprocess.Popen([sys.executable, "run_pipeline.py", "run", "--config", str(config)], cwd=ROOT)
        try:
            with events.open() as lines:
                seen: set[str] = set()
                for line in lines:
                    event = json.loads(line)
                    seen.add(f"{event['stream']} {event['type']}")
                    if {"good window.second", "falls window.second"} <= seen:
                        falls_silent.set(Faults(stalled=True))
                        run.send_signal(number)
                        break
                ended = {json.loads(line)["stream"] for line in lines if '"stream.ended"' in line}
            assert run.wait() == 130
        finally:
            run.kill()
            run.wait()
    assert ended == set(streams)
    for stream in json.loads(report.read_text())["streams"].values():
        kept = stream["processed"] + sum(stream["dropped"].values()) + sum(stream["failed"].values())
        assert stream["decoded"] == kept
