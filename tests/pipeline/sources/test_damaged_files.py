"""Files that were cut off or damaged: what is whole comes out, what is not is counted, and nothing raises."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.sources.video_file import VideoFile
from pipeline.types import Image
from tests.support.clips import UnreadableNumberError, read_number, truncate, write_clip

COUNT = 30
GARBLED = -1


def number(image: Image) -> int:
    """The number, or ``GARBLED`` where a decoder made up a picture from what it had."""
    try:
        return read_number(image)
    except UnreadableNumberError:
        return GARBLED


def read(path: Path, threads: int) -> tuple[list[int], int]:
    """The numbers shown and the frames counted as failed."""
    with VideoFile(path, threads=threads) as source:
        shown, times = [], []
        for frame in source:
            shown.append(number(frame.image))
            times.append(frame.pts_s)
        assert times == sorted(set(times))
        assert set(source.failed) <= {"decode"}
        return shown, source.failed.get("decode", 0)


def damage(path: Path, packets: Iterable[int]) -> None:
    """Overwrite those packets (in decoding order) with noise, all but their first bytes."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    for position in packets:
        start, size = places[position]
        assert start is not None
        data[start + 20 : start + size] = noise.bytes(size - 20)
    path.write_bytes(data)


FASTSTART = {"container_options": {"movflags": "+faststart"}}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("index_first.mp4", FASTSTART),
        ("reordered.mp4", {**FASTSTART, "b_frames": 2}),
        ("fragmented.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}),
        ("reordered.mkv", {"b_frames": 2}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("transport.ts", {}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
        ("motion.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ],
)
def test_a_file_that_was_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, settings: dict[str, Any], threads: int
) -> None:
    path = truncate(write_clip(tmp_path / name, count=COUNT, **settings), keep=0.7)
    with caplog.at_level(logging.WARNING):
        shown, failed = read(path, threads)
    assert 12 < len(shown) < COUNT
    # With B-frames the last pictures may miss some before them; all else is there, in order, and nothing is made up.
    assert shown[:-1] == list(range(len(shown) - 1))
    assert shown[-1] in range(len(shown) - 1, len(shown) + 3)
    assert 1 <= failed <= COUNT - len(shown)
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_every_frame_that_the_index_promises_is_accounted_for(tmp_path: Path) -> None:
    path = truncate(write_clip(tmp_path / "cut.mp4", count=COUNT, b_frames=2, **FASTSTART), keep=0.7)  # type: ignore[arg-type]
    shown, failed = read(path, threads=0)
    assert len(shown) + failed == COUNT


KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "reordered.mp4": {"b_frames": 2},
    "reordered.mkv": {"b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4"},
    "motion.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", list(KINDS))
def test_a_damaged_packet_midway_is_counted_and_reading_goes_on(tmp_path: Path, name: str, threads: int) -> None:
    path = write_clip(tmp_path / name, count=COUNT, **KINDS[name])
    damage(path, [10])
    shown, failed = read(path, threads)
    assert failed >= 1
    assert len(shown) + failed == COUNT
    assert shown[:10] == list(range(10))
    # From the next keyframe on all is well.
    assert shown[-18:] == list(range(12, COUNT))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", list(KINDS))
def test_damage_at_the_end_costs_no_frame_before_it(tmp_path: Path, name: str, threads: int) -> None:
    path = write_clip(tmp_path / name, count=COUNT, **KINDS[name])
    damage(path, [COUNT - 2, COUNT - 1])
    shown, failed = read(path, threads)
    assert shown == list(range(COUNT - 2))
    assert failed == 2


@pytest.mark.parametrize("threads", [1, 4])
def test_damage_at_the_beginning(tmp_path: Path, threads: int) -> None:
    path = write_clip(tmp_path / "headless.mp4", count=COUNT, b_frames=2)
    damage(path, [0])
    with VideoFile(path, threads=threads) as source:
        frames = list(source)
        assert [read_number(frame.image) for frame in frames] == list(range(12, COUNT))
        assert source.failed["decode"] == 12
    # The stream starts with the frames that were lost, as its sound does.
    assert frames[0].pts_s == pytest.approx(12 / 25)
    assert frames[0].index == 0


def test_noise_anywhere_never_raises_behind_the_first_frame(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    clips = [
        write_clip(tmp_path / name, count=COUNT, b_frames=2, keyframe_every=6) for name in ("a.mp4", "a.mkv", "a.ts")
    ]
    for clip in clips:
        whole = clip.read_bytes()
        for _ in range(4):
            data = np.frombuffer(whole, np.uint8).copy()
            hits = noise.integers(len(data) // 5, len(data) * 4 // 5, 20)
            data[hits] = noise.integers(0, 256, 20)
            clip.write_bytes(data.tobytes())
            shown, failed = read(clip, threads=2)
            assert len(shown) + failed <= COUNT + 5
            assert len(shown) >= 6


def test_packets_left_out_are_a_gap_and_no_failure(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "gap.mkv",
        codec="mjpeg",
        pixel_format="yuvj420p",
        count=COUNT,
        on_packet=lambda position, packet: None if 10 <= position < 20 else packet,
    )
    with VideoFile(path) as source:
        frames = list(source)
        assert [read_number(frame.image) for frame in frames] == [*range(10), *range(20, COUNT)]
        assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in [*range(10), *range(20, COUNT)]])
        assert sum(source.failed.values()) == 0


def test_empty_packets_do_not_end_the_stream(tmp_path: Path) -> None:
    """AVI writes a packet of zero bytes for "the last picture again"."""

    def emptied(position: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream] | None:
        if position not in (5, 6):
            return packet
        return None

    path = write_clip(tmp_path / "dropped.avi", codec="mjpeg", pixel_format="yuvj420p", count=COUNT, on_packet=emptied)
    shown, failed = read(path, threads=0)
    assert shown == [*range(5), *range(7, COUNT)]
    assert failed == 0
