"""What docs/engines.md shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines.base import ENGINES, PRECISIONS
from sightline.commands.main import main
from sightline.config.loading import load_config

TEXT = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.removeprefix("python run_pipeline.py ")
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
]


def test_every_engine_and_precision_is_told() -> None:
    for engine in ENGINES:
        (row,) = re.findall(rf"^\| `{engine}`[^|]*\|([^|]*)\|[^|]*\|$", TEXT, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == set(PRECISIONS[engine]) - {"auto"}


def test_the_configuration_loads(tmp_path: Path) -> None:
    (text,) = [text for language, text in BLOCKS if language == "yaml"]
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    assert load_config(path).model.engine == "auto"


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("nncf") is None,
    reason="NNCF is not installed: pip install 'sightline[calibrate]'",
)
def test_the_commands_run_in_their_order(
    demo_clip: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        words = [str(demo_clip) if word == "VIDEO" else word for word in shlex.split(command)]
        # Of an option given twice the last one counts.
        less = ["--frames", "10", "--seconds", "1"] if "calibrate" in words else ["--duration", "0.5"]
        assert main([*words, "--weights", str(tiny_weights), *less]) == 0, command
    assert json.loads((tmp_path / "out" / "report.json").read_bytes())["engine"] in ENGINES
