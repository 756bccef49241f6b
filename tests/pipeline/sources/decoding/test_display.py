"""What a file or stream says of how its pictures are displayed: pixel shape, crop, range and gamut, transparency."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.images.limits import MAX_PIXELS, MAX_SIDE
from pipeline.images.reading import read_image
from pipeline.sources.decoding.conversion import PictureConverter
from pipeline.sources.decoding.crop import Crop
from pipeline.sources.decoding.display import DisplayReader
from pipeline.sources.decoding.tone import Curve, to_bt709
from pipeline.sources.video_file import VideoFile
from pipeline.types import Frame, Image
from tests.support.clips import draw_number, read_number, write_clip

Float64Array = NDArray[np.float64]


def frames_of(path: Path, reduce_to: int | None = None) -> list[Frame]:
    with VideoFile(path, reduce_to=reduce_to) as source:
        frames = list(source)
        assert not source.failed
        assert all((frame.width, frame.height) == (source.info.width, source.info.height) for frame in frames)
    for frame in frames:
        assert frame.image.shape == (frame.height, frame.width, 3)
        assert frame.image.flags.c_contiguous
    return frames


# ---- pixels that are not square


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.mov", {"codec": "mpeg4"}),
        ("b.avi", {"codec": "mpeg4"}),
    ],
)
@pytest.mark.parametrize(
    ("aspect", "displayed"),
    [("64/45", (228, 120)), ("2/1", (320, 120)), ("5/11", (160, 264)), ("12/11", (175, 120)), ("1/1", (160, 120))],
)
def test_pixels_become_square(
    tmp_path: Path, name: str, how: dict[str, Any], aspect: str, displayed: tuple[int, int]
) -> None:
    def round_when_displayed(_: int) -> Image:
        stored = np.zeros((120, 160, 3), np.uint8)
        middle = (displayed[0] / 2, displayed[1] / 2)
        y, x = np.mgrid[:120, :160]
        inside = np.hypot(x * displayed[0] / 160 - middle[0], y * displayed[1] / 120 - middle[1]) < 40
        stored[inside] = 255
        return stored

    path = write_clip(
        tmp_path / name, count=2, pixel_aspect=Fraction(aspect), draw=round_when_displayed, keyframe_every=1, **how
    )
    frame, *_ = frames_of(path, reduce_to=100)
    assert (frame.width, frame.height) == displayed
    for picture, scale in ((frame.image, 1.0), (frame.reduced, 100 / max(displayed))):
        assert picture is not None
        rows, columns = (np.flatnonzero((picture[..., 1] > 127).any(axis=axis)) for axis in (1, 0))
        assert np.ptp(rows) + 1 == pytest.approx(80 * scale, abs=2.5)
        assert np.ptp(columns) + 1 == pytest.approx(80 * scale, abs=2.5)


@pytest.mark.parametrize("rotation", [90, 180])
def test_stretched_first_then_turned(tmp_path: Path, rotation: int) -> None:
    path = write_clip(tmp_path / "a.mp4", count=2, size=(160, 96), rotation=rotation, pixel_aspect=Fraction(2))
    frames = frames_of(path, reduce_to=96)
    stored = (160, 192) if rotation == 90 else (320, 96)
    assert (frames[0].width, frames[0].height) == stored
    assert [read_number(frame.image) for frame in frames] == [0, 1]
    assert [read_number(np.asarray(frame.reduced)) for frame in frames] == [0, 1]


def test_a_broadcast_that_changes_the_shape_of_its_pixels(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / f"{k}.ts", count=10, first_number=10 * k, pixel_aspect=Fraction(aspect))
        for k, aspect in enumerate(["12/11", "16/11", "1/1"])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoFile(joined, threads=1) as source:
        seen = [(read_number(frame.image), frame.width) for frame in source]
    assert [number for number, _ in seen] == list(range(30))
    assert [width for _, width in seen] == [175] * 10 + [233] * 10 + [160] * 10


@settings(max_examples=50)
@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.fractions(min_value=Fraction(1, 70_000), max_value=70_000, max_denominator=70_000),
)
def test_no_shape_of_pixels_makes_an_absurd_picture(width: int, height: int, aspect: Fraction) -> None:
    shown = DisplayReader()._stretched(width, height, aspect)
    assert max(shown) <= MAX_SIDE
    assert shown[0] * shown[1] <= MAX_PIXELS
    if shown != (width, height):
        assert Fraction(1, 4) <= aspect <= 4
        assert shown[0] * height / (shown[1] * width) == pytest.approx(float(aspect), rel=1 / min(width, height))
        assert shown[0] == width or shown[1] == height, "nothing is scaled down"


@pytest.mark.parametrize("aspect", [(1, 5), (6, 1), (65_535, 1), (1, 4_000_000)])
def test_absurd_pixels_are_taken_to_be_square(
    tmp_path: Path, aspect: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip(tmp_path / "a.mp4", count=3, codec="ffv1", pixel_format="bgr0", pixel_aspect=Fraction(2))
    data = path.read_bytes()
    place = data.index(b"pasp") + 4
    path.write_bytes(data[:place] + b"".join(side.to_bytes(4, "big") for side in aspect) + data[place + 8 :])
    with caplog.at_level(logging.WARNING):
        frames = frames_of(path)
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2]
    assert (frames[0].width, frames[0].height) == (160, 120)
    assert len([record for record in caplog.records if "square" in record.message]) == 1


# ---- what the container crops


def element(name: int, value: bytes) -> bytes:
    """An EBML element with a size in 8 bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(value)).to_bytes(8, "big") + value


