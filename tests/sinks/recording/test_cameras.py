"""A camera's packets, recorded: what the RTSP server was given is what is on the disk."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from sinks.recording.clips import Clip
from sinks.recording.ring import PacketRing
from sinks.recording.sink import RecordingSink
from tests.support.clips import read_number
from tests.support.coded_packets import nal_units, read_packets, recorded_packets, recording, segments
from tests.support.deaf_proxy import refusing_sound
from tests.support.rtsp_server import LivePicture, RtspServer, given_pictures, require_rtsp_server

Codec = Literal["h264", "h265", "mjpeg"]
# Parameter sets and delimiters, which a server repeats and leaves out as it likes.
_BESIDE = {
    "h264": lambda unit: unit[0] & 0x1F in (7, 8, 9),
    "h265": lambda unit: unit[0] >> 1 & 0x3F in (32, 33, 34, 35),
}


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    require_rtsp_server()


def bare(picture: bytes, codec: Codec) -> tuple[bytes, ...]:
    """What was coded of a picture, without what goes with it."""
    if codec == "mjpeg":
        # RTP carries what is between the headers and the end; the reader makes those anew.
        return (picture.partition(b"\xff\xda")[2].partition(b"\xff\xd9")[0],)
    units = nal_units(picture)
    return tuple(unit for unit in units if not _BESIDE[codec](unit))


@pytest.mark.parametrize(
    ("codec", "sound"), [("h264", None), ("h264", "aac"), ("h264", "pcma"), ("h265", None), ("mjpeg", None)]
)
def test_what_is_recorded_is_what_the_server_was_given(
    tmp_path: Path, codec: Codec, sound: Literal["aac", "pcma"] | None
) -> None:
    camera = LivePicture(codec=codec, sound=sound, given=tmp_path / "given", keyframe_every=10)
    with RtspServer(camera) as server, recording(server.url, tmp_path / "out", segment_s=1) as (source, sink):
        frames = list(itertools.islice(source, 40))
    counts = sink.counts()
    assert (counts.given, counts.lost) == (counts.written, 0)
    assert counts.written >= len(frames)
    got = recorded_packets(tmp_path / "out")
    recorded = [bare(picture, codec) for picture in got.pictures]
    given = [bare(picture, codec) for picture in given_pictures(tmp_path / "given")]
    assert recorded == given[: len(recorded)]
    assert len(segments(tmp_path / "out")) >= 2
    suffix = ".mov" if sound == "pcma" else ".mp4"
    for path in segments(tmp_path / "out"):
        packets = read_packets(path)
        assert path.suffix == suffix
        assert packets.keyframes[0]
        assert bool(packets.sound) == (sound is not None)


def test_a_clip_of_a_camera_lies_where_its_frames_were(tmp_path: Path) -> None:
    ring = PacketRing(5.0)
    camera = LivePicture(320, 240, sound="aac", keyframe_every=15)
    shown: dict[int, float] = {}
    with (
        RtspServer(camera) as server,
        open_source(server.url, tap=PacketTap([ring], sound=True)) as source,
    ):
        for number, frame in enumerate(itertools.islice(source, 100)):
            if number % 3:  # those that were dropped on their way are seen by nobody
                continue
            moved = frame.placed(pts_s=frame.pts_s + 1000)  # as behind an outage
            ring.seen(moved.captured_s, moved.pts_s)
            shown[read_number(frame.image)] = moved.pts_s
    event = sorted(shown)[20]
    part = ring.cut(shown[event] - 1, shown[event] + 0.5, shown[event])
    assert part is not None
    clip = Clip("camera", part)
    clip.write(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frames = list(container.decode(video=0))
        numbers = [read_number(np.asarray(each.to_ndarray(format="bgr24"), np.uint8)) for each in frames]
        times_s = [float(each.time or 0.0) for each in frames]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    # A group of pictures is 0.6 s long.
    assert 25 <= event - numbers[0] <= 25 + 15
    assert 12 <= numbers[-1] - event <= 14
    at_s = shown[event] - clip.from_pts_s
    nearest = min(range(len(frames)), key=lambda place: abs(times_s[place] - at_s))
    assert numbers[nearest] == event
    assert read_packets(tmp_path / "clip.mp4").sound


def test_a_camera_that_is_back_goes_on_in_a_further_segment(tmp_path: Path) -> None:
    with RtspServer(LivePicture(keyframe_every=10)) as server:
        sink = RecordingSink(tmp_path / "out", "door")
        sink.check()
        tap = PacketTap([sink.packets], sound=True)
        with ReconnectingSource(partial(open_source, server.url, tap=tap), stream="door", uri=server.url) as source:
            sink.open("door", source.info, [])
            frames = iter(source)
            list(itertools.islice(frames, 30))
            server.restart()
            list(itertools.islice(frames, 30))
        sink.close()
    found = segments(tmp_path / "out")
    assert len(found) == 2
    assert all(read_packets(path).keyframes[0] for path in found)
    assert sink.counts().lost == 0


@pytest.mark.parametrize("answer", ["404 Not Found", "503 Service Unavailable"])
def test_a_camera_that_refuses_its_sound_is_recorded_without(
    tmp_path: Path, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    camera = LivePicture(sound="aac", keyframe_every=10)
    with (
        RtspServer(camera) as server,
        refusing_sound(server.port, answer) as port,
        recording(server.url_of("live", port=port), tmp_path / "out") as (source, sink),
    ):
        assert len(list(itertools.islice(source, 12))) == 12
    assert "it is read without its sound" in caplog.text
    assert sink.counts().written >= 12
    assert recorded_packets(tmp_path / "out").codecs == ["h264"]
