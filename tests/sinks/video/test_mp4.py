"""The MP4 output on real files: what is on screen when, how long it lasts, colours, sound and names."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.events import StreamOffline
from pipeline.types import Image, SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator
from sinks.video.mp4 import Mp4Sink
from tests.support.clips import draw_number, read_number
from tests.support.recording import INFO, every_40_ms, numbered, record
from tests.support.video_files import Video, box_names, read_video, tracked, tracks

EVAL = os.environ.get("SIGHTLINE_EVAL")
needs_eval = pytest.mark.skipif(EVAL is None, reason="needs the evaluation clips: set SIGHTLINE_EVAL to their folder")

NOISE = np.random.default_rng(3).integers(0, 256, (240, 320, 3), dtype=np.uint8)


# --- what is on screen when ---------------------------------------------------------------------------------------


UNEVEN = [0.0]
for step in np.random.default_rng(1).choice([0.01, 0.03, 0.04, 0.09, 0.31], 25).tolist():
    UNEVEN.append(round(UNEVEN[-1] + step, 3))


@pytest.mark.parametrize("fps", [10, 20, 25, 60, Fraction(30000, 1001)])
@pytest.mark.parametrize("pts_s", [[number / 25 for number in range(40)], UNEVEN], ids=["regular", "uneven"])
def test_each_output_frame_shows_what_is_on_screen_then(
    tmp_path: Path, pts_s: list[float], fps: Fraction | int
) -> None:
    path = tmp_path / "a.mp4"
    record(path, numbered(pts_s), fps=fps)
    video = read_video(path)
    rate = Fraction(fps)
    assert video.fps == rate
    assert [round(moment * rate) for moment in video.pts_s] == list(range(len(video.images)))
    exact = [Fraction(str(round(moment, 3))) for moment in pts_s]
    for tick, image in enumerate(video.images):
        assert read_number(image) == max(n for n, moment in enumerate(exact) if moment <= tick / rate), f"tick {tick}"
    assert abs(video.duration_s - (exact[-1] + Fraction(1, 25))) <= 1 / rate


@pytest.mark.parametrize("stated", [None, Fraction(25), Fraction(51, 7), Fraction(1, 2), Fraction(30_000, 1001)])
def test_where_no_rate_is_asked_for_each_picture_of_a_file_is_there_once(
    tmp_path: Path, stated: Fraction | None
) -> None:
    """Whatever rate the file states, and however far the pictures are apart; a camera's output has its rate."""
    path, live = tmp_path / "a.mp4", tmp_path / "live.mp4"
    pts_s = [*UNEVEN, UNEVEN[-1] + 4.0, UNEVEN[-1] + 4.04, UNEVEN[-1] + 9.04]
    record(path, numbered(pts_s), SourceInfo(160, 120, fps=stated))
    video = read_video(path)
    assert [read_number(image) for image in video.images] == list(range(len(pts_s)))
    assert [float(moment) for moment in video.pts_s] == pytest.approx(pts_s, abs=0.0007)
    with av.open(str(path)) as container:
        keyframes = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    # What comes after a long picture can be jumped to.
    assert all(keyframes[place] for place in (0, len(pts_s) - 3, len(pts_s) - 1))
    record(live, every_40_ms(30), SourceInfo(160, 120, fps=Fraction(10), live=True))
    assert read_video(live).fps == 10


def test_a_regular_file_keeps_its_rate_to_the_tick_however_its_container_rounds(tmp_path: Path) -> None:
    for fps in (Fraction(30_000, 1001), Fraction(25), Fraction(24_000, 1001), Fraction(60)):
        record(
            tmp_path / "a.mp4",
            numbered([round(float(number / fps), 3) for number in range(40)]),
            SourceInfo(160, 120, fps=fps),
        )
        video = read_video(tmp_path / "a.mp4")
        assert video.fps == fps
        assert list(video.pts_s) == [number / fps for number in range(40)]


def test_a_source_without_a_rate_is_measured(tmp_path: Path) -> None:
    for count in (30, 4):
        path = tmp_path / f"{count}.mp4"
        record(path, numbered([number / 15 for number in range(count)]), SourceInfo(160, 120))
        video = read_video(path)
        assert video.fps == 15
        assert [read_number(image) for image in video.images] == list(range(count))


