"""Video through pipes, read in this process and from the standard input of another one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, SourceError, SourceNotFoundError
from pipeline.sources.opening import open_source
from pipeline.sources.pipe import PipeSource, RawVideo
from tests.support.clips import draw_number, read_number, write_clip
from tests.support.waiting import PATIENCE_S

COUNT = 20
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


@contextlib.contextmanager
def piped(data: bytes, *, stays_open: bool = False) -> Iterator[int]:
    """The reading end of a pipe that ``data`` is written into."""
    reading, writing = os.pipe()
    release = threading.Event()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as stream:
            stream.write(data)
            if stays_open:
                release.wait()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        release.set()
        os.close(reading)
        writer.join()


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "clip.mp4", "clip.avi", "clip.flv"])
def test_containers_that_need_no_way_back(tmp_path: Path, name: str) -> None:
    options = FRAGMENTED if name.endswith("mp4") else None
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    clip = write_clip(tmp_path / name, count=COUNT, codec=codec, container_options=options)
    with piped(clip.read_bytes()) as descriptor, PipeSource(descriptor) as source:
        frames = list(source)
        assert dict(source.failed) == {}
        assert not source.info.live
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in range(COUNT)], abs=0.002)


def test_standard_input_of_a_program(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", count=COUNT)
    program = (
        "from pipeline.sources.opening import open_source\n"
        "from tests.support.clips import read_number\n"
        "with open_source('-') as source:\n"
        "    print(source.stream, *(read_number(frame.image) for frame in source))\n"
    )
    with clip.open("rb") as stream:
        done = subprocess.run([sys.executable, "-c", program], stdin=stream, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["stdin", *map(str, range(COUNT))]
    assert done.stderr == ""


def test_a_named_pipe(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", count=COUNT).read_bytes()
    path = tmp_path / "front door"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(clip,))
    writer.start()
    with open_source(str(path)) as source:
        assert source.stream == "front-door"
        assert [read_number(frame.image) for frame in source] == list(range(COUNT))
    writer.join(PATIENCE_S)


def test_a_writer_that_goes_silent(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", count=COUNT).read_bytes()
    with piped(clip, stays_open=True) as descriptor, PipeSource(descriptor, read_timeout_s=0.3) as source:
        numbers: list[int] = []
        with pytest.raises(SourceError, match=r"nothing came through the pipe for 0\.3 s"):
            numbers.extend(read_number(frame.image) for frame in source)
    with (
        piped(b"", stays_open=True) as descriptor,
        pytest.raises(SourceError, match="nothing came through the pipe"),
    ):
        PipeSource(descriptor, read_timeout_s=0.1)


def test_a_writer_that_stops_midway_leaves_what_came(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", count=COUNT).read_bytes()
    with piped(clip[: len(clip) // 2]) as descriptor, PipeSource(descriptor) as source:
        numbers = [read_number(frame.image) for frame in source]
    assert numbers == list(range(len(numbers)))
    assert 3 < len(numbers) < COUNT


def test_what_can_not_be_read(tmp_path: Path) -> None:
    with piped(b"") as descriptor, pytest.raises(SourceError, match="nothing came through the pipe"):
        PipeSource(descriptor)
    with piped(b"text\n" * 1000) as descriptor, pytest.raises(SourceError, match="MPEG-TS"):
        PipeSource(descriptor)
    with pytest.raises(SourceNotFoundError, match="no such pipe"):
        PipeSource(tmp_path / "nothing")
    terminal, other = os.openpty()
    try:
        with pytest.raises(SourceError, match="is a terminal"):
            PipeSource(terminal)
    finally:
        os.close(terminal)
        os.close(other)


def test_raw_pictures_come_through_as_they_were_written() -> None:
    pictures = [draw_number(number, width=160, height=120) for number in range(COUNT)]
    data = b"".join(picture.tobytes() for picture in pictures)
    with piped(data) as descriptor, PipeSource(descriptor, raw=RawVideo(160, 120, fps=20)) as source:
        frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    assert [frame.pts_s for frame in frames] == pytest.approx([number / 20 for number in range(COUNT)])
    assert (source.info.width, source.info.height, source.info.fps) == (160, 120, Fraction(20))
    assert all((frame.image == picture).all() for frame, picture in zip(frames, pictures, strict=True))


def test_raw_pictures_need_a_description_that_can_be() -> None:
    with pytest.raises(ConfigError, match="unknown pixel format 'bgr42'"):
        RawVideo(160, 120, 20, "bgr42")
    with pytest.raises(ConfigError, match="0x120"):
        RawVideo(0, 120, 20)
    with pytest.raises(ConfigError, match="width, height and fps"):
        open_source("-", pixel_format="bgr24", width=160)
