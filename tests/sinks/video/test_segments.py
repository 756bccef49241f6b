"""Segmented recordings on real files: nothing is lost at the borders, names tell the time, and retention is careful."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.events import StreamOffline
from pipeline.types import Frame, Image, SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator
from sinks.video.mp4_writer import Mp4Writer
from sinks.video.retention import Retention, segment_path
from sinks.video.segments import SegmentedMp4Sink
from tests.support.clips import draw_number, read_number
from tests.support.video_files import box_names, read_video, tracked, tracks
from tests.support.waiting import PATIENCE_S

INFO = SourceInfo(64, 48, fps=Fraction(25))
LIVE = SourceInfo(64, 48, fps=Fraction(25), live=True)
NOON_S = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def numbered(pts_s: Sequence[float]) -> list[TrackedFrame]:
    """Frames whose pixels say their number."""
    return [tracked(draw_number(number, width=64, height=48), number, moment) for number, moment in enumerate(pts_s)]


def every_40_ms(count: int) -> list[TrackedFrame]:
    return numbered([number / 25 for number in range(count)])


def live(pts_s: Sequence[float], start_s: float) -> list[TrackedFrame]:
    """The same from a camera: captured at ``start_s + pts_s`` of the monotonic clock."""
    return [
        TrackedFrame(
            Frame(item.frame.image, item.frame.index, item.frame.pts_s, start_s + item.frame.pts_s, "camera"),
            None,
            item.tracks,
            item.ended,
        )
        for item in numbered(pts_s)
    ]


def make(path: Path, segment_s: float = 1.0, **settings: object) -> SegmentedMp4Sink:
    options = {"annotate": None, "now_s": lambda: NOON_S, **settings}
    return SegmentedMp4Sink(path, segment_s=segment_s, **options)  # type: ignore[arg-type]


def record(sink: SegmentedMp4Sink, frames: Sequence[TrackedFrame], info: SourceInfo = INFO) -> None:
    sink.check()
    sink.open("camera", info, ["car"])
    for frame in frames:
        sink.on_frame(frame)
    sink.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))  # a lock's file is hidden


def numbers(path: Path) -> list[int]:
    return [read_number(image) for image in read_video(path).images]


# --- the segments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [Fraction(25), None], ids=["rate known", "rate measured"])
def test_every_frame_is_in_one_segment_and_each_plays_on_its_own(tmp_path: Path, fps: Fraction | None) -> None:
    record(make(tmp_path), every_40_ms(85), SourceInfo(64, 48, fps=fps))
    expected = [f"camera-20261122T12000{second}Z.mp4" for second in range(4)]
    assert names(tmp_path) == expected
    shown = [numbers(tmp_path / name) for name in expected]
    assert list(chain(*shown)) == list(range(85))
    assert [len(segment) for segment in shown] == [25, 25, 25, 10]
    for name in expected:
        path = tmp_path / name
        boxes = box_names(path)
        assert boxes.index("moov") < boxes.index("mdat")
        assert "moof" not in boxes
        with av.open(str(path)) as container:
            first = next(container.demux(video=0))
            assert first.is_keyframe
            assert first.pts == 0
        assert read_video(path, pictures=False).duration_s == Fraction(len(numbers(path)), 25)


def test_a_name_may_be_given_in_place_of_a_folder(tmp_path: Path) -> None:
    record(make(tmp_path / "door.mp4"), every_40_ms(30))
    assert names(tmp_path) == ["door-20261122T120000Z.mp4", "door-20261122T120001Z.mp4"]


def test_tracks_go_on_over_the_border(tmp_path: Path) -> None:
    """One annotator draws them all, so a trail begun in one segment is in the next one's first picture."""
    made: list[Annotator] = []

    def annotator(class_names: Sequence[str]) -> Annotator:
        made.append(Annotator(class_names, trail_s=5))
        return made[-1]

    grey: Image = np.full((96, 128, 3), 90, np.uint8)
    frames = [
        tracked(grey, number, shown=tracks([(10 + 2 * number, 30, 30 + 2 * number, 60)], ids=[7]))
        for number in range(30)
    ]
    record(make(tmp_path, annotate=annotator), frames)
    assert len(made) == 1
    second = read_video(tmp_path / "camera-20261122T120001Z.mp4").images[0]
    # Left of the box and at its foot there is nothing but the trail.
    assert np.abs(second[55:64, 25:55].astype(int) - 90).max() > 40


