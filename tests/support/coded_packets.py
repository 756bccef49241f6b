"""Recordings of packets for tests: made of a source from its beginning to its end, and read back packet by packet."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from pipeline.interfaces import Source
from pipeline.sources.decoding.tap import CodedPacket, CodedTracks, PacketTap
from pipeline.sources.opening import open_source
from sinks.recording.sink import RecordingSink

SUFFIXES = (".mp4", ".mkv", ".mov")


@contextmanager
def recording(uri: str | Path, folder: Path, **options: Any) -> Iterator[tuple[Source, RecordingSink]]:
    """A source whose packets are recorded as the stream ``door`` while the context lasts, and what records them."""
    sink = RecordingSink(folder, "door", **options)
    sink.check()
    with open_source(str(uri), stream="door", tap=PacketTap([sink.packets], sound=True)) as source:
        sink.open("door", source.info, ["person"])
        try:
            yield source, sink
        except BaseException as error:
            sink.close(error)
            raise
    sink.close()


def record(uri: str | Path, folder: Path, **options: Any) -> RecordingSink:
    """Record a file to its end."""
    with recording(uri, folder, **options) as (source, sink):
        for _ in source:
            pass
    return sink


class Gathered:
    """A receiver that keeps what it gets, in order: tracks, packets, and None at the end of a connection."""

    def __init__(self) -> None:
        self.items: list[CodedTracks | CodedPacket | None] = []

    def begin(self, tracks: CodedTracks) -> None:
        self.items.append(tracks)

    def take(self, packet: CodedPacket) -> None:
        self.items.append(packet)

    def decoded(self, tick: int | None, captured_s: float) -> None:
        pass

    def end(self) -> None:
        self.items.append(None)


def as_camera(path: Path, *, annex_b: bool = False) -> tuple[CodedTracks, list[CodedPacket]]:
    """A file's tracks and packets as a camera would send them, which arrive at their time from second 1000 on.

    Args:
        path: the file.
        annex_b: H.264 as a byte stream, with its parameter sets in the keyframes alone, as RTSP brings it.
    """
    gathered = Gathered()
    with open_source(str(path), tap=PacketTap([gathered], sound=True)) as source:
        for _ in source:
            pass
    tracks = next(item for item in gathered.items if isinstance(item, CodedTracks))
    packets = [item for item in gathered.items if isinstance(item, CodedPacket)]
    tick_s = {False: tracks.video.time_base, True: tracks.sound.time_base if tracks.sound is not None else None}
    if annex_b:
        tracks, packets = _byte_stream(tracks, packets)
    return replace(tracks, live=True), [
        packet._replace(arrived_s=1000 + float((packet.dts or 0) * (tick_s[packet.sound] or 0))) for packet in packets
    ]


def _byte_stream(tracks: CodedTracks, packets: list[CodedPacket]) -> tuple[CodedTracks, list[CodedPacket]]:
    filtered = BitStreamFilterContext("h264_mp4toannexb", tracks.video)
    bare = av.open(io.BytesIO(), "w", format="nut").add_stream_from_template(tracks.video, opaque=True)
    bare.codec_context.extradata = None
    changed = []
    for packet in packets:
        if not packet.sound:
            given = Packet(packet.data)
            given.pts, given.dts = packet.pts, packet.dts
            packet = packet._replace(data=b"".join(bytes(part) for part in filtered.filter(given)))
        changed.append(packet)
    return replace(tracks, video=bare), changed


@dataclass(frozen=True)
class Packets:
    """The packets of a file.

    Attributes:
        pictures, sound: their bytes, in order.
        keyframes: of each picture, whether it is one.
        times_s: of each picture, when it is shown.
        sound_s: of each packet of sound.
        codecs: names of the tracks' codecs.
    """

    pictures: list[bytes]
    sound: list[bytes]
    keyframes: list[bool]
    times_s: list[float]
    sound_s: list[float]
    codecs: list[str]


def read_packets(path: Path) -> Packets:
    """All packets of a file that hold data."""
    found = Packets([], [], [], [], [], [])
    with av.open(str(path)) as container:
        found.codecs.extend(stream.codec_context.name for stream in container.streams)
        for packet in container.demux():
            if not packet.size:
                continue
            time_s = float(packet.pts * packet.time_base) if packet.pts is not None else -1.0
            if packet.stream.type == "video":
                found.pictures.append(bytes(packet))
                found.keyframes.append(packet.is_keyframe)
                found.times_s.append(time_s)
            else:
                found.sound.append(bytes(packet))
                found.sound_s.append(time_s)
    return found


def segments(folder: Path) -> list[Path]:
    """The segments below a folder, in the order of their begin; those in the making too."""
    return sorted((path for path in folder.rglob("*") if path.suffix in SUFFIXES), key=_order)


def _order(path: Path) -> tuple[str, int]:
    name = re.fullmatch(r"[^.]*?-(\d{8}T\d{6}Z)(?:-(\d+))?\..*", path.name)
    return ("", 0) if name is None else (name[1], int(name[2] or 1))


def recorded_packets(folder: Path) -> Packets:
    """Those of all segments, one after the other."""
    found = Packets([], [], [], [], [], [])
    for path in segments(folder):
        part = read_packets(path)
        found.pictures.extend(part.pictures)
        found.sound.extend(part.sound)
        found.keyframes.extend(part.keyframes)
        found.codecs.extend(name for name in part.codecs if name not in found.codecs)
    return found


def nal_units(picture: bytes) -> list[bytes]:
    """The units of a picture in H.264 or H.265: behind their lengths in four bytes, or behind start codes."""
    if picture.startswith(b"\0\0\0\1"):
        parts = picture.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
        return [part for part in parts if part]
    units = []
    while picture:
        length = int.from_bytes(picture[:4], "big")
        units.append(picture[4 : 4 + length])
        picture = picture[4 + length :]
    return units
