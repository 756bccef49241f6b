"""Network streams over HTTP, webcams, and what is shown of addresses. RTSP has its own tests with a real server."""

from __future__ import annotations

import itertools
import logging
import socket
import traceback
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceError, SourceNotFoundError
from pipeline.sources.network import NetworkStream
from pipeline.sources.opening import open_source
from pipeline.sources.uri import redact, stream_name
from pipeline.sources.webcam import Webcam
from tests.support.clips import read_number, read_time_ms, write_clip
from tests.support.http_server import serve_http

COUNT = 20
SECRET = "s3cr3t"

# Addresses


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://10.0.0.7/a", "rtsp://10.0.0.7/a"),
        ("rtsp://10.0.0.7/a@b", "rtsp://10.0.0.7/a@b"),
        ("http://[fe80::1]:80/x", "http://[fe80::1]:80/x"),
        ("rtsp://admin:s3cr3t@10.0.0.7/a", "rtsp://10.0.0.7/a"),
        ("rtsp://admin:s3cr3t@host:554/a?channel=1", "rtsp://host:554/a?channel=1"),
        ("rtsp://admin:x@s3cr3t@host/a", "rtsp://host/a"),
        ("rtsp://admin:x/s3cr3t@host/a", "rtsp://host/a"),
        ("rtsp://admin:x@y/s3cr3t@host/a", "rtsp://host/a"),
        ("rtsp://admin:1/s3cr3t?@host/a", "rtsp://host/a"),
        ("http://h/v.mjpg?user=admin&password=s3cr3t&x=1", "http://h/v.mjpg?user=***&password=***&x=1"),
        ("rtsp://h:554/user=admin_password=s3cr3t_channel=1_stream=0.sdp", "rtsp://h:554/user=***"),
        ("https://h/a?access_token=s3cr3t#x", "https://h/a?access_token=***"),
        ("can't open rtsp://u:s3cr3t@h/a twice", "can't open rtsp://h/a twice"),
        ("clips/a@b:c.mp4", "clips/a@b:c.mp4"),
    ],
)
def test_what_is_shown_of_an_address(uri: str, shown: str) -> None:
    assert redact(uri) == shown
    assert SECRET not in redact(uri)
    assert redact(shown) == shown


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    st.sampled_from(["", "/", "/stream/1", ":554/live?channel=2"]),
)
def test_no_password_shows_whatever_it_is_made_of(password: str, path: str) -> None:
    assert redact(f"rtsp://admin:{password}@camera{path}") == f"rtsp://camera{path}"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("clips/front door.mp4", "front-door"),
        ("/a/b/.hidden", "hidden"),
        ("rtsp://admin:s3cr3t@10.0.0.7:554/Streaming/Channels/101", "101"),
        ("http://cam/video.mjpg?token=s3cr3t", "video"),
        ("C:\\clips\\a b.mp4", "C-clips-a-b"),
    ],
)
def test_names_made_from_addresses(uri: str, name: str) -> None:
    assert stream_name(uri) == name


# HTTP


def test_a_video_over_http_is_read_to_its_end_like_a_file(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", count=COUNT, b_frames=2, container_options={"movflags": "+faststart"})
    with serve_http(tmp_path) as address, NetworkStream(f"{address}/clip.mp4") as source:
        assert not source.info.live
        assert [read_number(frame.image) for frame in source] == list(range(COUNT))


def test_a_playlist_over_http(tmp_path: Path) -> None:
    write_clip(
        tmp_path / "list.m3u8",
        count=50,
        b_frames=2,
        keyframe_every=10,
        container="hls",
        container_options={"hls_time": "0.4", "hls_list_size": "0"},
    )
    with serve_http(tmp_path) as address, NetworkStream(f"{address}/list.m3u8") as source:
        assert not source.info.live
        assert [read_number(frame.image) for frame in source] == list(range(50))


def test_motion_jpeg_is_live_fresh_and_timed_by_arrival(tmp_path: Path) -> None:
    with serve_http(tmp_path) as address, NetworkStream(f"{address}/camera.mjpeg?fps=20", stream="yard") as source:
        assert source.info.live
        assert source.info.fps is None
        frames = list(itertools.islice(source, 30))
    sent_ms = [read_time_ms(frame.image) for frame in frames]
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 30))
    # Once what had gathered while opening is read, frames come as they are sent, and their times say so.
    for frame, sent in list(zip(frames, sent_ms, strict=True))[10:]:
        assert 0 <= frame.captured_s * 1000 % 2**32 - sent < 500
    assert frames[-1].pts_s - frames[10].pts_s == pytest.approx((sent_ms[-1] - sent_ms[10]) / 1000, abs=0.3)


def test_the_end_of_a_live_stream_is_an_error_behind_its_last_frame(tmp_path: Path) -> None:
    with serve_http(tmp_path) as address, NetworkStream(f"{address}/camera.mjpeg?count=8&fps=50") as source:
        numbers = []
        with pytest.raises(SourceError, match=r"the stream (ended|broke off)"):
            for frame in source:
                numbers.append(read_number(frame.image))
    assert numbers == list(range(8))


