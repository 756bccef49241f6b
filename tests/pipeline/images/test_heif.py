"""HEIC and AVIF, with Pillow and pillow-heif as encoders, and what is said without them."""

from __future__ import annotations

import io
import struct
import sys
from typing import Any

import numpy as np
import PIL.Image
import pytest
from PIL import ImageOps

from pipeline.errors import SourceError
from pipeline.images.header import read_header
from pipeline.images.reading import read_image
from tests.pipeline.images.test_reading import ORIENTATION, close, on_white, scene

pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif: pip install 'sightline[images]'")
KINDS = ("AVIF", "HEIF")


def saved(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
        options.setdefault("chroma", 444)
    image.save(buffer, kind, quality=100, **options)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def no_opener_is_left() -> Any:
    """pillow-heif's encoder registers itself with Pillow; what is tested must not need that."""
    yield
    for registry in (PIL.Image.OPEN, PIL.Image.SAVE, PIL.Image.SAVE_ALL, PIL.Image.MIME):
        registry.pop("HEIF", None)
    for ending in [ending for ending, kind in PIL.Image.EXTENSION.items() if kind == "HEIF"]:
        del PIL.Image.EXTENSION[ending]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_as_it_was_saved(kind: str) -> None:
    data = saved(PIL.Image.fromarray(scene()), kind)
    header = read_header(data)
    assert header is not None
    assert (header.kind, header.width, header.height) == ("heif", 60, 40)
    image = read_image(data)
    assert image.flags.c_contiguous
    assert close(image, scene()[..., ::-1], most=3)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_turned_upright(kind: str, value: int) -> None:
    stored = PIL.Image.fromarray(scene())
    exif = stored.getexif()
    exif[ORIENTATION] = value
    upright = np.asarray(ImageOps.exif_transpose(stored))[..., ::-1]
    # From either the encoder makes the container's own turns; EXIF's in a HEIF file counts for nothing.
    data = saved(stored, kind, **({"exif": exif} if kind == "AVIF" else {}))
    assert close(read_image(data), upright, most=6)
    header = read_header(data)
    assert header is not None
    assert header.displayed_size == (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_transparent_is_laid_on_white(kind: str) -> None:
    made = PIL.Image.fromarray(np.dstack([scene(), np.tile(np.array([0, 255], np.uint8).repeat(30), (40, 1))]))
    assert close(read_image(saved(made, kind)), on_white(made), most=3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_absurd_size_is_refused_before_decoding(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(saved(PIL.Image.fromarray(scene()), kind))
    monkeypatch.setattr("pipeline.images.reading.open_heif", lambda *_: pytest.fail("it was decoded"))
    struct.pack_into(">II", data, data.index(b"ispe") + 8, 60_000, 60_000)
    with pytest.raises(SourceError, match="60000x60000 px is too large"):
        read_image(bytes(data))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_end_in_a_picture_or_a_clear_error(kind: str) -> None:
    whole = saved(PIL.Image.fromarray(scene()), kind)
    chance = np.random.default_rng(1)
    refused = 0
    for number in range(120):
        data = bytearray(whole)
        for place in chance.integers(0, len(data), 3):
            data[place] = chance.integers(0, 256)
        part = bytes(data[: chance.integers(1, len(data))] if number % 2 else data)
        try:
            assert read_image(part, name="sixth").dtype == np.uint8
        except SourceError as error:
            assert str(error).startswith("sixth: ")
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert refused > 40


@pytest.mark.parametrize(
    ("kind", "missing"), [("HEIF", "pillow_heif"), ("AVIF", "PIL.features"), ("HEIF", "PIL.Image")]
)
def test_without_the_library_one_line_says_how_to_get_it(
    kind: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(PIL.Image.fromarray(scene()), kind)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SourceError, match=r"door: is (HEIC|AVIF), .*: pip install 'sightline\[images\]'$"):
        read_image(data, name="door")
