"""Folders and patterns of images."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.sources.image_folder import ImageFolder
from pipeline.sources.opening import open_source
from tests.support.clips import draw_number, read_number


def _write(path: Path, number: int, **size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), draw_number(number, **size))


def test_names_sort_as_a_person_counts(tmp_path: Path) -> None:
    names = ["a1.png", "a2.jpg", "A10.png", "a010b.png", "b.png", "b 2.bmp", "b 11.webp"]
    for number, name in enumerate(names):
        _write(tmp_path / name, number)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    with ImageFolder(tmp_path) as source:
        frames = list(source)
        assert source.stream == tmp_path.name
        assert dict(source.failed) == {}
    order = [names[read_number(frame.image)] for frame in frames]
    assert order == ["a1.png", "a2.jpg", "A10.png", "a010b.png", "b 2.bmp", "b 11.webp", "b.png"]


def test_time_and_size(tmp_path: Path) -> None:
    _write(tmp_path / "1.png", 1, width=64, height=48)
    _write(tmp_path / "2.png", 2, width=99, height=77)
    with ImageFolder(tmp_path, fps=0.5) as source:
        frames = list(source)
        info = source.info
    assert [(frame.pts_s, frame.width, frame.height) for frame in frames] == [(0, 64, 48), (2.0, 99, 77)]
    assert (info.width, info.height, info.fps, info.frame_count, info.live) == (64, 48, Fraction(1, 2), 2, False)
    assert info.duration_s == 4.0


def test_patterns_reach_into_folders(tmp_path: Path) -> None:
    for number, name in enumerate(["day1/2.png", "day1/10.png", "day2/1.png"]):
        _write(tmp_path / name, number)
    _write(tmp_path / "other.jpg", 9)
    with open_source(str(tmp_path / "**" / "*.png")) as source:
        assert [read_number(frame.image) for frame in source] == [0, 1, 2]
    with open_source(str(tmp_path / "day?" / "1*.png")) as source:
        assert [read_number(frame.image) for frame in source] == [1, 2]


def test_one_image_is_a_stream_of_one_frame(tmp_path: Path) -> None:
    _write(tmp_path / "still life.png", 5)
    with open_source(str(tmp_path / "still life.png")) as source:
        assert source.stream == "still-life"
        assert [read_number(frame.image) for frame in source] == [5]


def test_a_folder_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    _write(tmp_path / "set [1]" / "1.png", 5)
    with open_source(str(tmp_path / "set [1]")) as source:
        assert [read_number(frame.image) for frame in source] == [5]


def _with_orientation(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    entry = (0x0112).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    directory = (1).to_bytes(2, "little") + entry + orientation.to_bytes(4, "little") + bytes(4)
    exif = b"Exif\0\0" + b"II*\0" + (8).to_bytes(4, "little") + directory
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (8, -1), (3, 2), (6, 1)])
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, turns: int) -> None:
    upright = draw_number(321, width=160, height=96)
    (tmp_path / "photo.jpg").write_bytes(_with_orientation(np.ascontiguousarray(np.rot90(upright, turns)), orientation))
    with ImageFolder(tmp_path) as source:
        assert (source.info.width, source.info.height) == (160, 96)
        assert [read_number(frame.image) for frame in source] == [321]


def test_gray_deep_and_transparent_images_become_bgr(tmp_path: Path) -> None:
    image = draw_number(7)
    cv2.imwrite(str(tmp_path / "1.png"), image[:, :, 0])
    cv2.imwrite(str(tmp_path / "2.png"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "3.png"), np.dstack([image, np.full_like(image[:, :, :1], 200)]))
    with ImageFolder(tmp_path) as source:
        assert [read_number(frame.image) for frame in source] == [7, 7, 7]


def test_a_broken_image_is_counted_and_named_and_keeps_its_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        _write(tmp_path / f"{number}.png", number)
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "3.png").write_text("no image at all")
    with caplog.at_level(logging.WARNING), ImageFolder(tmp_path, fps=2) as source:
        frames = [(read_number(frame.image), frame.index, frame.pts_s) for frame in source]
        assert dict(source.failed) == {"decode": 2}
    assert frames == [(1, 0, 0.5), (2, 1, 1.0), (4, 2, 2.0)]
    assert [
        words in record.message
        for words, record in zip(["0.png: is empty", "3.png: is no image"], caplog.records, strict=True)
    ] == [True, True]


def test_what_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no such file or folder"):
        ImageFolder(tmp_path / "nothing")
    with pytest.raises(SourceNotFoundError, match="no file matches"):
        open_source(str(tmp_path / "*.png"))
    with pytest.raises(SourceError, match="folder without images") as raised:
        open_source(str(tmp_path))
    assert not isinstance(raised.value, SourceNotFoundError)
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(SourceError, match="is no image that can be decoded"):
        open_source(str(tmp_path))
    with pytest.raises(ValueError, match="fps"):
        ImageFolder(tmp_path, fps=0)


def test_every_picture_of_a_folder_is_read_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is called; and nothing that is no file keeps anybody waiting."""
    _write(tmp_path / "00.png", 0)
    for number, name in enumerate(["01.jpg", "02", "03.dat", "04.txt"], 1):  # PNG under other names
        (tmp_path / name).write_bytes(cv2.imencode(".png", draw_number(number))[1].tobytes())
    for number, name in ((5, "05.jfif"), (6, "06.mpo"), (7, "07.dib")):
        (tmp_path / name).write_bytes(
            cv2.imencode(".bmp" if name.endswith("dib") else ".jpg", draw_number(number))[1].tobytes()
        )
    still = PIL.Image.fromarray(draw_number(8)[..., ::-1])
    still.save(tmp_path / "08.gif", save_all=True, append_images=[PIL.Image.new("RGB", still.size)])
    reasons = {
        "10.png": b"no picture",
        "11.jpg": (b"\0\0\0\x18ftypmp42" + bytes(99)),
        "12.jpg": b"",
        "13.svg": b"<svg/>",
        "14.dng": b"II*\0" + bytes(99),
        "15.png": cv2.imencode(".png", draw_number(3))[1].tobytes()[:90],
    }
    for name, data in reasons.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "16.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "17.jpg").symlink_to("nowhere")
    (tmp_path / "18.jpg").mkdir()
    (tmp_path / "notes.txt").write_text("P1 is no picture")
    (tmp_path / "clip.mp4").write_bytes(reasons["11.jpg"])
    with ImageFolder(tmp_path) as source:
        frames = list(source)
        assert dict(source.failed) == {"decode": 8}
    assert [read_number(frame.image) for frame in frames] == list(range(9))
    for number, reason in {
        10: "is no image that can be decoded",
        11: "is a video",
        12: "is empty",
        13: "is no image",
        14: "is a camera's raw data",
        15: "is damaged",
        16: "a pipe or a device",
        17: "a link to what is not there",
        18: "is a folder",
    }.items():
        assert [reason in record.getMessage() for record in caplog.records if f"{number}." in record.getMessage()] == [
            True
        ], number


def test_names_that_are_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "1.png").write_bytes(cv2.imencode(".png", draw_number(1))[1].tobytes())  # imwrite crashes on such a path
    (folder / os.fsdecode(b"2\xff\n.png")).write_bytes(b"no")
    with ImageFolder(folder) as source:
        assert len(list(source)) == 1
        assert source.stream == "caf"
    (record,) = caplog.records
    assert record.getMessage().count("2\\xff\\n.png: is no image") == 1
    record.getMessage().encode()


def test_a_name_that_is_too_long_is_one_line() -> None:
    for name in ("a" * 300, "a" * 300 + ".jpg", "a/" * 3000):
        with pytest.raises(SourceError) as raised:
            open_source(name)
        assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(SourceNotFoundError, match="no file matches"):
        open_source("a" * 300 + "*")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: run the tests as another user")
def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    _write(tmp_path / "shut" / "1.png", 1)
    (tmp_path / "shut").chmod(0)
    for path in (tmp_path / "shut", tmp_path / "shut" / "1.png"):
        with pytest.raises(SourceError, match="permission"):
            open_source(str(path))
    (tmp_path / "shut").chmod(0o700)
