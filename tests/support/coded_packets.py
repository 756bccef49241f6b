"""Recordings of packets for tests: made of a source from its beginning to its end, and read back packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from pipeline.interfaces import Source
from pipeline.sources.decoding.tap import PacketTap
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
    """The segments below a folder, in the order of their names; those in the making too."""
    return sorted((path for path in folder.rglob("*") if path.suffix in SUFFIXES), key=lambda path: path.name)


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
