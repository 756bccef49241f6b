"""Frames whose picture is made late, and the reduced picture beside it."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from pipeline.images.letterbox import Letterbox
from pipeline.sources.decoding.conversion import PictureConverter
from pipeline.sources.opening import open_source
from pipeline.types import Frame, Image
from tests.support.clips import read_number, write_clip
from tests.support.waiting import PATIENCE_S

IMAGE: Image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_a_picture_is_made_once_and_only_when_asked_for() -> None:
    made: list[int] = []

    def make() -> Image:
        made.append(1)
        return IMAGE

    frame = Frame(make, 3, 0.12, 5.0, "door", size=(2, 4), reduced=make)
    assert (frame.height, frame.width) == (2, 4)
    assert not made
    for count, name in enumerate(("image", "reduced"), start=1):
        assert getattr(frame, name) is IMAGE
        assert getattr(frame, name) is IMAGE
        assert len(made) == count


def test_a_frame_at_another_place_still_makes_its_picture_late() -> None:
    def never() -> Image:
        raise AssertionError("nobody asked for the picture")

    frame = Frame(never, 3, 0.12, 5.0, "door", size=(2, 4), reduced=never)
    moved = frame.placed(index=7, stream="gate")
    assert (moved.index, moved.pts_s, moved.captured_s, moved.stream) == (7, 0.12, 5.0, "gate")
    with pytest.raises(AssertionError, match="nobody asked"):
        _ = moved.reduced
    assert (moved.height, moved.width) == (2, 4)


def test_it_pickles_with_its_pictures() -> None:
    frame = pickle.loads(pickle.dumps(Frame(lambda: IMAGE, 3, 0.12, 5.0, "door", size=(2, 4), reduced=IMAGE[:1, :2])))  # noqa: S301
    assert (frame.image == IMAGE).all()
    assert (frame.reduced == IMAGE[:1, :2]).all()
    assert (frame.index, frame.pts_s, frame.captured_s, frame.stream, frame.height) == (3, 0.12, 5.0, "door", 2)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Frame.image: expected uint8 \(height, width, 3\), got float64 \(2, 4, 3\)"):
        Frame(IMAGE.astype(np.float64), 0, 0.0, 0.0, "door")
    with pytest.raises(ValueError, match=r"Frame.reduced: expected uint8"):
        Frame(IMAGE, 0, 0.0, 0.0, "door", reduced=IMAGE[0])
    with pytest.raises(ValueError, match=r"Frame.size: expected \(height, width\)"):
        Frame(lambda: IMAGE, 0, 0.0, 0.0, "door")
    late = Frame(lambda: IMAGE[0], 0, 0.0, 0.0, "door", size=(2, 4))
    with pytest.raises(ValueError, match=r"Frame.image: expected uint8"):
        _ = late.image
    late = Frame(IMAGE, 0, 0.0, 0.0, "door", reduced=lambda: IMAGE[0])
    with pytest.raises(ValueError, match=r"Frame.reduced: expected uint8"):
        _ = late.reduced


@pytest.mark.parametrize("clip", ["traffic-mini.mp4", "vtest.avi"])
def test_the_reduced_picture_is_the_whole_one_scaled(clip: str, eval_dir: Path) -> None:
    path = str(eval_dir / "videos" / clip)
    with open_source(path) as plain, open_source(path, reduce_to=416) as reducing:
        for _, whole, frame in zip(range(5), plain, reducing, strict=False):
            assert frame.reduced is not None
            place = Letterbox.fit(whole.height, whole.width, 416, 416)
            assert frame.reduced.shape == (place.scaled_height, place.scaled_width, 3)
            assert (frame.height, frame.width) == (whole.height, whole.width)
            assert (frame.image == whole.image).all(), "the whole picture is the same, made late or not"
            by_opencv = cv2.resize(whole.image, frame.reduced.shape[1::-1], interpolation=cv2.INTER_AREA)
            difference = np.abs(frame.reduced.astype(int) - by_opencv)
            assert difference.mean() < 2.5, "two ways to scale and to convert colours"
            assert np.abs((frame.reduced.astype(float) - by_opencv).mean(axis=(0, 1))).max() < 1, "no tint, no shift"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_the_reduced_picture_is_upright(rotation: int, pixel_format: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=3, size=(160, 96), rotation=rotation, pixel_format=pixel_format)
    with open_source(str(path), reduce_to=80) as source:
        for number, frame in enumerate(source):
            assert (frame.height, frame.width) == (96, 160)
            assert frame.reduced is not None
            assert frame.reduced.shape == (48, 80, 3)
            assert read_number(frame.reduced) == read_number(frame.image) == number


@pytest.mark.parametrize("rotation", [0, 90])
def test_pictures_are_made_after_the_source_is_closed_by_whoever_asks(rotation: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=30, size=(160, 96), rotation=rotation)
    with open_source(str(path), reduce_to=80) as source:
        frames = list(source)
    del source
    together = threading.Barrier(4)

    def read(_: int) -> list[tuple[int, int]]:
        together.wait(PATIENCE_S)
        return [(read_number(frame.image), read_number(np.asarray(frame.reduced))) for frame in frames]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, range(4))) == [[(number, number) for number in range(30)]] * 4
    assert not any(callable(frame._image) for frame in frames), "the decoder's picture is let go"


def test_only_the_first_frame_of_its_kind_is_scaled_before_anybody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4", count=10)
    scaled: list[int] = []
    reduce = PictureConverter._reduce

    def counting(*arguments: Any) -> Image:
        scaled.append(1)
        return reduce(*arguments)

    monkeypatch.setattr(PictureConverter, "_reduce", counting)
    with open_source(str(path), reduce_to=80) as source:
        frames = list(source)
    assert len(scaled) == 1
    assert [read_number(np.asarray(frame.reduced)) for frame in frames] == list(range(10))
    assert len(scaled) == 10


@pytest.mark.parametrize("colorspace", [1, 5])  # BT.709 and BT.601
@pytest.mark.parametrize("color_range", [1, 2])  # limited and full
def test_the_reduced_picture_has_the_colours_of_the_whole_one(colorspace: int, color_range: int) -> None:
    yuv = np.empty((96, 64), np.uint8)
    yuv[:64], yuv[64:80], yuv[80:] = 120, 90, 200  # a strong red
    decoded = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
    decoded.colorspace, decoded.color_range = colorspace, color_range
    frame = PictureConverter(32).frame(decoded, 0, 0.0, 0.0, "door")
    assert frame.reduced is not None
    whole, reduced = frame.image.reshape(-1, 3).mean(axis=0), frame.reduced.reshape(-1, 3).mean(axis=0)
    assert whole[2] > 180 > 100 > whole[0], "it is red"
    assert reduced == pytest.approx(whole, abs=1.5)


def test_a_small_picture_is_enlarged_to_the_size_asked_for(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=1, size=(64, 48))
    with open_source(str(path), reduce_to=128) as source:
        frame = next(iter(source))
    assert frame.reduced is not None
    assert frame.reduced.shape == (96, 128, 3)
    assert read_number(frame.reduced) == 0
