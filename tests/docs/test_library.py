"""The programs of the page on the library run as they stand there, and the loop gives what the command line gives."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

import sightline
from sightline.library.options import _SHORT
from tests.support.images import blocks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(demo_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(demo_clip, tmp_path / "clip.mp4")
    cv2.imwrite(str(tmp_path / "photo.jpg"), blocks(300, 400))
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_run() -> None:
    assert len(PROGRAMS) == 5


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_of_the_page_runs(
    number: int, folder: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "to_pandas" in PROGRAMS[number]:
        pytest.importorskip("pandas", reason="pandas is not installed")
    exec(compile(PROGRAMS[number], f"program {number} of docs/library.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_the_loop_and_the_command_line_give_the_same(folder: Path, tiny_weights: Path) -> None:
    given = ["clip.mp4", "--duration", "5", "--tracks", "out/clip.txt", "--quiet", "--set", "threads.network=1"]
    subprocess.run([sys.executable, ROOT / "run_pipeline.py", *given], check=True)
    by_loop = sightline.to_mot(sightline.analyze("clip.mp4", duration_s=5, threads={"network": 1}))
    assert by_loop == (folder / "out" / "clip.txt").read_text()
    assert by_loop.count("\n") > 50


def test_the_page_names_all_there_is() -> None:
    functions: list[Callable[..., object]] = []
    for name in sightline.__all__:
        assert name in PAGE or name in ("Frame", "Tracks", "PipelineError", "Analysis", "Result"), name
        functions.append(getattr(sightline, name))
    assert all(map(callable, functions))
    for name in _SHORT:
        assert f"`{name}`" in PAGE, name