def test_silence_is_an_error_after_the_time_limit(tmp_path: Path) -> None:
    with (
        serve_http(tmp_path) as address,
        NetworkStream(f"{address}/camera.mjpeg?stall_after=40&fps=100", read_timeout_s=0.5) as source,
        pytest.raises(SourceError, match=r"no data for 0\.5 s"),
    ):
        list(source)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        for scheme in ("http", "rtsp"):
            uri = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/x"
            with pytest.raises(SourceError, match=r"no video within 0\.3 s"):
                NetworkStream(uri, open_timeout_s=0.3)


def test_credentials_open_the_door_and_never_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_clip(tmp_path / "clip.ts", count=3)
    password = f"p@{SECRET}:/w?#%"
    monkeypatch.setenv("CAMERA_USER", "admin")
    monkeypatch.setenv("CAMERA_PASSWORD", password)
    monkeypatch.setenv("WRONG_PASSWORD", f"wrong{SECRET}")
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG), serve_http(tmp_path, user="admin", password=password) as address:
        uri = f"{address}/clip.ts"
        with open_source(uri, username_env="CAMERA_USER", password_env="CAMERA_PASSWORD") as source:
            assert [read_number(frame.image) for frame in source] == [0, 1, 2]
            seen += [repr(source.info), source.stream]
        in_uri = uri.replace("//", f"//admin:wrong{SECRET}@")
        for settings in ({}, {"username_env": "CAMERA_USER", "password_env": "WRONG_PASSWORD"}):
            with pytest.raises(SourceError, match="user name or password") as raised:
                open_source(in_uri, **settings)  # type: ignore[arg-type]
            seen.append("".join(traceback.format_exception(raised.value)))
        for missing in (in_uri.replace("clip", "none"), in_uri.replace("http", "gopher")):
            with pytest.raises((SourceError, ConfigError)) as other:
                open_source(missing)
            seen.append("".join(traceback.format_exception(other.value)))
    for text in (*seen, caplog.text):
        assert SECRET not in text
        assert "admin" not in text


def test_what_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>no video</html>" * 100)
    with serve_http(tmp_path) as address:
        with pytest.raises(SourceError, match="nothing at this path"):
            NetworkStream(f"{address}/nothing.ts")
        with pytest.raises(SourceError, match="not a video"):
            NetworkStream(f"{address}/page.html")
    with pytest.raises(SourceError, match="connection refused"):
        NetworkStream(f"{address}/clip.ts")
    with pytest.raises(ConfigError, match="UNSET_NAME: is not set"):
        NetworkStream(f"{address}/clip.ts", password_env="UNSET_NAME")
    with pytest.raises(ConfigError, match="transport"):
        NetworkStream(f"{address}/clip.ts", transport="pigeon")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected one of"):
        NetworkStream("clip.ts")


@pytest.mark.parametrize("rest", ["", "/stream1", ":554/stream1", "me:secret@/stream1", "?x=1"])
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_an_address_without_a_host_is_no_camera_that_is_off(scheme: str, rest: str) -> None:
    with pytest.raises(ConfigError, match="names no host") as caught:
        open_source(f"{scheme}://{rest}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["camera:0", "camera:99999", "camera:abc", "[::1"])
def test_nor_is_one_with_a_port_that_there_is_not(host: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST or HOST:PORT"):
        open_source(f"rtsp://{host}/stream1")


def test_what_is_wrong_with_an_address_takes_one_line() -> None:
    with pytest.raises(ConfigError, match=r"rtsp://camera/\\nx: holds a control character"):
        open_source("rtsp://camera/\nx")


def test_a_number_is_told_how_cameras_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFoundError, match="webcam:0"):
        open_source("0")
    for nothing in ("", "file://"):
        with pytest.raises(ConfigError, match="expected an address, or the path"):
            open_source(nothing)


# Webcams. Where no camera is plugged in, OpenCV reads a clip in its place, through the same calls.


def test_a_webcam_says_what_it_granted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=5, fps=10)
    with (
        caplog.at_level(logging.WARNING),
        Webcam(str(clip), width=640, height=480, fps=30, backend=cv2.CAP_FFMPEG) as camera,
    ):
        assert (camera.info.width, camera.info.height, camera.info.fps) == (160, 120, Fraction(10))
        assert camera.info.live
        numbers = []
        with pytest.raises(SourceError, match="brings no picture"):
            for frame in camera:
                numbers.append(read_number(frame.image))
    assert numbers == list(range(5))
    assert "asked for 640x480 px at 30 fps, the camera gives 160x120 px at 10 fps" in caplog.text


def test_a_webcam_that_is_not_there() -> None:
    with pytest.raises(SourceNotFoundError, match="no camera at /dev/video9999"):
        open_source("webcam:9999")
    with pytest.raises(SourceNotFoundError, match="no camera at /dev/video9998"):
        open_source("/dev/video9998")
    with pytest.raises(ValueError, match="width and height"):
        Webcam(0, width=640)
