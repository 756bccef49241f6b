"""Transport streams that change codec, PID, size or colours midway, in files of every layout and through pipes."""

from __future__ import annotations

import io
import os
import threading
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.decoding.transport import TransportPart
from pipeline.sources.pipe import PipeSource
from pipeline.sources.video_file import VideoFile
from tests.support.clips import read_number, write_clip

COUNT = 10
H264: dict[str, Any] = {"codec": "libx264", "b_frames": 2}
HEVC: dict[str, Any] = {"codec": "libx265"}
MPEG2: dict[str, Any] = {"codec": "mpeg2video"}
LARGE: dict[str, Any] = {"codec": "libx264", "size": (192, 160)}
DEEP: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv422p10le"}


def joined(folder: Path, *parts: dict[str, Any], pids: tuple[int, ...] = (256, 256, 256)) -> bytes:
    """Recordings one after the other, each numbered on from the one before."""
    data = []
    for k, (part, pid) in enumerate(zip(parts, pids, strict=False)):
        path = write_clip(
            folder / f"{k}.ts", count=COUNT, first_number=COUNT * k, audio=k > 0,
            container_options={"mpegts_start_pid": str(pid)}, **part,
        )  # fmt: skip
        data.append(path.read_bytes())
    return b"".join(data)


def read(source: VideoFile | PipeSource) -> list[int]:
    with source:
        frames = list(source)
        assert not source.failed
    assert all(0 < later.pts_s - earlier.pts_s < 0.2 for earlier, later in pairwise(frames))
    return [read_number(frame.image) for frame in frames]


@pytest.mark.parametrize(
    ("parts", "pids"),
    [
        ((MPEG2, H264), (256, 256)),
        ((H264, MPEG2), (256, 256)),
        ((H264, HEVC, MPEG2), (256, 256, 256)),
        ((MPEG2, H264), (256, 512)),
        ((H264, H264), (256, 512)),
        ((H264, LARGE, DEEP), (256, 256, 256)),
    ],
)
def test_no_picture_is_lost_where_the_stream_changes(
    tmp_path: Path, parts: tuple[dict[str, Any], ...], pids: tuple[int, ...]
) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(joined(tmp_path, *parts, pids=pids))
    assert read(VideoFile(path)) == list(range(COUNT * len(parts)))


@pytest.mark.parametrize("suffix", ["m2ts", "204", "damaged"])
def test_other_layouts_and_garbage_before_the_change(tmp_path: Path, suffix: str) -> None:
    data = joined(tmp_path, MPEG2, H264)
    packets = [data[k : k + 188] for k in range(0, len(data), 188)]
    path = tmp_path / f"joined.{suffix}"
    if suffix == "m2ts":
        path.write_bytes(b"".join(bytes(4) + packet for packet in packets))
    elif suffix == "204":
        path.write_bytes(b"".join(packet + bytes(16) for packet in packets))
    else:
        # Behind the first table of the programme and its first packets; what lies there belongs to no packet.
        path.write_bytes(b"".join([*packets[:4], b"\x11" * 77, *packets[4:9], b"\x11" * 111, *packets[9:]]))
    assert read(VideoFile(path)) == list(range(COUNT * 2))


@pytest.mark.parametrize("parts", [(H264, MPEG2), (MPEG2, HEVC, H264)])
def test_through_a_pipe(tmp_path: Path, parts: tuple[dict[str, Any], ...]) -> None:
    data = joined(tmp_path, *parts)
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read(PipeSource(reading, stream="pipe")) == list(range(COUNT * len(parts)))
    finally:
        writer.join(10)
        os.close(reading)


def test_what_does_not_change_is_one_part(tmp_path: Path) -> None:
    data = joined(tmp_path, H264, H264)
    part = TransportPart(io.BytesIO(data))
    assert b"".join(iter(lambda: part.read(4096), b"")) == data
    assert part.following() is None


def test_of_several_programmes_none_is_cut(tmp_path: Path) -> None:
    data = joined(tmp_path, H264, MPEG2)
    # A second entry in each association table: programme 2 with its table in PID 0x1FF0. Checksums are not looked at.
    several = bytearray(data)
    for k in range(0, len(data), 188):
        if data[k + 1] & 0x1F == 0 and data[k + 2] == 0:
            length = data[k + 7]
            several[k + 7] = length + 4
            several[k + 5 + 3 + length - 4 : k + 5 + 3 + length] = b"\0\2\xff\xf0"
    part = TransportPart(io.BytesIO(bytes(several)))
    assert b"".join(iter(lambda: part.read(65_536), b"")) == several


@cache
def changing() -> tuple[bytes, int]:
    """A stream that changes, and where: at the second recording's first programme table."""
    with TemporaryDirectory() as folder:
        data = joined(Path(folder), MPEG2, H264)
        first = (Path(folder) / "0.ts").stat().st_size
    return data, next(k for k in range(first, len(data), 188) if data[k : k + 3] == b"\x47\x50\x00")


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(7, 5000), min_size=1, max_size=8), st.integers(0, 300), st.integers(0, 3))
def test_the_place_is_found_however_the_bytes_come(sizes: list[int], junk: int, loss: int) -> None:
    whole, change = changing()
    # Bytes before the first packet, and some that are missing somewhere.
    data = bytes(junk) + whole[: 188 * 7] + whole[188 * 7 + loss :]
    change += junk - loss
    part = TransportPart(io.BytesIO(data))
    turn, first = 0, bytearray()
    while piece := part.read(sizes[turn % len(sizes)]):
        turn += 1
        first += piece
    # What was handed out before the table was complete can't be called back.
    assert change <= len(first) < change + 188
    assert first == data[: len(first)]
    following = part.following()
    assert following is not None
    rest = b"".join(iter(lambda: following.read(3000), b""))
    assert following.following() is None
    # The second begins with the newest association table again, then goes on exactly where the change is.
    if rest[188:] != data[change:]:  # not compared by assert, which would take minutes to show them
        pytest.fail("the second part does not begin where the stream changes")
    assert rest[1:3] == b"\x40\x00"
