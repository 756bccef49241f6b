"""The clips the other tests stand on, read back by OpenCV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.clips import (
    Image,
    UnreadableNumberError,
    draw_number,
    read_number,
    read_time_ms,
    truncate,
    write_clip,
)


def read_all(path: Path) -> list[Image]:
    capture = cv2.VideoCapture(str(path))
    images: list[Image] = []
    while True:
        found, image = capture.read()
        if not found:
            capture.release()
            return images
        images.append(np.asarray(image, np.uint8))


@pytest.mark.parametrize("number", [0, 1, 12345, 65535])
@pytest.mark.parametrize("size", [(32, 32), (33, 61), (1280, 720)])
def test_a_drawn_number_reads_back(number: int, size: tuple[int, int]) -> None:
    image = draw_number(number, width=size[0], height=size[1], time_ms=4_000_000_000)
    assert image.shape == (size[1], size[0], 3)
    assert read_number(image) == number
    assert read_time_ms(image[:, :, 0]) == 4_000_000_000


def test_a_turned_mirrored_mixed_or_blank_picture_has_no_number() -> None:
    image = draw_number(12345)
    mixed = image.copy()
    mixed[60:] = draw_number(23456)[60:]
    wrong = [np.rot90(image, turns) for turns in (1, 2, 3)] + [image[:, ::-1], image[::-1], mixed, image * 0]
    for picture in wrong:
        with pytest.raises(UnreadableNumberError):
            read_number(picture)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain.mp4", {}),
        ("small.mp4", {"size": (32, 32), "options": {"crf": "35"}}),
        ("reordered.mp4", {"b_frames": 2}),
        ("turned90.mp4", {"rotation": 90, "size": (160, 96)}),
        ("turned180.mp4", {"rotation": 180}),
        ("turned270.mp4", {"rotation": 270, "size": (160, 96)}),
        ("sound.mp4", {"audio": True}),
        ("ntsc.mp4", {"fps": Fraction(30_000, 1001), "first_number": 7}),
        ("odd.mkv", {"codec": "ffv1", "size": (65, 47)}),
    ],
)
def test_opencv_reads_every_number_of_a_clip(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    images = read_all(write_clip(tmp_path / name, count=14, **settings))
    first = settings.get("first_number", 0)
    assert [read_number(image) for image in images] == list(range(first, first + 14))
    width, height = settings.get("size", (160, 120))
    assert {image.shape for image in images} == {(height, width, 3)}


def test_uneven_times_are_shown_in_the_pixels(tmp_path: Path) -> None:
    moments = [0.0, 0.1, 0.15, 0.5, 0.51, 1.2]
    images = read_all(write_clip(tmp_path / "uneven.mp4", pts_s=moments))
    assert [read_time_ms(image) for image in images] == [round(moment * 1000) for moment in moments]


def test_truncate_leaves_the_beginning(tmp_path: Path) -> None:
    path = truncate(write_clip(tmp_path / "cut.mkv", count=30), keep=0.5)
    numbers = [read_number(image) for image in read_all(path)]
    assert numbers == list(range(len(numbers)))
    assert 5 < len(numbers) < 25
