"""What docs/live.md says works: its program against a real camera, its configuration and its commands as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.events import StreamOffline, StreamOnline
from sightline.config.loading import load_config
from tests.support.fault_proxy import main as fault_proxy
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "live.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    found = [text for name, text in BLOCKS if name == language]
    assert found
    return found


def test_the_program_runs() -> None:
    require_rtsp_server()
    (program,) = blocks("python")
    with RtspServer(LivePicture(160, 120)) as server:
        assert "rtsp://camera.local/stream" in program
        program = program.replace("rtsp://camera.local/stream", server.url)
        run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(index) for index in range(21)]
    assert lines[0].endswith("(120, 160, 3)")


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    assert set(load_config(path).streams) == {"door", "yard"}


def test_the_fields_and_options_it_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reason" in StreamOffline.__struct_fields__
    assert "offline_s" in StreamOnline.__struct_fields__
    with pytest.raises(SystemExit):
        fault_proxy(["--help"])
    options = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    (command,) = (line for text in blocks("sh") for line in text.splitlines() if "fault_proxy" in line)
    assert {word for word in shlex.split(command) if word.startswith("--")} <= options