def test_real_time_is_kept_in_names_and_within(tmp_path: Path) -> None:
    """A camera that stalls: each picture's time is its segment's time and its place in it."""
    moments = [0.0, 0.04, 0.48, 0.52, 1.04, 7.3, 7.34, 9.9, 9.94]
    monotonic_s = time.monotonic()
    sink = make(tmp_path, 2, now_s=lambda: NOON_S + 0.05 + time.monotonic() - monotonic_s)
    sink.open("camera", LIVE, ["car"])
    for frame in live(moments, monotonic_s):
        sink.on_frame(frame)
    sink.close()
    assert names(tmp_path) == [f"camera-20261122T12000{second}Z.mp4" for second in (0, 7, 9)]
    seen: dict[int, float] = {}
    for path, start_s in zip(sorted(tmp_path.iterdir()), (0.0, 7.3, 9.9), strict=True):
        video = read_video(path)
        for image, pts_s in zip(video.images, video.pts_s, strict=True):
            seen.setdefault(read_number(image), start_s + float(pts_s))
    assert [seen[number] for number in range(len(moments))] == pytest.approx(moments, abs=0.041)


def test_the_last_picture_stays_until_the_next_segment_but_a_gap_is_not_recorded(tmp_path: Path) -> None:
    record(make(tmp_path, 1), numbered([0, 0.5, 1.2, 60.0]))
    first, second, third = sorted(tmp_path.iterdir())
    assert read_video(first, pictures=False).duration_s == Fraction(30, 25)
    assert read_video(second, pictures=False).duration_s == 2
    assert read_video(third, pictures=False).duration_s == Fraction(1, 25)


def test_going_offline_ends_the_segment(tmp_path: Path) -> None:
    sink = make(tmp_path, 3600)
    sink.open("camera", LIVE, ["car"])
    for frame in live([0, 0.04, 0.08], time.monotonic()):
        sink.on_frame(frame)

    def offline(stream: str, pts_s: float) -> bool:
        sink.on_event(StreamOffline(seq=1, run="r", stream=stream, pts_s=pts_s, wall="w", reason="timeout"))
        return sink._segment is None

    assert not offline("other", 99.0)
    assert not offline("camera", 0.1), "a camera that comes and goes makes no flood of files"
    assert offline("camera", 12.0)
    for frame in live([900.0, 900.04], time.monotonic()):
        sink.on_frame(frame)
    sink.close()
    first, second = sorted(tmp_path.iterdir())
    assert numbers(first) == [0, 1, 2]
    assert numbers(second) == [0, 1]


