"""``recording`` of a configuration: what a run keeps of its sources' packets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.events import OutputCounts
from pipeline.runtime.report import Report
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from tests.support.clips import write_clip
from tests.support.coded_packets import read_packets, recorded_packets, segments
from tests.support.fakes import BlobDetector, MemorySource, picture

COUNT, FIRST, LAST = 250, 100, 124
AROUND = {"before_s": 0.0, "after_s": 0.0}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds in which a box is to be seen in the fifth only."""

    def draw(number: int) -> Any:
        return picture([(40 + number - FIRST, 40, 80 + number - FIRST, 80)] if FIRST <= number <= LAST else [])

    path = tmp_path_factory.mktemp("clip") / "door.mp4"
    return write_clip(path, count=COUNT, draw=draw, keyframe_every=25, options={"sc_threshold": "0"})


def run(clip: Path, recording: dict[str, Any], **settings: Any) -> Report:
    options = {"source": str(clip), "recording": recording, "tracker": {"name": "sort"}, **settings}
    return build_pipeline(load_config(None, (), options), detector=BlobDetector()).run()


def test_a_run_records_all_that_its_source_holds(clip: Path, tmp_path: Path) -> None:
    report = run(clip, {"folder": tmp_path / "{stream}", "segment_s": 4.0, "types": ("track.started",), **AROUND})
    assert recorded_packets(tmp_path / "door").pictures == read_packets(clip).pictures
    assert report.streams["door"].outputs["RecordingSink"] == OutputCounts(given=COUNT, written=COUNT)
    # The piece from 4 to 8 s is the one in which something is to be seen.
    assert [path.parent.name for path in segments(tmp_path / "door")] == ["door", "events", "door"]


def test_where_all_is_recorded_tracks_alone_are_no_events(clip: Path, tmp_path: Path) -> None:
    run(clip, {"folder": tmp_path})
    assert [path.parent for path in segments(tmp_path)] == [tmp_path]


def test_limits_hold_for_events_too_unless_they_have_their_own(clip: Path, tmp_path: Path) -> None:
    settings = {"mode": "events", "segment_s": 1.0, "before_s": 9.0, "after_s": 9.0}
    run(clip, {**settings, "folder": tmp_path / "all"})
    everything = sum(path.stat().st_size for path in segments(tmp_path / "all")) / 1e6
    limited = {**settings, "folder": tmp_path / "some", "keep_mb": everything * 0.7}
    run(clip, limited)
    kept = len(segments(tmp_path / "some"))
    assert 0 < kept < len(segments(tmp_path / "all")) == 10
    run(clip, {**limited, "event_keep_mb": 1000.0})
    assert len(segments(tmp_path / "some")) == kept + 10


def test_only_what_is_around_events_is_recorded(clip: Path, tmp_path: Path) -> None:
    report = run(clip, {"folder": tmp_path, "mode": "events", "before_s": 1.5, "after_s": 1.5})
    (path,) = segments(tmp_path)
    assert path.parent.name == "events"
    # The track lasts from 4.0 s to about 5 s: from the keyframe at 2.0 s to the one at 7.0 s, or to a later one, as a
    # file is read a second or two ahead of what is known of it.
    recorded = read_packets(path).pictures
    assert recorded == read_packets(clip).pictures[50 : 50 + len(recorded)]
    assert 125 <= len(recorded) < 200
    assert report.streams["door"].outputs["RecordingSink"] == OutputCounts(given=len(recorded), written=len(recorded))


def test_other_events_may_count(clip: Path, tmp_path: Path) -> None:
    run(clip, {"folder": tmp_path, "mode": "events", "types": ("stream.frozen",)})
    assert segments(tmp_path) == []


def test_what_is_masked_is_not_recorded_unless_that_is_said(clip: Path, tmp_path: Path) -> None:
    privacy = {"areas": {"window": ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))}}
    with pytest.raises(ConfigError) as told:
        run(clip, {"folder": tmp_path}, privacy=privacy)
    assert "streams.door.recording: would show what privacy hides" in str(told.value)
    assert "\n" not in str(told.value)
    run(clip, {"folder": tmp_path, "unmasked": True}, privacy=privacy, duration_s=0.2)
    assert segments(tmp_path)


def test_what_has_no_packets_is_told(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    with pytest.raises(ConfigError, match="images and webcams have no packets"):
        run(tmp_path / "shots", {"folder": tmp_path})
    config = load_config(None, (), {"source": str(clip), "recording": {"folder": tmp_path}})
    given = MemorySource([picture([])], stream="door")
    with pytest.raises(ConfigError, match="pictures that a program hands over have no packets to record"):
        build_pipeline(config, sources={"door": given}, detector=BlobDetector())