def test_a_single_frame_lasts_its_nominal_duration(tmp_path: Path) -> None:
    record(tmp_path / "a.mp4", every_40_ms(1))
    assert read_video(tmp_path / "a.mp4").duration_s == Fraction(1, 25)
    record(tmp_path / "b.mp4", every_40_ms(1), SourceInfo(160, 120))
    assert len(read_video(tmp_path / "b.mp4").images) == 1


def test_a_first_frame_that_comes_late_is_shown_from_the_start(tmp_path: Path) -> None:
    """So that the output's time is the events' time; but a camera's recording starts with its first picture."""
    frames = numbered([0.4, 0.44, 0.48])
    record(tmp_path / "file.mp4", frames, fps=25)
    assert [read_number(image) for image in read_video(tmp_path / "file.mp4").images] == [0] * 11 + [1, 2]
    record(tmp_path / "each.mp4", frames)
    assert [float(moment) for moment in read_video(tmp_path / "each.mp4").pts_s] == pytest.approx([0, 0.44, 0.48])
    record(tmp_path / "live.mp4", frames, SourceInfo(160, 120, fps=Fraction(25), live=True))
    assert [read_number(image) for image in read_video(tmp_path / "live.mp4").images] == [0, 1, 2]


def test_a_live_gap_keeps_real_time_without_a_flood_of_frames(tmp_path: Path) -> None:
    frames = numbered([0, 0.04, 0.08, 3600.0, 3600.04])
    record(tmp_path / "a.mp4", frames, SourceInfo(160, 120, fps=Fraction(25), live=True))
    video = read_video(tmp_path / "a.mp4")
    assert [read_number(image) for image in video.images] == [0, 1, 2, 3, 4]
    assert [float(moment) for moment in video.pts_s] == pytest.approx([0, 0.04, 0.08, 3600, 3600.04])
    assert float(video.duration_s) == pytest.approx(3600.08)


class Counting(Annotator):
    """Counts the pictures drawn."""

    drawn = 0

    def draw(self, tracked: TrackedFrame, out: Image | None = None) -> Image:
        Counting.drawn += 1
        return super().draw(tracked, out)


def test_a_camera_that_is_away_is_marked_until_it_is_back(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "a.mp4", annotate=None)
    sink.open("camera", SourceInfo(160, 120, fps=Fraction(25), live=True), [])
    bright = np.full((120, 160, 3), 200, np.uint8)
    times = [0.0, 0.04, 0.08, 3.0, 3.04, 3.08]
    for number, pts_s in enumerate(times):
        sink.on_frame(tracked(bright, number, pts_s))
        if number in (2, 4):  # the second time it is back before anybody could read it
            sink.on_event(StreamOffline(seq=1, run="r", stream="camera", pts_s=pts_s + 0.04, wall="w", reason="gone"))
    sink.close()
    video = read_video(tmp_path / "a.mp4")
    dark = [image[:60].mean() < 150 for image in video.images]
    assert dark == [False] * 3 + [True] * (75 - 3) + [False] * 3
    assert video.images[10][100:].max() > video.images[10][:60].max() + 40, "with words at its lower edge"


def test_frames_left_out_are_not_drawn(tmp_path: Path) -> None:
    Counting.drawn = 0
    sink = Mp4Sink(tmp_path / "a.mp4", fps=5, annotate=Counting)
    sink.open("camera", INFO, ["car"])
    for frame in every_40_ms(50):
        sink.on_frame(frame)
    sink.close()
    assert Counting.drawn == 10


@cache
def real_clip(name: str) -> tuple[Path, SourceInfo, list[TrackedFrame], Video]:
    source = Path(EVAL or "") / "videos" / name
    frames: list[TrackedFrame] = []
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        info = SourceInfo(160, 90, stream.average_rate, duration_s=float(stream.duration * stream.time_base))
        for index, frame in enumerate(container.decode(stream)):
            # Small pictures: this is about time.
            image = np.asarray(frame.reformat(width=160, height=90).to_ndarray(format="bgr24"), np.uint8)
            frames.append(tracked(image, index, float(frame.time or 0.0)))
    return source, info, frames, read_video(source, pictures=False)


