"""Video files of every kind, read by ``VideoFile``; the pixels say which frame is which."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
import pytest
from av.stream import Disposition

from pipeline.errors import ConfigError, SourceError, SourceNotFoundError
from pipeline.sources.opening import open_source
from pipeline.sources.video_file import VideoFile
from tests.support.clips import Image, draw_number, read_number, write_clip

COUNT = 20


def numbers_and_times(path: Path, **settings: Any) -> tuple[list[int], list[float]]:
    with VideoFile(path, **settings) as source:
        frames = [(read_number(frame.image), frame.pts_s) for frame in source]
        assert sum(source.failed.values()) == 0
    return [number for number, _ in frames], [pts_s for _, pts_s in frames]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("h264.mp4", {}),
        ("reordered.mp4", {"b_frames": 3}),
        ("hevc.mp4", {"codec": "libx265", "b_frames": 2}),
        ("fragmented.mp4", {"b_frames": 2, "container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("transport.ts", {"b_frames": 2}),
        ("mpeg4.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("motion.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
        ("hidden.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8", "cpu-used": "16"}}),
        ("super.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("odd.mkv", {"codec": "ffv1", "size": (65, 47)}),
        ("odd444.mp4", {"pixel_format": "yuv444p", "size": (75, 47)}),
        ("ten.mkv", {"pixel_format": "yuv420p10le"}),
        ("ten422.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
        ("gray.mkv", {"codec": "ffv1", "pixel_format": "gray"}),
        ("gray10.mkv", {"codec": "ffv1", "pixel_format": "gray10le"}),
        ("gray.mp4", {"pixel_format": "gray"}),
        ("transparent.mov", {"codec": "png", "pixel_format": "rgba", "size": (61, 47)}),
        ("interlaced.mp4", {"options": {"x264-params": "tff=1"}}),
        ("interlaced.mpg", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}}),
        ("sound.mp4", {"audio": True}),
        ("raw.h264", {}),
        ("raw_reordered.h264", {"b_frames": 2}),
    ],
)
def test_every_frame_once_in_order(tmp_path: Path, name: str, settings: dict[str, Any], threads: int) -> None:
    path = write_clip(tmp_path / name, count=COUNT, **settings)
    numbers, times = numbers_and_times(path, threads=threads)
    assert numbers == list(range(COUNT))
    assert times == pytest.approx([k / 25 for k in range(COUNT)], abs=0.002)


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    moments = [0.0, 0.1, 0.15, 0.5, 0.51, 1.2, 31.2]
    numbers, times = numbers_and_times(write_clip(tmp_path / "uneven.mp4", pts_s=moments))
    assert numbers == list(range(len(moments)))
    assert times == pytest.approx(moments, abs=1e-6)


def test_time_counts_from_the_first_frame_wherever_the_file_starts(tmp_path: Path) -> None:
    _, times = numbers_and_times(write_clip(tmp_path / "late.ts", pts_s=[7.0 + k / 25 for k in range(COUNT)]))
    assert times == pytest.approx([k / 25 for k in range(COUNT)])


def test_repeated_and_swapped_timestamps_are_repaired(tmp_path: Path) -> None:
    stated = [0, 40, 80, 60, 160, 160, 240, 280]

    def disorder(position: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        packet.pts = stated[position] * 90 + position
        packet.dts = position
        return packet

    path = write_clip(
        tmp_path / "disorder.mkv",
        codec="mjpeg",
        pixel_format="yuvj420p",
        pts_s=[k / 25 for k in range(len(stated))],
        on_packet=disorder,
    )
    numbers, times = numbers_and_times(path)
    assert numbers == list(range(len(stated)))
    assert times == pytest.approx([k / 25 for k in range(len(stated))], abs=0.002)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_picture_is_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    path = write_clip(tmp_path / "turned.mp4", count=3, size=(160, 96), rotation=rotation, mirrored=mirrored)
    with VideoFile(path) as source:
        assert (source.info.width, source.info.height) == (160, 96)
        assert [read_number(frame.image) for frame in source] == [0, 1, 2]


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "my clip.mp4", count=30, fps=Fraction(30_000, 1001), audio=True)
    with open_source(str(path)) as source:
        info = source.info
        assert source.stream == "my-clip"
    assert (info.width, info.height, info.frame_count, info.live) == (160, 120, 30, False)
    assert info.fps == Fraction(30_000, 1001)
    assert info.duration_s == pytest.approx(1.001, abs=0.001)
    assert info.uri == str(path)


def test_a_change_of_size_midway(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "first.ts", count=COUNT)
    second = write_clip(tmp_path / "second.ts", count=COUNT, first_number=COUNT, size=(320, 200))
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with VideoFile(both) as source:
        shown = [(read_number(frame.image), frame.width, frame.height, frame.pts_s) for frame in source]
    assert [number for number, *_ in shown] == list(range(2 * COUNT))
    assert [size for _, *size, _ in shown] == [[160, 120]] * COUNT + [[320, 200]] * COUNT
    assert [pts_s for *_, pts_s in shown] == pytest.approx([k / 25 for k in range(2 * COUNT)])


def _add_cover(path: Path, clip: Path | None) -> Path:
    """An MP4 with a cover picture, and the video of ``clip`` behind it."""
    with av.open(str(path), "w") as output:
        cover = output.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = output.add_stream("aac", rate=16_000, layout="mono")
        assert isinstance(sound, av.AudioStream)
        video = None
        if clip is not None:
            with av.open(str(clip)) as original:
                video = output.add_stream_from_template(original.streams.video[0])
                packets = [packet for packet in original.demux(video=0) if packet.size]
                picture = av.VideoFrame.from_ndarray(draw_number(999, width=64, height=64), format="bgr24")
                output.mux(list(cover.encode(picture)))
                for packet in packets:
                    packet.stream = video
                    output.mux(packet)
        else:
            picture = av.VideoFrame.from_ndarray(draw_number(999, width=64, height=64), format="bgr24")
            output.mux(list(cover.encode(picture)))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 16_000, 0
        output.mux([*sound.encode(tone), *sound.encode(None)])
    return path


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = _add_cover(tmp_path / "covered.mp4", write_clip(tmp_path / "clip.mp4", count=COUNT))
    assert numbers_and_times(path)[0] == list(range(COUNT))
    with pytest.raises(SourceError, match="only a cover picture"):
        VideoFile(_add_cover(tmp_path / "song.mp4", None))


@pytest.mark.parametrize("name", ["a:b.mp4", "50%d.mp4", "-x.mp4", "sp ace ünï.mp4", "#1?.mp4"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / "clip.mp4", count=3).rename(tmp_path / name)
    assert numbers_and_times(path)[0] == [0, 1, 2]
    with open_source(str(path)) as source:
        assert source.stream
        assert not any(character.isspace() or character == "/" for character in source.stream)


# Colours


def _patches(rgb: np.ndarray[Any, np.dtype[np.float64]], kr: float, kb: float, full: bool) -> Any:
    """Y', Cb, Cr of R'G'B' in [0, 1] by the definition in BT.601 and BT.709, 8 bits."""
    red, green, blue = rgb.T
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma_blue, chroma_red = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    if full:
        return luma * 255, chroma_blue * 255 + 128, chroma_red * 255 + 128
    return luma * 219 + 16, chroma_blue * 224 + 128, chroma_red * 224 + 128


@pytest.mark.parametrize(
    ("matrix", "full", "coefficients"),
    [
        ("unspecified", False, (0.299, 0.114)),
        ("smpte170m", False, (0.299, 0.114)),
        ("bt709", False, (0.2126, 0.0722)),
        ("bt709", True, (0.2126, 0.0722)),
        ("smpte170m", True, (0.299, 0.114)),
    ],
)
def test_colours_follow_the_stated_matrix_and_range(
    tmp_path: Path, matrix: str, full: bool, coefficients: tuple[float, float]
) -> None:
    numbers = {"unspecified": 2, "bt709": 1, "smpte170m": 6}
    rgb = np.array([[r, g, b] for r in (0.1, 0.9) for g in (0.2, 0.8) for b in (0.15, 0.85)])
    planes = np.stack([np.repeat(np.tile(row, (48, 1)), 16, axis=1) for row in _patches(rgb, *coefficients, full)])
    path = tmp_path / "colours.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = planes.shape[2], planes.shape[1], "yuv444p"
        stream.codec_context.colorspace = numbers[matrix]
        stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame.from_ndarray(planes.round().astype(np.uint8), format="yuv444p")
        frame.colorspace, frame.color_range = numbers[matrix], 2 if full else 1
        output.mux([*stream.encode(frame), *stream.encode(None)])
    with VideoFile(path) as source:
        image = next(iter(source)).image
    seen = image[24, 8::16, ::-1].astype(float)
    assert np.abs(seen - rgb * 255).max() <= 3


def _opencv(path: Path) -> list[Image]:
    capture = cv2.VideoCapture(str(path))
    images: list[Image] = []
    while True:
        found, image = capture.read()
        if not found:
            capture.release()
            return images
        images.append(np.asarray(image, np.uint8))


def _smooth(position: int) -> Image:
    y, x = np.mgrid[0:120, 0:160]
    waves = [np.sin(x / 23 + position / 3), np.cos(y / 17 - position / 5), np.sin((x + y) / 29)]
    return np.stack([127 + 110 * wave for wave in waves], axis=2).round().astype(np.uint8)


def test_pictures_agree_with_opencv(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "smooth.mp4", count=8, draw=_smooth)
    expected = _opencv(path)
    with VideoFile(path) as source:
        images = [frame.image for frame in source]
    assert len(images) == len(expected) == 8
    for image, other in zip(images, expected, strict=True):
        assert np.abs(image.astype(int) - other).mean() < 1
        assert np.abs(image.astype(int) - other).max() <= 8


def test_real_clips_have_the_frames_that_opencv_finds() -> None:
    folder = os.environ.get("SIGHTLINE_EVAL")
    if not folder:
        pytest.skip("needs the evaluation data: set SIGHTLINE_EVAL to its folder")
    for name in ("pedestrian_survaillance.mp4", "traffic-mini.mp4", "TUD-Campus.mp4", "highway-720p.mp4"):
        path = Path(folder) / "videos" / name
        expected = _opencv(path)
        with VideoFile(path) as source:
            count = 0
            for frame, other in zip(source, expected, strict=True):
                assert frame.image.shape == other.shape
                if count % 30 == 0:
                    # OpenCV takes every video for BT.601, so only a rough agreement is expected of one in BT.709.
                    assert cv2.absdiff(frame.image, other).mean() < (8 if "720p" in name else 1.5)
                count += 1
            assert count == source.info.frame_count
            assert sum(source.failed.values()) == 0


# What can't be opened


def _text(path: Path) -> None:
    path.write_text("this is not a video\n" * 100)


def _no_index(path: Path) -> None:
    write_clip(path, count=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts = 16_000, 0
        output.mux([*stream.encode(tone), *stream.encode(None)])


def _no_picture(path: Path) -> None:
    def scramble(_: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        broken = av.Packet(b"\0\0\0\x01\x7f" + b"\xff" * 50)
        broken.stream, broken.pts, broken.dts, broken.time_base = (
            packet.stream,
            packet.pts,
            packet.dts,
            packet.time_base,
        )
        return broken  # type: ignore[return-value]

    write_clip(path, count=5, on_packet=scramble)


def _playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "no such file; check the path"),
        (Path.mkdir, "is a folder without images; give a video file"),
        (Path.touch, "is empty"),
        (_text, "is not a video"),
        (_no_index, "lacks its index"),
        (_sound_only, "no video in it, only audio"),
        (_no_picture, "no picture in it can be decoded"),
        (_playlist, "is not a video"),
        (lambda path: path.write_bytes(os.urandom(100_000)), "is not a video"),
    ],
)
def test_one_plain_line_says_what_is_wrong(tmp_path: Path, make: Callable[[Path], object], expected: str) -> None:
    path = tmp_path / "input.mp4"
    make(path)
    with pytest.raises(SourceError) as raised:
        open_source(str(path))
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message and "Errno" not in message
    assert isinstance(raised.value, SourceNotFoundError) == (not path.exists())


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "private.mp4", count=2)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("runs as a user who may read everything; run as an ordinary user to test permissions")
    with pytest.raises(SourceError, match="no permission"):
        VideoFile(path)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (17_000, 16), (16_000, 16_000)])
def test_a_header_that_claims_an_absurd_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "huge.mp4"
    path.write_bytes(_png(*size))
    before = psutil.Process().memory_info().rss
    with pytest.raises(SourceError, match=r"px are refused|no picture in it can be decoded"):
        VideoFile(path)
    assert psutil.Process().memory_info().rss - before < 200_000_000


def test_a_kind_of_address_that_is_not_known() -> None:
    with pytest.raises(ConfigError) as raised:
        open_source("gopher://admin:secret@host/x")
    assert "secret" not in str(raised.value)
    with pytest.raises(ConfigError, match="at least one character"):
        open_source("clip.mp4", stream=" / ")
