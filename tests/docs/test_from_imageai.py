"""What docs/from-imageai.md shows runs as it stands there, and it names everything a script can say."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

from sightline import imageai

TEXT = (Path(__file__).parents[2] / "docs" / "from-imageai.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("number", "printed"),
    [(0, r"(?m)^5 25 \{.*'person': .*\} \(272, 640, 3\)$(?s:.*)^clip_detected\.mp4$"), (1, r"clip \d+ 50 .*person")],
)
def test_a_program_runs(
    number: int,
    printed: str,
    demo_clip: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copyfile(demo_clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(PROGRAMS[number], "docs/from-imageai.md", "exec"), {})
    assert re.search(printed, capsys.readouterr().out)


def test_every_method_and_parameter_is_told_of() -> None:
    for name in imageai.__all__:
        assert name in TEXT
        for method, function in inspect.getmembers(getattr(imageai, name), inspect.isfunction):
            if method.startswith("_"):
                continue
            assert f"{method}" in TEXT, method
            for parameter in inspect.signature(function).parameters:
                assert (
                    parameter in ("self", "model_path", "path", "objects", "arguments", "options", "configuration_json")
                    or parameter in TEXT
                ), (method, parameter)


def test_every_page_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target
