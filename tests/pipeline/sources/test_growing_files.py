"""Files that are still being written, and files that can't be read through a pipe."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.sources.being_written import is_being_written
from pipeline.sources.pipe import PipeSource
from pipeline.sources.video_file import VideoFile
from tests.support.clips import read_number, write_clip
from tests.support.waiting import PATIENCE_S

COUNT = 40
KINDS: dict[str, dict[str, Any]] = {
    "a.mkv": {"b_frames": 2},
    "a.ts": {"b_frames": 2},
    "a.avi": {"codec": "mpeg4"},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}},
    "index_first.mp4": {"container_options": {"movflags": "+faststart"}},
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_there_yet_is_not_lost(
    tmp_path: Path, name: str, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_clip(tmp_path / name, count=COUNT, **KINDS[name]).read_bytes()
    path = tmp_path / f"growing{Path(name).suffix}"
    for part in (0.45, 0.6, 0.73):
        with path.open("wb") as writer:  # a program that has it open, and has written so much
            writer.write(data[: round(part * len(data))])
            writer.flush()
            with caplog.at_level(logging.WARNING), VideoFile(path, threads=threads) as source:
                numbers = [read_number(frame.image) for frame in source]
                assert not source.failed
        # With B-frames the last picture may come before some that are shown before it.
        assert numbers[:-1] == list(range(len(numbers) - 1))
        assert 5 < len(numbers) < COUNT
    assert any("still being written" in message for message in caplog.messages)
    assert not any("damaged" in message or "cut off" in message for message in caplog.messages)
    # Nobody writes it any more: now it is cut off.
    with VideoFile(path, threads=threads) as source:
        assert [read_number(frame.image) for frame in source] == numbers
        assert source.failed


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "a.ts", count=COUNT, b_frames=2).read_bytes()
    path = tmp_path / "growing.ts"
    path.write_bytes(data[: len(data) // 2])
    with VideoFile(path, threads=1) as source:
        frames = iter(source)
        numbers = [read_number(next(frames).image)]
        with path.open("ab") as writer:
            writer.write(data[len(data) // 2 : round(0.8 * len(data))])
        numbers += [read_number(frame.image) for frame in frames]
        assert not source.failed
    # One may be missing where the file ended when it was opened.
    assert len(set(range(numbers[-1] + 1)) - set(numbers)) <= 1


def test_damage_amid_a_growing_file_is_still_counted(tmp_path: Path) -> None:
    taken: list[int] = []

    def garble(position: int, packet: Any) -> Any:
        if position == 12:
            changed = type(packet)(bytes(packet)[:30] + b"\x55" * (packet.size - 30))
            changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
            changed.stream, changed.is_keyframe, changed.duration = packet.stream, packet.is_keyframe, packet.duration
            taken.append(position)
            return changed
        return packet

    path = write_clip(tmp_path / "a.mkv", count=COUNT, keyframe_every=6, on_packet=garble)
    data = path.read_bytes()
    with path.open("wb") as writer:
        writer.write(data[: round(0.8 * len(data))])
        writer.flush()
        with VideoFile(path, threads=1) as source:
            for _ in source:
                pass
            assert source.failed["decode"] >= 1
    assert taken


def test_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert not is_being_written(path, 5)
    assert is_being_written(path, 4)
    with path.open("rb"):
        assert not is_being_written(path, 5)
    for mode in ("ab", "r+b"):
        with path.open(mode):
            assert is_being_written(path, 5)
    assert not is_being_written(tmp_path / "gone", 5)


def test_a_recording_without_its_index_yet_says_so(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "a.mp4", count=COUNT).read_bytes()
    path = tmp_path / "growing.mp4"
    with path.open("wb") as writer:
        writer.write(data[: len(data) // 2])
        writer.flush()
        with pytest.raises(SourceError, match="still being written"):
            VideoFile(path)
    with pytest.raises(SourceError, match="lacks its index"):
        VideoFile(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_file_with_its_index_at_the_end_says_why_it_does_not_go_through_a_pipe(tmp_path: Path, name: str) -> None:
    # More than FFmpeg keeps of what it has read.
    data = write_clip(tmp_path / name, count=COUNT * 5).read_bytes()
    assert len(data) > 65_536
    reading, writing = os.pipe()

    def write() -> None:
        # Its reader has soon seen enough.
        with contextlib.suppress(BrokenPipeError), open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceError, match=r"index at its end.*faststart"):
            PipeSource(reading, stream="pipe")
    finally:
        os.close(reading)
        writer.join(PATIENCE_S)
