"""A file's packets, recorded: nothing is added, lost or changed, and each segment stands by itself."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from tests.support.clips import read_number, write_clip
from tests.support.coded_packets import read_packets, record, recorded_packets, segments
from tests.support.small_disk import small_disk


@pytest.mark.parametrize(
    ("codec", "container", "b_frames"),
    [("libx264", "mp4", 0), ("libx264", "mp4", 2), ("libx264", "mkv", 2), ("libx265", "mp4", 0), ("mjpeg", "avi", 0)],
)
def test_packets_are_those_of_the_source(tmp_path: Path, codec: str, container: str, b_frames: int) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = write_clip(
        tmp_path / f"clip.{container}", count=75, codec=codec, b_frames=b_frames, pixel_format=pixel_format,
        audio=container != "avi",
    )  # fmt: skip
    sink = record(clip, tmp_path / "out", segment_s=1)
    given, got = read_packets(clip), recorded_packets(tmp_path / "out")
    assert got.pictures == given.pictures
    assert got.sound == given.sound
    assert sink.counts() == OutputCounts(given=75, written=75)
    assert [path.suffix for path in segments(tmp_path / "out")] == [".mp4"] * len(segments(tmp_path / "out"))


def test_each_segment_is_a_file_of_its_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=75, audio=True)
    record(clip, tmp_path / "out", segment_s=1, now_s=lambda: 1_000_000_000.0)
    paths = segments(tmp_path / "out")
    assert [path.name for path in paths] == [
        "door-20010909T014640Z.mp4",
        "door-20010909T014641Z.mp4",
        "door-20010909T014642Z.mp4",
    ]
    numbers = []
    for path in paths:
        with av.open(str(path)) as container:
            images = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
        numbers.append([read_number(image) for image in images])
        assert read_packets(path).keyframes[0]
    # Keyframes come every 12 frames: the first one a second or more behind the segment's beginning starts the next.
    assert numbers == [list(range(36)), list(range(36, 72)), list(range(72, 75))]


def test_sound_stays_beside_the_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=75, audio=True)
    record(clip, tmp_path / "out", segment_s=1)
    for path in segments(tmp_path / "out"):
        packets = read_packets(path)
        # A packet of the tone is 64 ms long.
        assert packets.sound_s[0] == pytest.approx(packets.times_s[0], abs=0.1)
        assert packets.sound_s[-1] == pytest.approx(packets.times_s[-1], abs=0.1)


def test_what_mp4_cannot_hold_goes_elsewhere_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = write_clip(tmp_path / "clip.mkv", count=30, codec="msmpeg4")
    sink = record(clip, tmp_path / "out")
    (path,) = segments(tmp_path / "out")
    assert path.suffix == ".mkv"
    assert sink.counts() == OutputCounts(given=30, written=30)
    assert read_packets(path).pictures == read_packets(clip).pictures
    assert "MP4 can't hold msmpeg4; it is recorded as .mkv" in caplog.text


def test_files_of_a_run_before_stay(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=5)
    for _ in range(3):
        record(clip, tmp_path / "out", now_s=lambda: 0.0)
    names = ["door-19700101T000000Z.mp4", "door-19700101T000000Z-2.mp4", "door-19700101T000000Z-3.mp4"]
    assert [path.name for path in segments(tmp_path / "out")] == names


def test_a_transport_stream_that_changes_midway_makes_a_new_segment(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "a.ts", count=25)
    second = write_clip(tmp_path / "b.ts", count=25, size=(320, 240), codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    sink = record(both, tmp_path / "out")
    assert [read_packets(path).codecs for path in segments(tmp_path / "out")] == [["h264"], ["mpeg2video"]]
    assert sink.counts() == OutputCounts(given=50, written=50)


def test_a_file_on_a_full_disk_ends_with_an_error(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=100, options={"crf": "1"})
    with (
        small_disk(tmp_path / "disk", clip.stat().st_size // 2000) as disk,
        pytest.raises(SinkError, match="the disk is full"),
    ):
        record(clip, disk.path / "out", segment_s=1)
