"""MPEG-4 pictures that say only that nothing changed: they are frames like others, though decoders give none."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.decoding.packets import is_not_coded
from pipeline.sources.video_file import VideoFile
from tests.support.clips import VideoPacket, draw_number, read_number, write_clip

COUNT = 30


def vop(kind: int, seconds: int, increment: int, width: int, padding: int = 0) -> bytes:
    """A VOP that is not coded: ``width`` bits of ``increment`` say when within the second it is shown."""
    bits = f"{kind:02b}" + "1" * seconds + "01" + f"{increment:0{width}b}" + "10" + "0"
    bits += "1" * (-len(bits) % 8)
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\x7f" * padding


def not_coded(coded: bytes) -> bytes:
    """The VOP of a clip at 25 fps (5 bits of time) with its time, but not coded."""
    bits = f"{int.from_bytes(coded[4:12], 'big'):064b}"
    kind, seconds, increment = re.match(r"(..)(1*)01(.{5})", bits).groups()  # type: ignore[union-attr]
    return vop(int(kind, 2), len(seconds), int(increment, 2), 5)


def replaced(packet: VideoPacket, data: bytes) -> VideoPacket:
    changed = cast("VideoPacket", av.Packet(data))
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    changed.stream, changed.is_keyframe, changed.duration = packet.stream, packet.is_keyframe, packet.duration
    return changed


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
@pytest.mark.parametrize(
    ("b_frames", "same"),
    [(0, (4, 9, 14)), (0, (5, 6, 7, 29)), (2, (4, 11, 23)), (2, (5, 8)), (0, tuple(range(13, 24)))],
)
def test_a_picture_that_stays_is_a_frame(
    tmp_path: Path, name: str, b_frames: int, same: tuple[int, ...], threads: int
) -> None:
    shown = [max(k for k in range(number + 1) if k not in same) for number in range(COUNT)]

    def leave_out(_: int, packet: VideoPacket) -> VideoPacket:
        return replaced(packet, not_coded(bytes(packet))) if packet.pts in same else packet

    path = write_clip(
        tmp_path / name, count=COUNT, codec="mpeg4", b_frames=b_frames, on_packet=leave_out,
        draw=lambda number: draw_number(shown[number]),
    )  # fmt: skip
    with VideoFile(path, threads=threads) as source:
        frames = list(source)
        assert not source.failed
    assert [read_number(frame.image) for frame in frames] == shown
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in range(COUNT)], abs=0.002)


def test_what_fills_the_place_of_a_packed_picture_is_no_frame_of_its_own(tmp_path: Path) -> None:
    coded: list[bytes] = []

    def collect(_: int, packet: VideoPacket) -> VideoPacket:
        coded.append(bytes(packet))
        return packet

    plain = write_clip(
        tmp_path / "plain.avi", count=21, codec="mpeg4", b_frames=1, keyframe_every=60, on_packet=collect
    )
    # I0 | P2 B1 | N | P4 B3 | N ...: each second packet holds two pictures, the next one none.
    head, start, rest = coded[0].partition(b"\0\0\1\xb6")
    packed = [head + b"\0\0\1\xb2DivX503b1393p" + start + rest]
    packed += [coded[number] + coded[number + 1] for number in range(1, 21, 2)]
    path = tmp_path / "packed.avi"
    with av.open(str(plain)) as template, av.open(str(path), "w") as output:
        track = output.add_stream_from_template(template.streams.video[0])
        for number in range(21):
            data = packed[(number + 1) // 2] if number == 0 or number % 2 else vop(1, 0, number % 25, 5)
            packet = cast("VideoPacket", av.Packet(data))
            packet.stream, packet.pts, packet.dts, packet.time_base = track, number, number, Fraction(1, 25)
            packet.is_keyframe = number == 0
            output.mux(packet)
    with VideoFile(path, threads=1) as source:
        assert [read_number(frame.image) for frame in source] == list(range(21))
        assert not source.failed


@settings(max_examples=60)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 16), st.integers(0, 3), st.data())
def test_every_such_picture_is_known_by_its_bits(
    kind: int, seconds: int, width: int, padding: int, data: st.DataObject
) -> None:
    increment = data.draw(st.integers(0, 2**width - 1))
    packet = cast("VideoPacket", av.Packet(vop(kind, seconds, increment, width, padding)))
    assert is_not_coded(packet)


def test_a_picture_that_is_coded_is_not_taken_for_one(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "still.mkv", count=20, codec="mpeg4", draw=lambda _: np.zeros((32, 32, 3), np.uint8), size=(32, 32)
    )
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert not any(is_not_coded(packet) for packet in packets)
        assert min(packet.size for packet in packets) < 16