def test_a_clock_that_is_set_back_replaces_nothing(tmp_path: Path) -> None:
    """Names are right again once the clock is, and none is given twice: not in a run, nor by the next one."""
    set_back, begun_s = threading.Event(), time.monotonic()
    sink = make(tmp_path, 1, now_s=lambda: NOON_S + 0.5 + time.monotonic() - begun_s - 3600 * set_back.is_set())
    sink.open("camera", LIVE, ["car"])
    for frame in live([number / 25 for number in range(60)], begun_s):
        if frame.frame.index == 40:
            set_back.set()
        sink.on_frame(frame)
    sink.close()
    assert names(tmp_path) == [f"camera-20261122T{time}.mp4" for time in ("110002Z", "120000Z", "120001Z")]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(chain(*map(numbers, tmp_path.iterdir()))) == list(range(60))
    record(make(tmp_path, 1), every_40_ms(5))
    assert before.items() < {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()


def test_finishing_one_does_not_hold_up_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_finish, finish = threading.Event(), Mp4Writer.finish

    def slowly(self: Mp4Writer, audio_from: Path | None = None) -> None:
        assert may_finish.wait(PATIENCE_S)
        finish(self, audio_from)

    monkeypatch.setattr(Mp4Writer, "finish", slowly)
    sink = make(tmp_path)
    sink.open("camera", INFO, ["car"])
    for frame in every_40_ms(60):
        sink.on_frame(frame)  # would never come back if it waited
    assert not [name for name in names(tmp_path) if "partial" not in name]
    may_finish.set()
    sink.close()
    assert list(chain(*map(numbers, sorted(tmp_path.iterdir())))) == list(range(60))


def test_what_fails_in_finishing_is_raised_and_the_pictures_stay(tmp_path: Path) -> None:
    sink = make(tmp_path)
    sink.open("camera", INFO, ["car"])
    frames = iter(every_40_ms(2000))
    sink.on_frame(next(frames))
    (tmp_path / "camera-20261122T120000Z.mp4").mkdir()
    with pytest.raises(SinkError, match="pictures are kept in"):
        for frame in frames:
            sink.on_frame(frame)
    with pytest.raises(SinkError) as caught:
        sink.check()
    sink.close(caught.value)
    assert numbers(tmp_path / "camera-20261122T120000Z.partial.mp4") == list(range(25))


def test_a_killed_run_leaves_a_partial_file_that_plays(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.sinks.video.test_segments import LIVE, INFO, every_40_ms, make
        sink = make(Path({str(tmp_path)!r}), 3)
        sink.open("camera", INFO, ["car"])
        for frame in every_40_ms(150):
            sink.on_frame(frame)
        sink._finisher.take(Path("nothing"), None)
        while len(list(Path({str(tmp_path)!r}).glob("*00Z.mp4"))) == 0:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    root = Path(__file__).parents[3]
    run = subprocess.run([sys.executable, "-c", program], cwd=root)
    assert run.returncode == -signal.SIGKILL
    assert names(tmp_path) == ["camera-20261122T120000Z.mp4", "camera-20261122T120003Z.partial.mp4"]
    assert numbers(tmp_path / "camera-20261122T120000Z.mp4") == list(range(75))
    shown = numbers(tmp_path / "camera-20261122T120003Z.partial.mp4")
    assert shown == list(range(75, 75 + len(shown)))
    assert len(shown) >= 25


@pytest.mark.parametrize(
    "settings", [{"segment_s": 0.5}, {"keep_hours": 0}, {"keep_mb": -1}, {"fps": 0}, {"crf": 60}, {"preset": "x"}]
)
def test_settings_out_of_range_are_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make(tmp_path, **settings)  # type: ignore[arg-type]


# --- retention ----------------------------------------------------------------------------------------------------

FOREIGN = [
    "camera.mp4",
    "camera-2-20200101T000000Z.mp4",
    "camera-20200101T000000Z.mp4.bak",
    "camera-20200101T000000Z.txt",
    "camera-20200101T000000.mp4",
    "camera-20201301T000000Z.mp4",
    "my-camera-20200101T000000Z.mp4",
    "camera-20200101T000000Z-copy.mp4",
    "Camera-20200101T000000Z.mp4",
]


def write(path: Path, size: int, written_s: float) -> Path:
    path.write_bytes(bytes(size))
    os.utime(path, (written_s, written_s))
    return path


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    for name in FOREIGN:
        write(tmp_path / name, 1000, 0)
    (tmp_path / "camera-20200102T000000Z.mp4").mkdir()
    kept = tmp_path / "elsewhere"
    kept.write_bytes(bytes(1000))
    (tmp_path / "camera-20200103T000000Z.mp4").symlink_to(kept)
    old = write(tmp_path / "camera-20200104T000000Z.mp4", 1000, 0)
    before = set(tmp_path.iterdir())
    retention = Retention(tmp_path, "camera", keep_s=1, keep_bytes=1, now_s=lambda: NOON_S)
    assert retention.apply() == [old]
    assert set(tmp_path.iterdir()) == before - {old}


def test_age_counts_from_the_end_of_a_segment(tmp_path: Path) -> None:
    start_s = NOON_S - 7200
    newest = write(segment_path(tmp_path, "camera", NOON_S - 60), 10, NOON_S)
    long = write(segment_path(tmp_path, "camera", start_s), 10, NOON_S - 3000)
    gone = write(segment_path(tmp_path, "camera", start_s - 1), 10, NOON_S - 4000)
    partial = write(tmp_path / "camera-20261101T000000Z.partial.mp4", 10, NOON_S - 9000)
    record(make(tmp_path, 1, keep_hours=1, now_s=lambda: NOON_S + 5), every_40_ms(5))
    assert long.exists()
    assert newest.exists()
    assert not gone.exists()
    assert not partial.exists()


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """A partial file may be that of another program; a half-made copy that nobody works on is of no use."""
    fresh = write(tmp_path / "camera-20261122T115900Z.partial.mp4", 1000, NOON_S - 5)
    copying = write(tmp_path / "camera-20261122T115900Z.partial.finishing.mp4", 1000, NOON_S - 5)
    left = write(tmp_path / "camera-20261122T113000Z.partial.finishing.mp4", 1000, NOON_S - 900)
    own = write(segment_path(tmp_path, "camera", NOON_S - 999), 1000, NOON_S - 900)
    retention = Retention(tmp_path, "camera", keep_s=None, keep_bytes=None, now_s=lambda: NOON_S)
    assert retention.apply() == [left]
    strict = Retention(tmp_path, "camera", keep_s=1, keep_bytes=1, now_s=lambda: NOON_S)
    strict.hold(own)
    assert strict.apply() == []
    strict.release(own)
    assert strict.apply() == [own]
    assert fresh.exists()
    assert copying.exists()


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 50), max_size=12),
    limit=st.integers(1, 300),
    age=st.none() | st.integers(1, 12),
)
def test_the_oldest_go_until_it_fits(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, age: int | None
) -> None:
    folder = tmp_path_factory.mktemp("segments")
    hour_s = 3600
    paths = [
        write(
            segment_path(folder, "camera", NOON_S - (len(sizes) - place) * hour_s),
            size,
            NOON_S - (len(sizes) - place) * hour_s,
        )
        for place, size in enumerate(sizes)
    ]
    keep_s = None if age is None else age * hour_s + 1
    deleted = Retention(folder, "camera", keep_s=keep_s, keep_bytes=limit, now_s=lambda: NOON_S).apply()
    assert deleted == paths[: len(deleted)], "the oldest first"
    left = sizes[len(deleted) :]
    assert sum(left) <= limit
    assert age is None or len(left) <= age
    if deleted:
        before = sizes[len(deleted) - 1 :]
        assert sum(before) > limit or (age is not None and len(before) > age), "no more than needed"


def test_a_recording_stays_within_its_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    frames = [tracked(noise, number) for number in range(250)]
    record(make(tmp_path, 1, keep_mb=0.03), frames)
    left = sorted(tmp_path.iterdir())
    assert 1 <= len(left) < 10
    assert left[-1].name == "camera-20261122T120009Z.mp4", "the newest stay"
    assert sum(path.stat().st_size for path in left) <= 30_000


def test_what_cannot_be_deleted_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(segment_path(tmp_path, "camera", NOON_S - 9), 10, NOON_S - 9)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    retention = Retention(tmp_path, "camera", keep_s=None, keep_bytes=1, now_s=lambda: NOON_S)
    assert retention.apply() == []
    assert retention.apply() == []
    assert caplog.text.count("Permission denied") == 1