def elements(data: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(data):
        start = position + 9 - data[position].bit_length()
        content = start + 9 - data[start].bit_length()
        size = int.from_bytes(data[start:content], "big") & ((1 << 7 * (content - start)) - 1)
        found.append((int.from_bytes(data[position:start], "big"), data[content : content + size]))
        position = content + size
    return found


def with_crop(data: bytes, crop: bytes, path: tuple[int, ...] = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)) -> bytes:
    """The elements of Segment, Tracks, TrackEntry and Video with ``crop`` in the innermost; without their checksums."""
    if not path:
        return crop + data
    return b"".join(
        element(name, with_crop(content, crop, path[1:]) if name == path[0] else content)
        for name, content in elements(data)
        if name != 0xBF
    )


def crop_matroska(path: Path, *, left: int, top: int, right: int, bottom: int) -> Path:
    """State a crop in a Matroska file."""
    values = ((0x54CC, left), (0x54BB, top), (0x54DD, right), (0x54AA, bottom))
    path.write_bytes(with_crop(path.read_bytes(), b"".join(element(k, v.to_bytes(2, "big")) for k, v in values)))
    return path


def bordered(number: int) -> Image:
    """The number with borders: 32 px left, 8 above, 16 right, 24 below."""
    picture = np.zeros((120 + 32, 160 + 48, 3), np.uint8)
    picture[..., 2] = 255
    picture[8:128, 32:192] = draw_number(number)
    return picture


CROP = {"left": 32, "top": 8, "right": 16, "bottom": 24}


def cropped_clip(folder: Path, suffix: str, **how: Any) -> Path:
    path = write_clip(folder / "a.mkv", count=4, size=(208, 152), draw=bordered, **how)
    crop_matroska(path, **CROP)
    if suffix == ".mkv":
        return path
    copied = folder / f"a{suffix}"
    with av.open(str(path)) as matroska, av.open(str(copied), "w") as output:
        track = output.add_stream_from_template(matroska.streams.video[0])
        for packet in matroska.demux(video=0):
            if packet.size:
                packet.stream = track
                output.mux(packet)
    assert b"clap" in copied.read_bytes()
    return copied


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (".mkv", {}),
        (".mkv", {"codec": "ffv1", "pixel_format": "bgr0"}),
        (".mkv", {"pixel_format": "yuv444p10le"}),
        (".mp4", {}),
        (".mp4", {"codec": "mpeg4"}),
    ],
)
def test_what_the_container_crops_is_not_shown(tmp_path: Path, suffix: str, how: dict[str, Any]) -> None:
    frames = frames_of(cropped_clip(tmp_path, suffix, **how), reduce_to=80)
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [read_number(np.asarray(frame.reduced)) for frame in frames] == [0, 1, 2, 3]
    assert np.ptp(frames[0].image[4:-4, 4:-4].astype(int), axis=2).max() < 60, "no red border, the same colours"


