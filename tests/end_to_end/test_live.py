"""Cameras from the command line, on a real RTSP server: what a user reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rtsp_server import LivePicture, RtspServer, missing_packages
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-pa55"
pytestmark = [
    pytest.mark.skipif(bool(missing_packages()), reason=f"needs a real RTSP server: {missing_packages()}"),
    pytest.mark.usefixtures("tiny_weights"),
]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    given = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments]
    return subprocess.Popen(given, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_password_is_in_no_byte_of_what_comes_out(tmp_path: Path) -> None:
    config = tmp_path / "camera.yaml"
    with RtspServer(LivePicture(), user="admin", password=SECRET) as server:
        config.write_text(
            f"source: {server.url}\nduration_s: 2\noutput: {{jsonl: x.jsonl, report: x.json, video: x.mp4}}\n"
            "store: {path: x.db}\n"
        )
        assert SECRET in config.read_text(), "the address must hold the password"
        process = start(tmp_path, "--config", str(config), "--set", "input.read_timeout_s=2")
        printed, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
        wrong = start(tmp_path, server.url.replace(SECRET, SECRET + "x"), "--set", "input.reconnect=false")
        told, why = wrong.communicate(timeout=PATIENCE_S)
        assert wrong.returncode == 1
    assert json.loads((tmp_path / "x.json").read_text())["streams"]["live"]["processed"] > 0
    for text in (printed, errors, told, why):
        assert SECRET not in text
    for path in tmp_path.iterdir():
        if path != config:
            assert SECRET.encode() not in path.read_bytes(), path.name
