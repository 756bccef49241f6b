"""Pictures of every kind, with Pillow as the oracle, and what is no picture."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from PIL import ImageOps

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.images.header import read_header
from pipeline.images.reading import read_image
from pipeline.types import Image

KINDS = {"BMP": "bmp", "GIF": "gif", "JPEG": "jpeg", "JPEG2000": "jp2", "PNG": "png", "PPM": "pnm", "TIFF": "tiff"}
KINDS["WEBP"] = "webp"
ORIENTATION = 274


def scene(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """RGB: four quarters, no two alike, so that no turn of it is like another."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (250, 40, 40)
    image[height // 2 :, width // 2 :] = (40, 250, 40)
    image[: height // 2, width // 2 :] = (40, 40, 250)
    return image


def saved(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}), **options)
    return buffer.getvalue()


def on_white(image: PIL.Image.Image) -> NDArray[np.uint8]:
    """As BGR, by Pillow's own means."""
    layered = image.convert("RGBA")
    white = PIL.Image.new("RGBA", layered.size, "white")
    return np.asarray(PIL.Image.alpha_composite(white, layered).convert("RGB"))[..., ::-1]


def close(first: NDArray[np.uint8], second: NDArray[np.uint8], most: float = 1) -> bool:
    return first.shape == second.shape and float(np.abs(first.astype(int) - second).mean()) <= most


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_as_it_was_saved(kind: str, tmp_path: Path) -> None:
    data = saved(PIL.Image.fromarray(scene()), kind)
    header = read_header(data)
    assert header is not None
    assert (header.kind, header.width, header.height) == (KINDS[kind], 60, 40)
    (tmp_path / "picture").write_bytes(data)
    image = read_image(data)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert close(image, scene()[..., ::-1], most=8 if kind == "JPEG" else 1)
    for same in (tmp_path / "picture", str(tmp_path / "picture")):
        np.testing.assert_array_equal(read_image(same), image)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(kind: str, value: int) -> None:
    stored = PIL.Image.fromarray(scene())
    exif = stored.getexif()
    exif[ORIENTATION] = value
    data = saved(stored, kind, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))[..., ::-1]
    assert close(read_image(data), upright, most=8)
    assert close(read_image(PIL.Image.open(io.BytesIO(data))), upright, most=8)
    header = read_header(data)
    assert header is not None
    assert header.displayed_size == (upright.shape[1], upright.shape[0])


