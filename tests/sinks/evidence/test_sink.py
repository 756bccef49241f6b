"""The sink by itself: what it holds on to, and that every event that names evidence is settled."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.events import TrackEnded
from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.types import Detections, Frame, SourceInfo, TrackedFrame
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.sink import EvidenceSink
from tests.support.evidence_events import RUN, alert, crossed
from tests.support.tracked_frames import Shown, tracked_frame


def frame(index: int, *, looked: bool = True) -> TrackedFrame:
    """A picture of noise in which two objects grow."""
    shown = {7: Shown((10, 10, 40 + index, 60)), 8: Shown((100, 10, 140, 50 + index))}
    tracked = tracked_frame(index, index / 25, shown)
    image = np.random.default_rng(index).integers(0, 256, (480, 640, 3), np.uint8)
    found = Detections.empty() if looked else None
    return replace(tracked, frame=Frame(image, index, index / 25, 0.0, "yard"), detections=found)


def opened(folder: Path, wanted: EvidenceWanted) -> tuple[EvidenceSink, EvidenceDesk]:
    desk = EvidenceDesk(wanted)
    sink = EvidenceSink(desk, EvidenceFolder(folder, "yard"), recent_mb=3)
    sink.open("yard", SourceInfo(640, 480), ("person",))
    return sink, desk


@pytest.mark.parametrize(
    ("wanted", "most"), [(EvidenceWanted(tracks=True), 1), (EvidenceWanted(tracks=True, lines=True), 4)]
)
def test_it_holds_on_to_few_frames(wanted: EvidenceWanted, most: int, tmp_path: Path) -> None:
    """Of the best pictures it keeps JPEG alone; the newest frame, and of those looked at lately as many as it may."""
    sink, _ = opened(tmp_path, wanted)
    given = []
    for index in range(60):
        tracked = frame(index)
        given.append(weakref.ref(tracked.frame))
        sink.on_frame(tracked)
        del tracked
    gc.collect()
    assert 1 <= sum(reference() is not None for reference in given) <= most
    sink.close()
    gc.collect()
    assert not any(reference() is not None for reference in given)


def test_what_nobody_looked_at_is_no_moment_of_an_event(tmp_path: Path) -> None:
    sink, desk = opened(tmp_path, EvidenceWanted(lines=True))
    sink.on_frame(frame(0))
    sink.on_frame(frame(5, looked=False))
    sink.on_event(msgspec.structs.replace(crossed(9), pts_s=0.2))
    (picture, _), _ = desk.take()
    assert picture.from_pts_s == 0.0


@pytest.mark.parametrize("frames", [0, 1])
@pytest.mark.parametrize("broken", [False, True])
def test_every_event_that_names_evidence_is_settled(frames: int, broken: bool, tmp_path: Path) -> None:
    sink, desk = opened(tmp_path / "evidence", EvidenceWanted(lines=True, tracks=True))
    for index in range(frames):
        sink.on_frame(frame(index))
    if broken:
        (tmp_path / "evidence" / "yard").rename(tmp_path / "moved")
        (tmp_path / "evidence" / "yard").write_bytes(b"no folder")
    names = [f"{RUN[:8]}-{seq}" for seq in (1, 2)]
    for name in names:
        desk.owe(name)
    for event in (alert(1), crossed(2), crossed(3, evidence=False)):
        sink.on_event(event)
    assert desk.wait(0)
    pieces, settled = desk.take()
    assert settled == names
    written = 2 if frames and not broken else 0
    assert len(pieces) == 2 * written
    counts = sink.counts()
    assert (counts.given, counts.written, counts.lost) == (2 * frames, written, 2 * frames - written)


def test_a_track_that_has_ended_is_still_shown_by_an_alert_about_it(tmp_path: Path) -> None:
    sink, desk = opened(tmp_path, EvidenceWanted(tracks=False))
    sink.on_frame(frame(0))
    fields = {"track_id": 7, "class_name": "person", "score": 0.9, "xyxy": (0.0, 0.0, 1.0, 1.0), "age_s": 1.0}
    common = {"run": "one", "stream": "yard", "pts_s": 0.0, "wall": "2026-11-30T22:00:24.286Z"}
    sink.on_event(TrackEnded(seq=3, reason="lost", **fields, **common))  # type: ignore[arg-type]
    sink.on_event(alert(4))
    pieces, _ = desk.take()
    assert [piece.kind for piece in pieces] == ["picture", "crop"]


def test_a_picture_that_jpeg_can_not_hold_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink, desk = opened(tmp_path, EvidenceWanted())
    wide = replace(frame(0), frame=Frame(np.zeros((8, 70_000, 3), np.uint8), 0, 0.0, 0.0, "yard"))
    for _ in range(2):
        sink.on_frame(wide)
    sink.on_event(alert(4))
    assert desk.take()[0] == []
    assert len(caplog.messages) == 1
    assert "70000x8" in caplog.text
