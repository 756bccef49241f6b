"""A camera's packets, recorded: what the RTSP server was given is what is on the disk."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import pytest

from tests.support.coded_packets import nal_units, read_packets, recorded_packets, recording, segments
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
