"""What a run is said to have left behind is there."""

from __future__ import annotations

from pathlib import Path

from sightline.composition.written import shown_files
from sightline.config.loading import load_config


def test_only_what_is_there_is_shown(tmp_path: Path) -> None:
    output = {"video": tmp_path / "x.mp4", "jsonl": tmp_path / "x.jsonl", "report": "/dev/stdout"}
    config = load_config(None, options={"source": "clip.mp4", "output": output})
    assert shown_files(config) == {"report": Path("/dev/stdout")}
    (tmp_path / "x.mp4").touch()
    assert list(shown_files(config)) == ["video", "report"]


def test_a_video_in_pieces_is_shown_by_what_they_have_in_common(tmp_path: Path) -> None:
    output = {"video": tmp_path / "x.mp4", "segment_s": 5}
    config = load_config(None, options={"source": "clip.mp4", "output": output})
    (tmp_path / "x-20261130T230051Z.partial.mp4").touch()
    assert shown_files(config) == {}
    (tmp_path / "x-20261130T230051Z.mp4").touch()
    assert shown_files(config) == {"video": tmp_path / "x-*.mp4"}
