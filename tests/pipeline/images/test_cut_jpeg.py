"""JPEG files that end too early: nearly whole ones are read, others are named."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.images.reading import read_image
from pipeline.types import Image

HEIGHT, WIDTH = 240, 320
KINDS = {
    "baseline": [],
    "grey": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_QUALITY, 60],
    "444": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
}


def scene() -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(kind: str) -> bytes:
    image = scene()
    done, data = cv2.imencode(".jpg", image[..., 0] if kind == "grey" else image, KINDS[kind])
    assert done
    return data.tobytes()


FILES = {kind: encoded(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_end_marker_all_of_it_is_there(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = read_image(FILES[kind])
    assert not caplog.records
    for left in (0, 1):
        with caplog.at_level(logging.WARNING):
            image = read_image(FILES[kind][: left - 2], name="door.jpg")
        np.testing.assert_array_equal(image, whole)
    assert [record.getMessage().count("door.jpg: the JPEG file ends too early; 100%") for record in caplog.records] == [
        1,
        1,
    ]


@given(st.sampled_from(sorted(set(KINDS) - {"progressive"})), st.floats(0.3, 1))
def test_what_is_used_is_nearly_all_of_the_picture(kind: str, part: float) -> None:
    data = FILES[kind]
    whole = read_image(data)
    cut = data[: int(len(data) * part)]
    try:
        image = read_image(cut)
    except SourceError as error:
        assert part < 0.95, error
        assert "ends too early" in str(error) or "damaged" in str(error)
        return
    assert part > 0.8
    same = (image == whole).all(axis=2).mean()
    assert same > 0.88


def test_of_a_progressive_file_the_last_bit_may_be_missing() -> None:
    data = FILES["progressive"]
    whole = read_image(data).astype(int)
    scans = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
    image = read_image(data[: scans[-1] + 12])
    assert np.abs(image - whole).mean() < 4
    with pytest.raises(SourceError, match="damaged"):
        read_image(data[: scans[2]])


@pytest.mark.parametrize("left", [0.02, 0.5])
def test_what_is_not_there_is_no_picture(left: float) -> None:
    data = FILES["baseline"]
    with pytest.raises(SourceError, match=r"picture is there|damaged"):
        read_image(data[: int(len(data) * left)])


def test_the_case_that_was_reported(eval_dir: Path) -> None:
    cases = eval_dir.parent / "cases" / "files"
    if not cases.is_dir():
        pytest.skip(f"no such folder: {cases}")
    data = (cases / "17_no_end_marker.jpg").read_bytes()
    np.testing.assert_array_equal(read_image(data), read_image(data + b"\xff\xd9"))