@pytest.mark.parametrize("crop", [Crop(100, 0, 60, 0), Crop(0, 2**32, 0, 0)])
def test_a_crop_that_leaves_nothing_is_not_believed(crop: Crop) -> None:
    decoded = av.VideoFrame.from_ndarray(draw_number(5), format="bgr24")
    frame = PictureConverter(displays=DisplayReader("a", crop)).frame(decoded, 0, 0.0, 0.0, "a")
    assert read_number(frame.image) == 5


# ---- HDR and BT.2020

SDR = np.array(
    [[16, 16, 16], [64, 64, 64], [128, 128, 128], [200, 200, 200], [200, 120, 90], [210, 40, 30], [40, 180, 60],
     [40, 70, 200], [220, 200, 40]], np.float64,
) / 255  # fmt: skip
_FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def coded(sdr: Float64Array, curve: Curve) -> Float64Array:
    """SDR colours as an HDR master holds them (BT.2408: white at 203 cd/m2), RGB in [0, 1]."""
    light = (sdr**2.4) @ _FROM_BT709.T
    if curve == "sdr":
        return np.asarray(light ** (1 / 2.4))
    if curve == "pq":
        power = (light * 203 / 10_000) ** 0.1593017578125
        return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)
    display = light * 203 / 1000
    luminance = display @ np.array([0.2627, 0.6780, 0.0593])
    scene = display * (luminance ** (1 / 1.2 - 1))[..., None]
    low = np.sqrt(3 * scene)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, low, high))


def chart(curve: Curve, sdr: Float64Array = SDR) -> av.VideoFrame:
    """Patches of 32 x 32 px in a row, yuv420p10le, limited range, BT.2020."""
    red, green, blue = coded(sdr, curve).T
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = (luma * 876 + 64, (blue - luma) / 1.8814 * 896 + 512, (red - luma) / 1.4746 * 896 + 512)
    rows = [np.repeat(np.round(plane).astype(np.uint16)[None], 32, axis=0) for plane in planes]
    wide = [np.repeat(row, 32, axis=1) for row in rows]
    frame = av.VideoFrame.from_ndarray(
        np.concatenate([wide[0].ravel(), wide[1][::2, ::2].ravel(), wide[2][::2, ::2].ravel()]).reshape(
            -1, wide[0].shape[1]
        ),
        format="yuv420p10le",
    )
    frame.colorspace, frame.color_range, frame.color_primaries = 9, 1, 9
    frame.color_trc = {"pq": 16, "hlg": 18, "sdr": 14}[curve]
    return frame


def write_chart(path: Path, codec: str, curve: Curve, sdr: Float64Array = SDR) -> Path:
    frame = chart(curve, sdr)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        context = stream.codec_context
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        if codec == "libx265":
            context.options = {"preset": "ultrafast", "x265-params": "log-level=none:qp=4"}
        for k in range(3):
            frame.pts = k
            output.mux(list(stream.encode(frame)))
        output.mux(list(stream.encode(None)))
    return path


def patches(image: Image) -> NDArray[np.float64]:
    """Mean colours of the patches, RGB."""
    count, side = len(SDR), image.shape[1] / len(SDR)
    middle = image[image.shape[0] // 2 - 2 : image.shape[0] // 2 + 2]
    columns = [slice(round(side * (k + 0.4)), round(side * (k + 0.6)) + 1) for k in range(count)]
    return np.array([middle[:, part].reshape(-1, 3).mean(axis=0)[::-1] for part in columns])


@pytest.mark.parametrize("curve", ["pq", "hlg", "sdr"])
@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mp4", "libx265")])
def test_hdr_looks_like_its_sdr_master(tmp_path: Path, curve: Curve, name: str, codec: str) -> None:
    frames = frames_of(write_chart(tmp_path / name, codec, curve), reduce_to=144)
    for picture in (frames[0].image, frames[2].reduced):
        assert picture is not None
        assert patches(picture) == pytest.approx(SDR * 255, abs=8)
        assert np.abs(patches(picture) - SDR * 255).mean() < 3


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_white_is_white_and_what_is_brighter_still_differs(tmp_path: Path, curve: Curve) -> None:
    # Code values: white of a graphic, twice its light, five times.
    light = np.repeat(np.array([1, 1, 1, 2, 2, 2, 4.9, 4.9, 4.9]) ** (1 / 2.4), 3).reshape(-1, 3)
    frames = frames_of(write_chart(tmp_path / "a.mkv", "ffv1", curve, light))
    white, brighter, brightest = patches(frames[0].image)[[1, 4, 7]]
    assert white == pytest.approx([242] * 3, abs=2)
    assert (white + 3 < brighter).all()
    assert (brighter + 2 < brightest).all()


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.sampled_from(["pq", "hlg", "sdr"]))
def test_every_colour_has_a_place_and_more_light_never_looks_darker(colour: list[float], curve: Curve) -> None:
    values = np.array([colour, np.minimum(np.array(colour) + 0.02, 1.0)])
    shown = to_bt709(values, curve)
    assert np.isfinite(shown).all()
    assert ((shown >= 0) & (shown <= 1)).all()
    luma = (shown**2.4) @ np.array([0.2126, 0.7152, 0.0722])
    grey = to_bt709(np.array([[min(colour)] * 3, [max(colour)] * 3]), curve)
    assert luma[0] <= luma[1] + 0.02
    assert (grey[0] <= grey[1] + 1e-9).all()


