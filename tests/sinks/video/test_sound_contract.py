"""One clock for pictures and sound, and a whole video whatever the sound is like, in all containers and codecs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from pipeline.sources.video_file import VideoFile
from pipeline.types import Detections, TrackedFrame, Tracks
from sinks.video.mp4 import Mp4Sink
from tests.support.clips import draw_number, read_number
from tests.support.video_files import read_video

FPS, SECONDS, RATE = 25, 3, 48_000
# When the sound beeps, by the pictures' time; what is damaged below lies between.
BEEPS_S = [0.5, 1.5, 2.5]
Packets = list[Any]
Disorder = Callable[[Packets], Packets]

# Container, picture codec, sound codec; each pair that FFmpeg can write.
KINDS = [
    ("mp4", "libx264", "aac"),
    ("mp4", "libx264", "libmp3lame"),
    ("mp4", "libx264", "libopus"),
    ("mp4", "libx264", "flac"),
    ("mp4", "libx264", "ac3"),
    ("mov", "libx264", "pcm_s16le"),
    ("mov", "libx264", "alac"),
    ("mkv", "libx264", "aac"),
    ("mkv", "libx264", "libmp3lame"),
    ("mkv", "libx264", "libopus"),
    ("mkv", "libx264", "flac"),
    ("mkv", "libx264", "vorbis"),
    ("mkv", "libx264", "eac3"),
    ("webm", "libvpx", "libopus"),
    ("webm", "libvpx", "vorbis"),
    ("ts", "libx264", "aac"),
    ("ts", "libx264", "mp2"),
    ("ts", "libx264", "ac3"),
    ("ts", "libx264", "libopus"),
    ("mpg", "mpeg2video", "mp2"),
    ("avi", "mjpeg", "pcm_s16le"),
    ("flv", "libx264", "aac"),
    ("asf", "mpeg4", "wmav2"),
]
NAMES = ["-".join(kind[::2]) for kind in KINDS]


def tone(hertz: float = 1000.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Mono samples with beeps of a tenth of a second."""
    moments = np.arange(SECONDS * RATE) / RATE
    loud = np.zeros(len(moments), bool)
    for beep_s in BEEPS_S:
        loud |= (moments >= beep_s) & (moments < beep_s + 0.1)
    return np.where(loud, 0.5 * np.sin(2 * np.pi * hertz * moments), 0).astype(np.float32)


def encoded_sound(stream: av.AudioStream, samples: np.ndarray[Any, np.dtype[np.float32]]) -> Iterator[Any]:
    context = stream.codec_context
    resampler = av.AudioResampler(
        format=context.format.name, layout=context.layout.name, rate=RATE, frame_size=context.frame_size or 1024
    )
    whole = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
    whole.sample_rate, whole.time_base, whole.pts = RATE, Fraction(1, RATE), 0
    for frame in [*resampler.resample(whole), *resampler.resample(None)]:
        yield from stream.encode(frame)
    yield from stream.encode(None)


