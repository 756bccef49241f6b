"""The sound of the MP4 output: where it is, how long it lasts, which codec it has."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.recording import every_40_ms, record
from tests.support.video_files import Video, read_video


def clip_with_beep(
    path: Path, codec: str, *, seconds: float = 3.0, late_s: float = 0.0, sound_s: float | None = None
) -> Path:
    """Pictures that start half a second into the file's time, sound ``late_s`` after them, silent for a second."""
    rate = 48_000
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(audio, av.AudioStream)
        for index in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="bgr24")
            frame.pts, frame.time_base = index + 13, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        times = np.arange(round((sound_s or seconds) * rate)) / rate
        samples = np.where(times >= 1.0, 0.5 * np.sin(2 * np.pi * 1000 * times), 0).astype(np.float32)
        resampler = av.AudioResampler(
            format=audio.codec_context.format.name, layout="mono", rate=rate, frame_size=audio.frame_size or 1024
        )
        whole = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        whole.sample_rate, whole.time_base = rate, Fraction(1, rate)
        whole.pts = round((13 / 25 + late_s) * rate)
        for piece in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(list(audio.encode(piece)))
        output.mux(list(audio.encode(None)))
    return path


def beep_s(video: Video) -> float:
    """When the beep begins, counted from the first picture."""
    onset = int(np.argmax(np.abs(video.samples) > 0.1))
    return video.sound_start_s + onset / video.sample_rate - float(video.pts_s[0])


@pytest.mark.parametrize(
    ("container", "codec", "kept"),
    [
        ("mkv", "aac", "aac"),
        ("ts", "aac", "aac"),
        ("mkv", "libmp3lame", "mp3"),
        ("mkv", "libopus", "opus"),
        ("mkv", "flac", "flac"),
        ("mkv", "pcm_s16le", "aac"),
        ("mkv", "ac3", "aac"),
    ],
)
@pytest.mark.parametrize("late_s", [0.0, 0.7, -0.3])
def test_sound_keeps_its_place(tmp_path: Path, container: str, codec: str, kept: str, late_s: float) -> None:
    source = clip_with_beep(tmp_path / f"source.{container}", codec, late_s=late_s)
    record(tmp_path / "a.mp4", every_40_ms(75), audio_from=source)
    video = read_video(tmp_path / "a.mp4")
    assert video.audio == kept
    assert len(video.images) == 75
    assert video.pts_s[0] == 0
    assert beep_s(video) == pytest.approx(1.0 + late_s, abs=0.012)
    assert beep_s(video) == pytest.approx(beep_s(read_video(source)), abs=0.012)


def test_sound_of_a_run_that_ended_early_is_cut(tmp_path: Path) -> None:
    source = clip_with_beep(tmp_path / "source.mkv", "aac")
    record(tmp_path / "a.mp4", every_40_ms(45), audio_from=source)
    video = read_video(tmp_path / "a.mp4")
    assert video.duration_s == Fraction(45, 25)
    assert 1.75 < video.sound_s <= 1.8
    assert beep_s(video) == pytest.approx(1.0, abs=0.012)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(1.8, abs=0.001)


def test_sound_that_outlasts_the_pictures_stays_whole(tmp_path: Path) -> None:
    source = clip_with_beep(tmp_path / "source.mp4", "aac", sound_s=4.0)
    record(tmp_path / "a.mp4", every_40_ms(75), audio_from=source)
    video = read_video(tmp_path / "a.mp4")
    assert video.duration_s == 3
    assert video.sound_s == pytest.approx(4.0, abs=0.05)


def test_names_that_look_like_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = clip_with_beep(tmp_path / "12:30.mkv", "aac", seconds=1.0)
    record(Path("http:out.mp4"), every_40_ms(25), audio_from=Path(source.name))
    assert read_video(tmp_path / "http:out.mp4").audio == "aac"


def test_sources_without_sound_give_silent_videos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path / "silent.mp4", every_40_ms(5))
    record(tmp_path / "a.mp4", every_40_ms(5), audio_from=tmp_path / "silent.mp4")
    assert read_video(tmp_path / "a.mp4").audio is None
    assert not caplog.records
    (tmp_path / "gone.mp4").write_bytes(b"not a video")
    record(tmp_path / "b.mp4", every_40_ms(5), audio_from=tmp_path / "gone.mp4")
    assert len(read_video(tmp_path / "b.mp4").images) == 5
    assert "the video is silent" in caplog.text
