"""What docs/pictures.md shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import pytest

from sightline.commands.main import main
from tests.support.images import blocks

TEXT = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page takes as there."""
    for name in ("photos/street.jpg", "photos/sign.jpg", "more/deep/down.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(tmp_path / name), blocks(300, 400))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run(folder: Path) -> None:
    (commands,) = [text for language, text in BLOCKS if language == "sh"]
    for line in commands.splitlines():
        words = [
            str(path)
            for word in shlex.split(line)[2:]
            # As a shell does it, which leaves a quoted pattern alone.
            for path in (sorted(Path().glob(word)) if "*" in word and f"'{word}'" not in line else [word])
        ]
        assert main(words) == 0, line
    assert (folder / "out" / "street-objects" / "stop-sign-1.jpg").is_file()
    assert len(json.loads((folder / "out.json").read_text())["pictures"]) == 2
    assert len(json.loads((folder / "found.json").read_text())["images"]) == 3


def test_the_program_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    exec(compile(program, "docs/pictures.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "('stop sign', [" in printed
    assert "1 street.jpg (300, 400, 3)" in printed