def encoded_pictures(stream: av.VideoStream, numbers: Sequence[int]) -> Iterator[Any]:
    for position, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(draw_number(number, width=64, height=64), format="bgr24")
        frame.pts, frame.time_base = position, Fraction(1, FPS)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def write(
    path: Path,
    kind: tuple[str, str, str],
    *,
    disorder: Disorder = lambda sound: sound,
    picture_disorder: Disorder = lambda pictures: pictures,
    first: int = 0,
) -> Path:
    """Three seconds of numbered pictures, and sound whose packets pass through ``disorder``."""
    _, picture_codec, sound_codec = kind
    with av.open(str(path), "w") as output:
        video = output.add_stream(
            picture_codec, rate=FPS, options={"preset": "ultrafast"} if "264" in picture_codec else {}
        )
        assert isinstance(video, av.VideoStream)
        video.width, video.height = 64, 64
        video.pix_fmt = "yuvj420p" if picture_codec == "mjpeg" else "yuv420p"
        video.bit_rate, video.codec_context.max_b_frames = 2_000_000, 0
        # FFmpeg's own encoder of Vorbis calls itself an experiment, and knows only stereo.
        options = {"strict": "experimental"} if sound_codec == "vorbis" else {}
        layout = "stereo" if sound_codec == "vorbis" else "mono"
        audio = output.add_stream(sound_codec, rate=RATE, layout=layout, options=options)
        assert isinstance(audio, av.AudioStream)
        audio.bit_rate = 96_000
        pictures = picture_disorder(list(encoded_pictures(video, range(first, first + FPS * SECONDS))))
        for packet in pictures:
            packet.duration = packet.duration or round(1 / FPS / packet.time_base)
        sound = disorder(list(encoded_sound(audio, tone())))
        for packet in sorted([*pictures, *sound], key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def convert(source: Path, path: Path, **settings: Any) -> Path:
    """The source's pictures and sound as the sink makes an MP4 of them."""
    with VideoFile(source, threads=1) as video:
        sink = Mp4Sink(path, annotate=None, audio_from=source, **settings)
        sink.open(video.stream, video.info, [])
        for frame in video:
            sink.on_frame(TrackedFrame(frame, Detections.empty(), Tracks.empty(), np.zeros(0, np.int64)))
        sink.close()
    return path


def shown(path: Path) -> list[tuple[float, int]]:
    video = read_video(path)
    return [(float(at), read_number(image)) for at, image in zip(video.pts_s, video.images, strict=True)]


def onsets(path: Path) -> list[float]:
    """When sound begins after a silence, by the timestamps of its frames."""
    loud: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(np.asarray(frame.to_ndarray(), np.float64)).reshape(-1)
            loud += [(frame.time or 0.0) + place / RATE for place in np.flatnonzero(samples > 0.1).tolist()]
    return [moment for before, moment in zip([-1.0, *loud], loud, strict=False) if moment - before > 0.2]


def assert_shown(path: Path, expected: Sequence[tuple[float, int]]) -> None:
    pictures = shown(path)
    assert [number for _, number in pictures] == [number for _, number in expected]
    assert [at for at, _ in pictures] == pytest.approx([at for at, _ in expected], abs=0.002)


def assert_in_place(path: Path, beeps_s: Sequence[float] = BEEPS_S, count: int = FPS * SECONDS) -> None:
    assert_shown(path, [(number / FPS, number) for number in range(count)])
    assert read_video(path, pictures=False).duration_s == pytest.approx(count / FPS, abs=0.002)
    # What is damaged may be noise, where its codec can't tell.
    beeps = [moment for moment in onsets(path) if not 0.95 < moment < 1.3]
    assert beeps == pytest.approx(beeps_s, abs=0.04)


def imperfect(packets: Packets, *, in_order: bool) -> Packets:
    """Around 1 s, where it is silent: a packet lost, one damaged, one with nearly its neighbour's timestamp."""
    near = next(place for place, packet in enumerate(packets) if packet.pts * packet.time_base >= 1.0)
    noise = np.random.default_rng(0)
    kept: Packets = []
    for place, packet in enumerate(packets):
        if place == near:
            continue
        if place == near + 3 and packet.size > 8 and "pcm" not in packet.stream.codec_context.name:
            # Its beginning is what some muxers look at.
            damaged = av.Packet(bytes(packet)[:8] + noise.bytes(packet.size - 8))
            damaged.stream, damaged.time_base = packet.stream, packet.time_base
            damaged.pts, damaged.dts, damaged.duration = packet.pts, packet.dts, packet.duration
            packet = damaged
        if place == near + 6 and in_order:
            # As near to the one before as muxers let it.
            packet.pts = packet.dts = kept[-1].pts + round(Fraction(11, 10_000) / packet.time_base)
        kept.append(packet)
    return kept


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_imperfect_sound_costs_neither_pictures_nor_the_rest_of_the_sound(
    tmp_path: Path, kind: tuple[str, str, str]
) -> None:
    # AVI counts packets instead of giving them timestamps.
    disorder = partial(imperfect, in_order=kind[0] != "avi")
    source = write(tmp_path / f"source.{kind[0]}", kind, disorder=disorder)
    assert_in_place(convert(source, tmp_path / "a.mp4"))


def one_wrong(packets: Packets) -> Packets:
    """One picture's timestamp 300 ms ahead."""
    packets[40].pts += round(Fraction(3, 10) / packets[40].time_base)
    return packets


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind[2] in ("aac", "mp2", "vorbis") and kind[0] not in ("avi", "asf")]
)
def test_one_wrong_timestamp_of_a_picture_moves_neither_others_nor_the_sound(
    tmp_path: Path, kind: tuple[str, str, str]
) -> None:
    source = write(tmp_path / f"source.{kind[0]}", kind, picture_disorder=one_wrong)
    assert_in_place(convert(source, tmp_path / "a.mp4"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] == "ts"], ids=lambda kind: str(kind[2]))
