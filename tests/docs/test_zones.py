"""What docs/zones.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.analytics.lines import Line
from pipeline.analytics.zones import Zone
from pipeline.geometry.ground import Homography
from sightline.config.loading import load_config
from tests.support.tracked_frames import standing_at, tracked_frame

TEXT = (Path(__file__).parents[2] / "docs" / "zones.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "yaml"])
def test_a_configuration_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    config = load_config(path)
    zones = [Zone(name=name, **dict(zone)) for name, zone in config.zones.items()]
    lines = [Line(name=name, **dict(line)) for name, line in config.lines.items()]
    speeds = [Homography(**dict(config.homography))] if config.homography else []
    assert zones + lines + speeds


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    frames = [tracked_frame(n, n / 10, {1: standing_at(300, 150 + 5 * n)}) for n in range(40)]
    exec(compile(program, "docs/zones.md", "exec"), {"tracked_frames": frames})
    printed = capsys.readouterr().out
    assert (
        "{'table': {'person': {'unique': 1, 'max': 1, 'dwell_s': 3.9}}} {'gate': {'person': {'in': 1, 'out': 0}}}"
        in printed
    )
    for kind in ("TrackStarted", "ZoneEntered", "LineCrossed", "WindowSecond", "ZoneLeft", "WindowMinute"):
        assert kind in printed
