"""Constructors get what the configuration says by keyword arguments that are written out: none may be forgotten.
What has no effect is told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sightline
from sightline.composition.outputs import build_video
from sightline.config.loading import load_config
from sightline.config.problems import key_paths
from sightline.config.schema import Config

_SOURCES = [path for path in Path(sightline.__path__[0]).rglob("*.py") if path.name != "sections.py"]
_READ = {
    node.attr for path in _SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
}


@pytest.mark.parametrize("key", sorted({path[-1] for path, _ in key_paths(Config)} - {"NAME"}))
def test_every_key_of_the_configuration_is_read(key: str) -> None:
    assert key in _READ


def test_limits_of_pieces_that_there_are_not_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = {"video": tmp_path / "x.mp4"}
    for output, told in (({"keep_mb": 5}, True), ({}, False), ({"keep_mb": 5, "segment_s": 9}, False)):
        caplog.clear()
        config = load_config(None, options={"source": "clip.mp4", "output": {**video, **output}})
        (stream,) = config.resolved_streams()
        build_video(stream, lambda *_, **__: None, None)  # type: ignore[arg-type]
        assert ("nothing is deleted" in caplog.text) == told