def test_orientation_of_what_is_transparent() -> None:
    stored = PIL.Image.fromarray(np.dstack([scene(), np.full((40, 60), 100, np.uint8)]))
    exif = stored.getexif()
    exif[ORIENTATION] = 6
    for kind in ("PNG", "WEBP"):
        image = read_image(saved(stored, kind, exif=exif))
        assert close(image, on_white(stored.transpose(PIL.Image.Transpose.ROTATE_270)))


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("1", ("PNG", "TIFF", "BMP", "GIF")),
        ("L", ("PNG", "TIFF", "JPEG", "BMP", "GIF", "PPM", "JPEG2000")),
        ("LA", ("PNG",)),
        ("P", ("PNG", "GIF", "TIFF", "BMP")),
        ("RGBA", ("PNG", "WEBP", "TIFF", "JPEG2000")),
        ("CMYK", ("JPEG",)),
    ],
)
def test_modes(mode: str, kinds: tuple[str, ...]) -> None:
    colors = np.dstack([scene(), np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)])
    made = PIL.Image.fromarray(colors).convert("RGBA" if mode in ("RGBA", "LA") else "RGB").convert(mode)
    assert close(read_image(made), on_white(made))
    for kind in kinds:
        assert close(read_image(saved(made, kind)), on_white(made), most=8 if kind == "JPEG" else 1), kind


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_colors_of_a_palette(kind: str) -> None:
    made = PIL.Image.fromarray(scene()).quantize(4)
    made.info["transparency"] = 0
    data = saved(made, kind)
    expected = on_white(PIL.Image.open(io.BytesIO(data)))
    assert (expected == 255).all(axis=2).any()
    assert close(read_image(data), expected)
    assert close(read_image(made), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(kind: str, tmp_path: Path) -> None:
    grey = np.linspace(0, 65_535, 2400).reshape(40, 60).astype(np.uint16)
    expected = np.rint(grey / 257).astype(np.uint8)[..., None].repeat(3, axis=2)
    made = PIL.Image.fromarray(grey)
    for picture in (grey, grey[..., None], made, saved(made, kind)):
        np.testing.assert_array_equal(read_image(picture), expected)
    color = np.dstack([grey, grey.T.reshape(40, 60), grey[::-1]])
    assert cv2.imwrite(str(tmp_path / f"deep.{kind.lower()}"), color)
    for source in (color, tmp_path / f"deep.{kind.lower()}"):
        np.testing.assert_array_equal(read_image(source), np.rint(color / 257).astype(np.uint8))


def test_arrays() -> None:
    image: Image = np.ascontiguousarray(scene()[..., ::-1])
    assert read_image(image) is image, "what is right already is not copied"
    grey = image[..., 0]
    np.testing.assert_array_equal(read_image(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(grey[..., None]), np.dstack([grey] * 3))
    opaque = np.dstack([image, np.full((40, 60), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(opaque), image)
    opaque[..., 3] = 0
    assert (read_image(opaque) == 255).all()
    tall = np.tile(np.dstack([image, image[..., 0]]), (20, 1, 1))
    assert close(read_image(tall), on_white(PIL.Image.fromarray(tall[..., [2, 1, 0, 3]])))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "picture: expected uint8 or uint16, got float32"),
        (np.zeros((4, 4), bool), "got bool"),
        (np.zeros((4, 4, 2), np.uint8), r"expected \(height, width\), .* got \(4, 4, 2\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got \(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
        (PIL.Image.new("F", (4, 4)), "got mode F"),
        (PIL.Image.new("I", (4, 4), 70_000), "got mode I"),
    ],
)
def test_arrays_that_are_no_pictures(picture: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_image(picture)


def test_other_things() -> None:
    with pytest.raises(TypeError, match="expected a path, bytes, a NumPy array or a Pillow image, got int"):
        read_image(7)  # type: ignore[arg-type]


def test_what_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"nothing\.jpg: no such file"):
        read_image(tmp_path / "nothing.jpg")
    with pytest.raises(SourceError, match="can't be read"):
        read_image(tmp_path)
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(SourceError, match=r"a\.jpg: is no image that can be decoded"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match="picture: is empty"):
        read_image(b"")
    whole = saved(PIL.Image.fromarray(scene(400, 600)), "PNG")
    with pytest.raises(SourceError, match="fifth: is damaged"):
        read_image(whole[:60], name="fifth")
    with pytest.raises(SourceError, match="Pillow can't decode it"):
        read_image(PIL.Image.open(io.BytesIO(whole[:60])))
    cv2.imwrite(str(tmp_path / "float.tiff"), np.ones((4, 4, 3), np.float32))
    with pytest.raises(SourceError, match="save it with 8 or 16 bits"):
        read_image(tmp_path / "float.tiff")


# Where each kind says how large it is, and how the numbers are written.
SIZES = {
    "BMP": (18, "<ii"),
    "GIF": (6, "<HH"),
    "PNG": (16, ">II"),
}


def bombs() -> dict[str, bytes]:
    """Small files that promise 60,000 x 60,000 pixels."""
    made = {kind: bytearray(saved(PIL.Image.fromarray(scene()), kind)) for kind in KINDS}
    for kind, (place, numbers) in SIZES.items():
        struct.pack_into(numbers, made[kind], place, 60_000, 60_000)
    frame = made["JPEG"].index(b"\xff\xc0")
    struct.pack_into(">HH", made["JPEG"], frame + 5, 60_000, 60_000)
    size = made["JPEG2000"].index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", made["JPEG2000"], size + 8, 60_000, 60_000)
    made["PPM"] = bytearray(b"P6\n# made by hand\n60000 60000\n255\n")
    made["PAM"] = bytearray(b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n")
    for tag in (256, 257):
        entry = made["TIFF"].index(struct.pack("<HH", tag, 4), 8) if struct.pack("<HH", tag, 4) in made["TIFF"] else -1
        entry = entry if entry >= 0 else made["TIFF"].index(struct.pack("<HH", tag, 3), 8)
        struct.pack_into("<HHII", made["TIFF"], entry, tag, 4, 1, 60_000)
    made["WEBP"] = bytearray(b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0\0\0\0" + b"\x5f\xea\0" * 2 + bytes(40))
    return {kind: bytes(data) for kind, data in made.items()}


@pytest.mark.parametrize("kind", [*KINDS, "PAM"])
def test_an_absurd_size_is_refused_before_decoding(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(SourceError, match="60000x60000 px is too large"):
        read_image(bombs()[kind])


def test_a_pillow_image_of_absurd_size_is_refused_before_it_is_loaded() -> None:
    lazy = PIL.Image.open(io.BytesIO(b"P5\n20000 4000\n255\n"))
    with pytest.raises(SourceError, match="20000x4000 px is too large"):
        read_image(lazy)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_end_in_a_picture_or_a_clear_error(kind: str) -> None:
    stored = PIL.Image.fromarray(scene())
    exif = stored.getexif()
    exif[ORIENTATION] = 6
    whole = saved(stored, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    chance = random.Random(kind)
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            image = read_image(bytes(data))
        except SourceError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
        else:
            assert image.dtype == np.uint8
            assert image.shape[2] == 3
            outcomes.add("read")
    assert outcomes == {"refused", "read"}