def test_sound_follows_the_pictures_where_files_are_joined(tmp_path: Path, kind: tuple[str, str, str]) -> None:
    parts = [write(tmp_path / f"{number}.ts", kind, first=75 * number).read_bytes() for number in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    assert_in_place(convert(joined, tmp_path / "a.mp4"), [*BEEPS_S, *(3 + beep_s for beep_s in BEEPS_S)], 150)


@pytest.mark.parametrize("pause_s", [5, 20])
@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_a_pause_is_the_same_for_pictures_and_sound(tmp_path: Path, container: str, pause_s: int) -> None:
    """Kept, as silence and a picture that stays; cut out of transport streams where it is longer than ten seconds."""

    def paused(packets: Packets) -> Packets:
        for packet in packets:
            if packet.pts * packet.time_base >= Fraction(12, 10):
                packet.pts += round(pause_s / packet.time_base)
                packet.dts = packet.pts
        return packets

    kind = (container, "libx264", "aac")
    source = write(tmp_path / f"source.{container}", kind, disorder=paused, picture_disorder=paused)
    path = convert(source, tmp_path / "a.mp4")
    kept_s = 0 if (container, pause_s) == ("ts", 20) else pause_s
    assert onsets(path) == pytest.approx([BEEPS_S[0], *(beep_s + kept_s for beep_s in BEEPS_S[1:])], abs=0.04)
    pictures = shown(path)
    assert [number for _, number in pictures] == list(range(75))
    assert pictures[29][0] == pytest.approx(29 / FPS, abs=0.002)
    assert pictures[30][0] == pytest.approx(30 / FPS + kept_s, abs=0.002)


def test_sound_from_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    def late(packets: Packets) -> Packets:
        for packet in packets:
            packet.pts += round(2 / packet.time_base)
            packet.dts = packet.pts
        return packets

    source = write(tmp_path / "source.mkv", ("mkv", "libx264", "aac"), picture_disorder=late)
    path = convert(source, tmp_path / "a.mp4")
    assert_shown(path, [(number / FPS, number) for number in range(75)])
    assert onsets(path) == pytest.approx([0.5], abs=0.04)


@pytest.mark.parametrize("container", ["mkv", "webm", "mp4", "mov"])
def test_the_last_picture_stays_for_as_long_as_the_file_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str
) -> None:
    """Pictures for a second, the last for two more; three seconds of sound."""

    def stays(packets: Packets) -> Packets:
        packets[25].duration = round(2 / packets[25].time_base)
        return packets[:26]

    kind = (container, *({"webm": ("libvpx", "libopus")}.get(container, ("libx264", "aac"))))
    source = write(tmp_path / f"source.{container}", kind, picture_disorder=stays)
    with caplog.at_level(logging.WARNING):
        path = convert(source, tmp_path / "a.mp4")
    assert not caplog.records
    assert [number for _, number in shown(path)] == list(range(26))
    assert float(read_video(path, pictures=False).duration_s) == pytest.approx(3.0, abs=0.002)
    assert onsets(path) == pytest.approx(BEEPS_S, abs=0.04)
    # Also at a rate that was asked for.
    path = convert(source, tmp_path / "b.mp4", fps=10)
    assert len(shown(path)) == 30


