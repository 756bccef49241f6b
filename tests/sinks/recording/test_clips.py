"""Clips of events: the seconds before are there to the keyframe, and what happened lies where its time says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.events import EvidenceReady, OutputCounts, TrackEnded, TrackStarted
from pipeline.types import Image
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from tests.support.clips import draw_number, read_number, write_clip
from tests.support.coded_packets import read_packets
from tests.support.fakes import BlobDetector, MemorySink

COUNT, FIRST, LAST, GROUP = 200, 100, 124, 20
SIZE = (320, 240)


def scene(number: int) -> Image:
    """The left half shows the frame's number in its dark half of levels, the right half a bright box for a second."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[:, :160] = draw_number(number, width=160, height=240) // 4
    if FIRST <= number <= LAST:
        left = 180 + 2 * (number - FIRST)
        image[100:140, left : left + 40] = 255
    return image


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        images = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
    return [read_number(np.minimum(image[:, :160].astype(np.uint16) * 4, 255).astype(np.uint8)) for image in images]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "gate.mp4"
    options = {"sc_threshold": "0", "crf": "12"}
    return write_clip(
        path, count=COUNT, size=SIZE, draw=scene, keyframe_every=GROUP, audio=True, b_frames=2, options=options
    )


def run(video: Path, folder: Path, **settings: Any) -> tuple[MemorySink, dict[str, OutputCounts]]:
    evidence = {"folder": folder, "tracks": True, "clip": {"before_s": 2.0, "after_s": 1.0}}
    options = {"source": str(video), "evidence": evidence, "tracker": {"name": "sort"}, **settings}
    sink = MemorySink()
    report = build_pipeline(load_config(None, (), options), sinks=[sink], detector=BlobDetector()).run()
    return sink, report.streams["gate"].outputs


def only_clip(sink: MemorySink) -> tuple[TrackEnded, EvidenceReady]:
    (ended,) = [event for event in sink.events if isinstance(event, TrackEnded)]
    (ready,) = [event for event in sink.events if isinstance(event, EvidenceReady) and event.kind == "clip"]
    assert (ready.evidence, ready.about_seq) == (ended.evidence, ended.seq)
    return ended, ready


def test_a_clip_has_its_pre_roll_to_the_keyframe_and_the_event_where_its_time_says(video: Path, tmp_path: Path) -> None:
    sink, outputs = run(video, tmp_path)
    ended, ready = only_clip(sink)
    assert outputs["ClipSink"] == OutputCounts(given=1, written=1)
    path = tmp_path / ready.path
    assert (ready.media_type, ready.size_bytes, ready.masked) == ("video/mp4", path.stat().st_size, False)
    shown = numbers(path)
    assert shown == list(range(shown[0], shown[-1] + 1))
    first_wanted = round((ended.pts_s - 2.0) * 25)
    assert shown[0] == first_wanted // GROUP * GROUP
    assert shown[0] / 25 == pytest.approx(ready.from_pts_s, abs=0.001)
    # The event is at its time; pictures that others need come along.
    assert shown[round((ended.pts_s - ready.from_pts_s) * 25)] == round(ended.pts_s * 25)
    assert 0 <= shown[-1] - round((ended.pts_s + 1.0) * 25) <= 4
    assert ready.to_pts_s == pytest.approx((shown[-1] + 1) / 25, abs=0.001)
    # It is what the source holds, sound too.
    packets, everything = read_packets(path), read_packets(video)
    assert packets.pictures == everything.pictures[shown[0] : shown[0] + len(packets.pictures)]
    assert packets.sound
    assert all(packet in everything.sound for packet in packets.sound)


@pytest.mark.parametrize("turned", [False, True])
def test_a_clip_hides_what_is_hidden(video: Path, tmp_path: Path, turned: bool) -> None:
    if turned:  # as phones record: masks are of the picture as it is displayed
        options = {"sc_threshold": "0", "crf": "12"}
        path = tmp_path / "gate.mp4"
        video = write_clip(
            path, count=COUNT, size=SIZE, draw=scene, keyframe_every=GROUP, rotation=90, audio=True, options=options
        )
    areas = {"window": ((160.0, 0.0), (320.0, 0.0), (320.0, 240.0), (160.0, 240.0))}
    sink, outputs = run(video, tmp_path, privacy={"areas": areas})
    ended, ready = only_clip(sink)
    assert ready.masked
    assert outputs["ClipSink"] == OutputCounts(given=1, written=1)
    shown = numbers(tmp_path / ready.path)
    assert shown[0] == round((ended.pts_s - 2.0) * 25) // GROUP * GROUP
    assert shown[round((ended.pts_s - ready.from_pts_s) * 25)] == round(ended.pts_s * 25)
    with av.open(str(tmp_path / ready.path)) as container:
        assert [stream.type for stream in container.streams] == ["audio", "video"]
        for frame in container.decode(video=0):
            assert np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)[:, 164:].max() < 40


def test_objects_of_hidden_classes_are_hidden_in_clips(video: Path, tmp_path: Path) -> None:
    sink, _ = run(video, tmp_path, privacy={"classes": ("blob",)})
    _, ready = only_clip(sink)
    (started,) = [event for event in sink.events if isinstance(event, TrackStarted)]
    assert ready.masked
    with av.open(str(tmp_path / ready.path)) as container:
        brightest = [
            int(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)[:, 164:].max())
            for frame in container.decode(video=0)
        ]
    assert max(brightest) < 40
    assert started.pts_s < ready.to_pts_s