@needs_eval
@pytest.mark.parametrize("fps", [None, 10, 20, 25, 60])
@pytest.mark.parametrize("name", ["traffic-mini.mp4", "pedestrian_survaillance.mp4"])
def test_real_clips_keep_their_length(tmp_path: Path, name: str, fps: int | None) -> None:
    source, info, frames, original = real_clip(name)
    path = tmp_path / "a.mp4"
    record(path, frames, info, fps=fps, audio_from=source)
    video = read_video(path, pictures=False)
    if fps is None:
        assert video.pts_s == pytest.approx([moment - original.pts_s[0] for moment in original.pts_s], abs=0.0007)
    else:
        assert video.fps == fps
    assert abs(video.duration_s - original.duration_s) <= 1 / Fraction(video.fps or 0)
    assert video.audio == original.audio
    assert abs(video.sound_s - original.sound_s) < 0.03


@pytest.mark.parametrize("fps", [0.1, 23.976, 29.97, 120, 1000])
def test_unusual_rates(tmp_path: Path, fps: float) -> None:
    record(tmp_path / "a.mp4", numbered([0, 0.01, 1.0, 2.0]), fps=fps)
    video = read_video(tmp_path / "a.mp4", pictures=False)
    assert float(video.fps or 0) == pytest.approx(fps, rel=1e-4)
    assert abs(float(video.duration_s) - 2.04) <= 1 / fps


# --- the picture --------------------------------------------------------------------------------------------------


def test_plays_in_a_browser(tmp_path: Path) -> None:
    record(tmp_path / "a.mp4", every_40_ms(10))
    video = read_video(tmp_path / "a.mp4")
    assert (video.codec, video.pixel_format) == ("h264", "yuv420p")
    names = box_names(tmp_path / "a.mp4")
    assert names.index("moov") < names.index("mdat"), "faststart"
    assert "moof" not in names, "not fragmented"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"], "nothing else is left"


