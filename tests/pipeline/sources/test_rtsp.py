"""RTSP from a real server, over TCP and UDP, with and without a password."""

from __future__ import annotations

import itertools
import logging
import traceback
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources.network import NetworkStream
from pipeline.sources.opening import open_source
from pipeline.types import Frame
from tests.support.clips import is_whole, read_number, write_clip
from tests.support.held_resources import all_given_back
from tests.support.rtsp_server import FileOnce, RtspServer, require_rtsp_server

COUNT = 25


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    require_rtsp_server()


SECRET = "s3cr3t"


@pytest.mark.parametrize("b_frames", [0, 2])
def test_over_tcp_every_frame_comes(tmp_path: Path, b_frames: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=COUNT, b_frames=b_frames)
    with RtspServer({"door": FileOnce(clip)}) as server, NetworkStream(server.url, stream="door") as source:
        assert source.info.live
        assert (source.info.width, source.info.height) == (160, 120)
        assert source.info.uri == server.url
        frames: list[Frame] = []
        with pytest.raises(SourceError, match="the stream ended"):
            for frame in source:
                frames.append(frame)
        assert dict(source.failed) == {}
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    # The first frame comes without a timestamp.
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in range(COUNT)], abs=0.005)


def test_over_udp(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=COUNT)
    with RtspServer({"door": FileOnce(clip)}) as server, NetworkStream(server.url, transport="udp") as source:
        # How a server takes leave over UDP is its own affair.
        frames = list(itertools.islice(source, COUNT - 5))
    numbers = [read_number(frame.image) for frame in frames if is_whole(frame.image)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 5, "a busy machine loses some"


def test_a_password_of_any_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    password = f"p@{SECRET}:w/?#%"
    monkeypatch.setenv("CAMERA_USER", "admin")
    monkeypatch.setenv("CAMERA_PASSWORD", password)
    clip = write_clip(tmp_path / "clip.mp4", count=COUNT)
    seen: list[str] = []
    with (
        caplog.at_level(logging.DEBUG),
        RtspServer({"door": FileOnce(clip)}, user="admin", password=password) as server,
    ):
        address = server.url_of("door", credentials=False)
        with open_source(address, username_env="CAMERA_USER", password_env="CAMERA_PASSWORD") as source:
            assert read_number(next(iter(source)).image) == 0
            seen += [repr(source.info), source.stream]
        for uri in (address, address.replace("//", f"//admin:not-{SECRET}@")):
            with pytest.raises(SourceError, match="user name or password") as raised:
                open_source(uri)
            seen.append("".join(traceback.format_exception(raised.value)))
    for text in (*seen, caplog.text):
        assert SECRET not in text
        assert "admin" not in text


def test_a_server_that_dies_or_falls_silent(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=250)
    with all_given_back():
        for cut in (RtspServer.kill, RtspServer.freeze):
            with RtspServer({"door": FileOnce(clip)}) as server:
                with NetworkStream(server.url, read_timeout_s=1.0) as source:
                    frames = iter(source)
                    assert [read_number(next(frames).image) for _ in range(10)] == list(range(10))
                    cut(server)
                    with pytest.raises(SourceError, match=r"ended|broke off|no data for 1 s"):
                        list(frames)  # what was on its way still comes
                server.thaw()


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=5)
    with RtspServer({"door": FileOnce(clip)}) as server, pytest.raises(SourceError, match="nothing at this path"):
        NetworkStream(server.url.replace("door", "window"))