def test_slides_stay_for_as_long_as_the_file_says(tmp_path: Path) -> None:
    source = tmp_path / "slides.gif"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("gif", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb8"
        stream.codec_context.time_base = Fraction(1, 100)
        packets: Packets = []
        for number, at in enumerate((0, 150, 250)):
            frame = av.VideoFrame.from_ndarray(draw_number(number, width=64, height=64), format="bgr24")
            frame.pts, frame.time_base = at, Fraction(1, 100)
            packets += stream.encode(frame)
        for packet, duration in zip([*packets, *stream.encode(None)], (150, 100, 200), strict=True):
            packet.duration = duration
            output.mux(packet)
    path = convert(source, tmp_path / "a.mp4")
    assert_shown(path, [(0.0, 0), (1.5, 1), (2.5, 2)])
    assert float(read_video(path, pictures=False).duration_s) == pytest.approx(4.5, abs=0.011)


def test_a_still_and_then_lively_pictures_are_all_there(tmp_path: Path) -> None:
    """The average rate says nothing of either part; a rate that is asked for does."""

    def still(packets: Packets) -> Packets:
        for packet in packets[1:]:
            packet.pts += round(5 / packet.time_base)
            packet.dts = packet.pts
        packets[0].duration = packets[1].pts
        return packets

    source = write(tmp_path / "source.mp4", ("mp4", "libx264", "aac"), picture_disorder=still)
    expected = [(0.0, 0), *((5 + number / FPS, number) for number in range(1, 75))]
    assert_shown(convert(source, tmp_path / "a.mp4"), expected)
    assert len(shown(convert(source, tmp_path / "b.mp4", fps=5))) == 40


@pytest.mark.parametrize(
    ("dispositions", "chosen"),
    [
        ((0, Disposition.default), 1),
        ((Disposition.default, 0), 0),
        ((0, 0), 0),
        ((Disposition.comment, 0), 1),
        ((Disposition.visual_impaired, Disposition.default), 1),
    ],
)
def test_the_default_sound_track_is_taken(tmp_path: Path, dispositions: tuple[int, int], chosen: int) -> None:
    source = tmp_path / "source.mkv"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        packets: Packets = []
        for hertz, disposition in zip((500, 2000), dispositions, strict=True):
            audio = output.add_stream("aac", rate=RATE, layout="mono")
            assert isinstance(audio, av.AudioStream)
            audio.disposition = disposition  # type: ignore[assignment]
            packets += encoded_sound(audio, tone(hertz))
        for packet in [*encoded_pictures(video, range(FPS)), *packets]:
            output.mux(packet)
    video_out = read_video(convert(source, tmp_path / "a.mp4"), pictures=False)
    beep = video_out.samples[round(0.52 * RATE) : round(0.58 * RATE)]
    crossings = np.count_nonzero(np.diff(np.signbit(beep)))
    assert crossings == pytest.approx(2 * (500, 2000)[chosen] * 0.06, rel=0.1)


@pytest.mark.parametrize(
    "broken", ["sinks.video.source_audio.SourceAudio._copied", "sinks.video.source_audio.SourceAudio._placed"]
)
def test_whatever_fails_with_the_sound_the_video_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """What can't be copied is encoded; where that fails too, the video is silent, and either is told."""

    def fail(*_: Any) -> Iterator[Any]:
        raise av.ArgumentError(22, "Invalid argument")
        yield

    source = write(tmp_path / "source.mkv", ("mkv", "libx264", "libmp3lame"))
    monkeypatch.setattr(broken, fail)
    with caplog.at_level(logging.WARNING):
        path = convert(source, tmp_path / "a.mp4")
    video = read_video(path)
    assert [read_number(image) for image in video.images] == list(range(75))
    silent = broken.endswith("_placed")
    assert video.audio == (None if silent else "aac")
    assert "Invalid argument; it is encoded anew" in caplog.text
    assert ("the video is silent" in caplog.text) == silent
