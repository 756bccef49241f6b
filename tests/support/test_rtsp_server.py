"""The RTSP server of the tests: what it serves is what was asked for, and it comes and goes as told."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.clips import is_whole, read_number, read_time_ms, write_clip
from tests.support.rtsp_server import Content, FileLoop, FileOnce, LivePicture, RtspServer, require_rtsp_server
from tests.support.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    require_rtsp_server()


def read(url: str, *, count: int, transport: str = "tcp", size: int | None = None) -> tuple[str, list[av.VideoFrame]]:
    with av.open(url, options={"rtsp_transport": transport}, timeout=(PATIENCE_S, PATIENCE_S)) as container:
        name = container.streams.video[0].codec_context.name
        return name, list(itertools.islice(container.decode(video=0), count))


def gray(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="gray").astype(np.uint8)


def numbers(frames: list[av.VideoFrame]) -> list[int]:
    return [read_number(gray(frame)) for frame in frames]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_a_live_picture_shows_its_number_and_its_time(codec: Literal["h264", "h265", "mjpeg"], transport: str) -> None:
    with RtspServer(LivePicture(160, 120, fps=25, codec=codec)) as server:
        before_ms = time.monotonic() * 1000
        name, frames = read(server.url, count=20, transport=transport)
        after_ms = time.monotonic() * 1000
    assert name == {"h264": "h264", "h265": "hevc", "mjpeg": "mjpeg"}[codec]
    if transport == "udp":
        frames = [frame for frame in frames if is_whole(gray(frame))]
        assert len(frames) >= 5, "a busy machine loses some"
    shown = numbers(frames)
    if transport == "tcp":
        assert shown == list(range(shown[0], shown[0] + 20))
    assert shown == sorted(set(shown))
    times = [read_time_ms(gray(frame)) for frame in frames]
    assert times == sorted(times)
    assert before_ms - 1 <= times[0]
    assert times[-1] <= after_ms + 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("served") / "clip.mp4", count=15, fps=25, size=(160, 120))


def test_a_file_loops(clip: Path) -> None:
    with RtspServer(FileLoop(clip, fps=25, keyframe_every=5)) as server:
        _, frames = read(server.url, count=30)
    shown = numbers(frames)
    assert shown == [(shown[0] + step) % 15 for step in range(30)]


def test_a_file_served_once_ends(clip: Path) -> None:
    with RtspServer(FileOnce(clip)) as server:
        _, frames = read(server.url, count=1000)
    assert numbers(frames) == list(range(15))


@pytest.mark.parametrize("digest", [False, True])
def test_the_password_is_asked_for(digest: bool) -> None:
    content: dict[str, Content] = {"one": LivePicture(160, 120), "two": LivePicture(160, 120)}
    with RtspServer(content, user="admin", password="p@ss/word", digest=digest) as server:
        for name in content:
            assert read(server.url_of(name), count=1)[1]
            with pytest.raises(av.HTTPUnauthorizedError):
                read(server.url_of(name, credentials=False), count=1)
        with pytest.raises(av.HTTPUnauthorizedError):
            read(server.url_of("one").replace("p%40ss", "guess"), count=1)


def test_only_the_transports_asked_for_are_offered() -> None:
    with RtspServer(LivePicture(160, 120), transports=["tcp"]) as server:
        assert read(server.url, count=1)[1]
        with pytest.raises(av.FFmpegError):
            read(server.url, count=1, transport="udp")


def test_it_comes_back_at_the_same_address_with_other_content() -> None:
    with RtspServer(LivePicture(160, 120)) as server:
        url = server.url
        assert read(url, count=1)[1][0].width == 160
        server.kill()
        with pytest.raises(av.ConnectionRefusedError):
            read(url, count=1)
        server.restart(LivePicture(320, 240, codec="mjpeg"))
        name, frames = read(url, count=1)
        assert (server.url, name, frames[0].width) == (url, "mjpeg", 320)


def test_a_frozen_server_keeps_connections_open_and_silent() -> None:
    with (
        RtspServer(LivePicture(160, 120)) as server,
        av.open(server.url, options={"rtsp_transport": "tcp"}, timeout=(PATIENCE_S, 1)) as container,
    ):
        # Packets, not pictures: the last one before the silence may be cut short.
        packets = container.demux(video=0)
        next(packets)
        server.freeze()
        with pytest.raises(av.ExitError):
            for _ in packets:
                pass
        server.thaw()