@pytest.mark.parametrize("size", [(64, 48), (626, 360), (854, 480), (65, 49), (98, 50)])
def test_colours_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    """Eight patches of strong colours; with the other matrix, BT.709, red would be off by 20 and more."""
    width, height = size
    colors = np.array([[b, g, r] for b in (20, 235) for g in (20, 235) for r in (20, 235)], np.uint8)
    image = colors[np.arange(width) * 8 // width][np.newaxis].repeat(height, axis=0)
    record(tmp_path / "a.mp4", [tracked(image, index) for index in range(5)], SourceInfo(width, height, Fraction(25)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = list(container.decode(video=0))[-1]
    assert (frame.width, frame.height) == (width & ~1, height & ~1)
    assert (int(frame.color_range), int(frame.colorspace)) == (1, 6), "tagged as limited-range BT.601"
    by_tags = frame.to_ndarray(format="bgr24", src_colorspace=frame.colorspace, src_color_range=frame.color_range)
    by_matrix = cv2.cvtColor(np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8), cv2.COLOR_YUV2BGR_I420)
    middles = (np.arange(8) * 2 + 1) * width // 16
    for decoded in (by_tags, by_matrix):
        difference = np.abs(decoded[height // 2, middles].astype(int) - image[height // 2, middles])
        assert difference.max() <= 8


def test_tracks_are_drawn(tmp_path: Path) -> None:
    gray = np.full((240, 320, 3), 120, np.uint8)
    frames = [tracked(gray, index, shown=tracks([(60, 80, 200, 200)])) for index in range(5)]
    record(tmp_path / "a.mp4", frames, SourceInfo(320, 240, Fraction(25)), plain=False)
    expected = Annotator(["car"]).draw(frames[0])
    last = read_video(tmp_path / "a.mp4").images[-1]
    assert np.abs(last.astype(int) - expected).mean() < 3
    assert np.abs(last.astype(int) - gray).mean() > 3


def test_a_change_of_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    white = np.full((200, 100, 3), 255, np.uint8)
    frames = [*every_40_ms(3), tracked(white, 3), tracked(draw_number(4, width=640, height=480), 4)]
    record(tmp_path / "a.mp4", frames, plain=False)
    images = read_video(tmp_path / "a.mp4").images
    assert {image.shape for image in images} == {(120, 160, 3)}
    assert read_number(images[4]) == 4
    lit = images[3][60, :, 0] > 128
    assert lit.sum() == pytest.approx(60, abs=2), "as narrow as before"
    assert lit[80]
    assert not lit[:45].any()


def test_a_picture_too_small_for_the_codec(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "a.mp4", annotate=None)
    sink.open("camera", SourceInfo(1, 1, Fraction(25)), [])
    sink.on_frame(tracked(np.zeros((1, 1, 3), np.uint8), 0))
    with pytest.raises(SinkError, match="1x1"):
        sink.on_frame(tracked(np.zeros((1, 1, 3), np.uint8), 1))
    sink.close(RuntimeError())
    assert not list(tmp_path.iterdir())


# --- names, errors and crashes ------------------------------------------------------------------------------------


def test_an_existing_output_is_replaced_only_when_complete(tmp_path: Path) -> None:
    path, unfinished = tmp_path / "a.mp4", tmp_path / "a.partial.mp4"
    path.write_bytes(b"yesterday's")
    sink = Mp4Sink(path, annotate=None)
    sink.check()
    sink.open("camera", INFO, [])
    for frame in every_40_ms(30):
        sink.on_frame(frame)
    assert path.read_bytes() == b"yesterday's"
    assert unfinished.exists()
    sink.close(KeyboardInterrupt())
    assert len(read_video(path).images) == 30
    assert not unfinished.exists()


def test_after_an_error_what_was_processed_is_kept_beside_the_target(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mp4"
    record(path, every_40_ms(30), error=RuntimeError("elsewhere"))
    assert not path.exists()
    assert len(read_video(tmp_path / "a.partial.mp4").images) == 30
    assert str(tmp_path / "a.partial.mp4") in caplog.text


def test_an_overlay_that_raises_leaves_what_was_drawn(tmp_path: Path) -> None:
    def broken(picture: Image, frame: TrackedFrame) -> None:
        if frame.frame.index == 10:
            raise ZeroDivisionError("the overlay's own mistake")

    sink = Mp4Sink(tmp_path / "a.mp4", annotate=partial(Annotator, overlays=[broken]))
    sink.open("camera", INFO, [])
    with pytest.raises(ZeroDivisionError):
        for frame in every_40_ms(30):
            sink.on_frame(frame)
    sink.close(ZeroDivisionError())
    assert len(read_video(tmp_path / "a.partial.mp4").images) == 10
    assert not (tmp_path / "a.mp4").exists()


def test_check_says_what_is_wrong_and_writes_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    record(source, every_40_ms(2))
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(source)
    os.mkfifo(tmp_path / "pipe.mp4")
    os.link(source, tmp_path / "b.partial.mp4")
    before = sorted(tmp_path.rglob("*"))
    for name, said in [
        ("in.mp4/a.mp4", "part of its path is a file"),
        ("folder.mp4", "is a folder"),
        ("a.avi", "must end in .mp4"),
        ("in.mp4", "is the input"),
        ("link.mp4", "is the input"),
        ("b.mp4", "is the input"),
        ("pipe.mp4", "not a regular file"),
    ]:
        with pytest.raises(SinkError, match=said) as caught:
            Mp4Sink(tmp_path / name, input_path=source).check()
        assert "\n" not in str(caught.value)
        assert name.split("/")[-1] in str(caught.value)
    Mp4Sink(tmp_path / "new.mp4", input_path=source).check()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("options", [{"fps": 0}, {"fps": -5.0}, {"fps": 5000}, {"crf": 60}, {"preset": "fastest"}])
def test_impossible_options(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
        Mp4Sink(tmp_path / "a.mp4", **options)  # type: ignore[arg-type]


def test_one_file_holds_one_stream(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "a.mp4", annotate=None)
    sink.open("camera", INFO, [])
    with pytest.raises(SinkError, match="one stream"):
        sink.open("other", INFO, [])
    chosen = Mp4Sink(tmp_path / "b.mp4", annotate=None, stream="other")
    for stream in ("camera", "other"):
        chosen.open(stream, INFO, [])
        chosen.on_frame(tracked(draw_number(len(stream)), stream=stream))
    chosen.close()
    assert [read_number(image) for image in read_video(tmp_path / "b.mp4").images] == [len("other")]