# ---- transparency


def see_through() -> NDArray[np.uint8]:
    """RGBA: left to right clear over red, half clear green, opaque blue."""
    picture = np.zeros((48, 96, 4), np.uint8)
    picture[:, :32] = (255, 0, 0, 0)
    picture[:, 32:64] = (0, 200, 0, 128)
    picture[:, 64:] = (0, 0, 255, 255)
    return picture


def write_rgba(path: Path, codec: str, pixel_format: str, rgba: NDArray[np.uint8]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = rgba.shape[0], rgba.shape[1], pixel_format
        for k in range(2):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
            frame.pts = k
            output.mux(list(stream.encode(frame)))
        output.mux(list(stream.encode(None)))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mov", "png", "rgba"), ("a.mov", "qtrle", "argb"), ("a.mkv", "ffv1", "yuva444p"), ("a.mkv", "ffv1", "bgra")],
)
def test_what_is_transparent_is_laid_on_white_as_in_pictures(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    frame = frames_of(write_rgba(tmp_path / name, codec, pixel_format, see_through()), reduce_to=48)[1]
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), cv2.cvtColor(see_through(), cv2.COLOR_RGBA2BGRA))
    expected = read_image(still)
    assert expected[20, 10].tolist() == [255, 255, 255]
    assert np.abs(frame.image.astype(int) - expected)[4:-4, [10, 48, 80]].max() <= 4
    assert frame.reduced is not None
    assert frame.reduced.shape == (24, 48, 3)
    assert np.abs(frame.reduced.astype(int) - expected[::2, ::2])[4:-4, [5, 24, 40]].max() <= 4
    assert frame.reduced[12, :14].min() > 250, "no red at the edge of what is clear"


def test_the_unused_channel_of_an_uncompressed_avi_is_not_transparency(tmp_path: Path) -> None:
    rgba = np.dstack([draw_number(7), np.zeros((120, 160), np.uint8)])
    frames = frames_of(write_rgba(tmp_path / "a.avi", "rawvideo", "bgra", rgba))
    assert [read_number(frame.image) for frame in frames] == [7, 7]


# ---- EXIF and other side data


def exif_jpeg(picture: Image, orientation: int) -> bytes:
    entry = (0x0112).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    directory = (1).to_bytes(2, "little") + entry + orientation.to_bytes(4, "little") + bytes(4)
    block = b"Exif\0\0II*\0" + (8).to_bytes(4, "little") + directory
    data = bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    return data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_motion_jpeg_with_exif(tmp_path: Path, orientation: int) -> None:
    def exif(position: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        data = exif_jpeg(stored(draw_number(position), orientation), orientation)
        changed = cast("av.Packet[av.VideoStream]", av.Packet(data))
        changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
        changed.stream, changed.is_keyframe, changed.duration = packet.stream, True, packet.duration
        return changed

    size = (120, 160) if orientation > 4 else (160, 120)
    path = write_clip(
        tmp_path / "a.avi", count=3, size=size, codec="mjpeg", pixel_format="yuvj420p", on_packet=exif,
        draw=lambda number: draw_number(number, width=size[0], height=size[1]),
    )  # fmt: skip
    frames = frames_of(path)
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2]


def stored(upright: Image, orientation: int) -> Image:
    """The picture as a camera stores it that writes this orientation (Exif 2.32, tag 274)."""
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    return np.ascontiguousarray(turned)
