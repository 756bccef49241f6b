"""The README's own commands and programs, run as they stand there on a real clip."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from sightline.commands.main import main
from tests.support.free_ports import free_port_pair
from tests.support.images import blocks

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.removeprefix("python run_pipeline.py ")
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line.startswith("python run_pipeline.py ") and " listen " not in line and "rtsp://" not in line
]
PROGRAMS = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture
def folder(demo_clip: Path, tmp_path: Path) -> Path:
    """A folder with what the README takes as there: a clip, the configurations, the callbacks, a place for outputs."""
    shutil.copyfile(demo_clip, tmp_path / "clip.mp4")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "sign.jpg"), blocks(300, 400))
    (tmp_path / "my_callbacks.py").write_text(PROGRAMS[0])
    (tmp_path / "out").mkdir()
    return tmp_path


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 5
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(
    command: str, folder: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    given = shlex.split(command.replace(":5556", f":{free_port_pair()}"))
    of_pictures = given[0] in ("detect", "classify")
    if not of_pictures:
        given += ["--duration", "4"]  # of an option given twice the last one counts
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert ("1 picture" if of_pictures else "processed") in printed
    for output in re.findall(r"out/\S+", command):
        assert (folder / output).exists()
        assert (folder / output).is_dir() or (folder / output).stat().st_size > 0
    if "--callbacks" in command:
        assert "on average" in printed


def test_the_library_example_runs(folder: Path, tiny_weights: Path) -> None:
    (folder / "example.py").write_text(PROGRAMS[1])
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "person" in done.stdout, done.stderr
    assert (folder / "annotated.mp4").stat().st_size > 0


def test_every_page_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
