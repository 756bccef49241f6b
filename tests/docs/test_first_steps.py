"""The first steps, taken as the page tells them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.commands.main import main

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8")
BLOCKS = BLOCK.findall(PAGE)
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
PROGRAM = "python run_pipeline.py "


@pytest.fixture
def folder(demo_clip: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(demo_clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", [line for line in LINES if "clip.mp4" in line])
def test_a_video(line: str, folder: Path) -> None:
    words = shlex.split(line.removeprefix(PROGRAM))
    assert main([*words, "--duration", "1", "--quiet"]) == 0
    for output in re.findall(r"out/\S+", line):
        assert (folder / output).stat().st_size > 0


def test_zones_and_lines_count(folder: Path) -> None:
    ((configuration, line),) = [
        (text, line) for language, text in BLOCKS if language == "yaml" for line in LINES if "count.yaml" in line
    ]
    (folder / "count.yaml").write_text(configuration)
    assert main([*shlex.split(line.removeprefix(PROGRAM)), "--quiet"]) == 0
    kinds = {json.loads(event)["type"] for event in (folder / "out" / "counted.jsonl").read_text().splitlines()}
    assert {"zone.entered", "zone.left", "line.crossed"} <= kinds
    assert all(kind in PAGE for kind in ("zone.entered", "zone.left", "line.crossed"))


def test_the_program(folder: Path) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert re.search(r"^\d\.\d s: a new person$", done.stdout, re.MULTILINE), done.stderr


def test_the_other_lines_are_those_of_pages_that_run_them() -> None:
    others = [line for line in LINES if "clip.mp4" not in line and "count.yaml" not in line]
    elsewhere = "\n".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/page.md"))
    assert all(line in elsewhere for line in others)
