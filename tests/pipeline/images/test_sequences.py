"""Files that hold several pictures, of every kind that may, made by Pillow; and what only looks like it."""

from __future__ import annotations

import io
import logging
from typing import Any

import PIL.Image
import pytest

from pipeline.images.header import read_header
from pipeline.images.reading import read_image
from pipeline.images.sequences import holds_several

KINDS = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")


def saved(kind: str, pictures: int, **options: Any) -> bytes:
    images = [PIL.Image.effect_noise((40 + 8, 30), 60 + 20 * number).convert("RGB") for number in range(pictures)]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, save_all=pictures > 1, append_images=images[1:], **options)
    return buffer.getvalue()


def kind_of(data: bytes) -> str:
    header = read_header(data)
    assert header is not None
    return header.kind


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_file_of_several_pictures_is_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    for pictures, told in ((1, 0), (3, 1)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            image = read_image(saved(kind, pictures), name="it")
        assert image.shape == (30, 48, 3)
        assert len([record for record in caplog.records if "only the first is read" in record.getMessage()]) == told


@pytest.mark.parametrize("options", [{"big_tiff": True}, {"compression": "tiff_lzw"}], ids=str)
def test_pages_of_other_tiffs_are_found(options: dict[str, Any]) -> None:
    assert [holds_several(saved("TIFF", count, **options), "tiff") for count in (1, 2)] == [False, True]


def test_a_smaller_copy_is_no_page() -> None:
    buffer = io.BytesIO()
    image = PIL.Image.new("RGB", (64, 64))
    image.save(buffer, "TIFF", save_all=True, append_images=[image.resize((16, 16))], tiffinfo={254: 1})
    assert not holds_several(buffer.getvalue(), "tiff")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_ends_anywhere_is_no_trouble(kind: str) -> None:
    data = saved(kind, 2)
    name = kind_of(data)
    for end in range(16, len(data), max(1, len(data) // 200)):
        holds_several(data[:end], name)
