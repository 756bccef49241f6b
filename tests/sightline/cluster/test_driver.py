"""What is said where a cluster can't be had: one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sightline.commands.main import main
from tests.support.free_ports import free_port
from tests.support.ray_cluster import require_ray

ROOT = Path(__file__).parents[3]
CAMERA = "streams: {door: {source: 'rtsp://127.0.0.1:9/door'}}\ncluster: {state: state.json}\n"


def test_without_ray(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMERA)
    program = (
        "import sys; sys.modules['ray'] = None; sys.argv[0] = 'run_pipeline.py'\n"
        "from sightline.commands.main import main; sys.exit(main(['cluster', 'run', 'c.yaml']))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stderr) == (2, "error: cluster: needs Ray: pip install 'sightline[cluster]'\n")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:{port}", "nothing answers at"), ("somewhere", "expected HOST:PORT, such as 10.0.0.1:6379")],
)
def test_without_a_cluster(
    address: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_ray()
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CAMERA)
    assert main(["cluster", "run", "c.yaml", "--address", address.format(port=free_port())]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: cluster: ") and expected in line


def test_without_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("cluster: {state: state.json}\n")
    assert main(["cluster", "run", "c.yaml"]) == 2
    assert capsys.readouterr().err == "error: nothing to process: name streams in the configuration\n"


def test_with_a_state_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CAMERA)
    Path("state.json").write_text("{")
    assert main(["cluster", "run", "c.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: cluster.state: state.json can't be read (")
