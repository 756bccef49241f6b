"""Videos and playlists over HTTP: what they are shows when they are open, and nothing is lost or played twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.addresses import parse_address
from pipeline.errors import SourceError, SourceRefusedError
from pipeline.events import StreamStarted
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sampling.sampler import EveryNth, SamplerBySource
from pipeline.sources.backoff import Backoff
from pipeline.sources.fetch import fetch
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.types import Frame, SourceInfo
from tests.support.clips import read_number, write_clip
from tests.support.fakes import BlobDetector, MemorySink
from tests.support.http_server import serve_http
from tests.support.video_server import Answer, VideoServer, write_pieces
from trackers.factory import create_tracker

COUNT = 40
PIECE_S = 0.4
AT_ONCE = Backoff(first_s=0.01, cap_s=0.05)
SUFFIXES = ("mp4", "mkv", "ts")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    options = {"movflags": "+faststart"}
    return {
        suffix: write_clip(
            folder / f"clip.{suffix}", count=COUNT, b_frames=2, container_options=options if suffix == "mp4" else None
        ).read_bytes()
        for suffix in SUFFIXES
    }


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return write_pieces(tmp_path_factory.mktemp("pieces"), count=8)


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer() as server:
        yield server


class Told:
    """What a source told of itself, in order."""

    def __init__(self) -> None:
        self.offline: list[str] = []
        self.online: list[float] = []
        self.known: list[SourceInfo] = []


def reconnecting(address: str, told: Told | None = None, *, read_timeout_s: float = 5.0) -> ReconnectingSource:
    source = ReconnectingSource(
        lambda: open_source(address, read_timeout_s=read_timeout_s),
        stream="net",
        uri=address,
        backoff=AT_ONCE,
        live=None,
    )
    told = told or Told()
    source.listen(told.offline.append, told.online.append, told.known.append)
    return source


def numbers(frames: list[Frame]) -> list[int]:
    return [read_number(frame.image) for frame in frames]


# Files


@pytest.mark.parametrize(
    ("suffix", "path", "answer"),
    [
        ("mp4", "/download?id=3", Answer(content_type="application/octet-stream")),
        ("mkv", "/clip", Answer(content_type="text/html", ranges=True)),
        ("ts", "/camera.mjpeg", Answer(content_type="image/jpeg")),
        ("mkv", "/clip.m3u8", Answer(content_type="application/vnd.apple.mpegurl", ranges=True)),
        ("ts", "/", Answer(content_type="multipart/form-data")),
    ],
)
def test_a_file_is_a_file_whatever_it_is_called(
    server: VideoServer, clips: dict[str, bytes], suffix: str, path: str, answer: Answer
) -> None:
    told = Told()
    with reconnecting(server.serve(path, clips[suffix], answer), told) as source:
        assert not source.known
        frames = list(source)
    assert [info.live for info in told.known] == [False]
    assert (told.known[0].width, told.known[0].height) == (160, 120)
    assert numbers(frames) == list(range(COUNT))
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in range(COUNT)], abs=0.002)
    assert told.offline == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("answer", [Answer(length=False), Answer(chunked=True)], ids=["closed", "chunked"])
def test_a_duration_makes_a_file_without_a_length(
    server: VideoServer, clips: dict[str, bytes], suffix: str, answer: Answer
) -> None:
    with reconnecting(server.serve("/a", clips[suffix], answer)) as source:
        frames = list(source)
        assert not source.info.live
    assert numbers(frames) == list(range(COUNT))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_file_that_breaks_off_is_read_on_and_nothing_comes_twice(
    server: VideoServer, clips: dict[str, bytes], suffix: str, ranges: bool
) -> None:
    data = clips[suffix]
    answer = Answer(ranges=ranges, break_after=int(0.7 * len(data)), breaks=2)
    told = Told()
    with reconnecting(server.serve("/a", data, answer), told) as source:
        frames = list(source)
        assert dict(source.failed) == {}
    assert numbers(frames) == list(range(COUNT))
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [frame.pts_s for frame in frames] == pytest.approx([k / 25 for k in range(COUNT)], abs=0.002)
    assert told.offline == []  # the reader is none the wiser


def test_a_file_with_its_index_at_its_end_is_read_from_a_server_that_gives_no_parts(
    server: VideoServer, tmp_path: Path
) -> None:
    data = write_clip(
        tmp_path / "clip.mp4", count=COUNT, codec="mjpeg", pixel_format="yuvj420p", size=(1280, 960)
    ).read_bytes()
    assert data.find(b"moov") > 300_000  # FFmpeg would find its way back from nearer
    answer = Answer(break_after=len(data) - 50)
    address = server.serve("/download?id=3", data, answer)
    with reconnecting(address) as source:
        assert numbers(list(source)) == list(range(COUNT))
    answer.breaks = 1
    with pytest.raises(SourceError, match="the connection ended after"):
        fetch(parse_address(address), "shown", 5.0)


def test_a_fetched_file_needs_its_password_and_tells_it_to_nobody_else(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "clip.mp4", count=5).read_bytes()
    with serve_http(tmp_path, user="admin", password="p@ss") as address:
        with fetch(parse_address(address.replace("//", "//admin:p%40ss@") + "/clip.mp4"), "shown", 5.0) as file:
            assert file.read() == data
        with pytest.raises(SourceError, match=r"^shown: can't be fetched"):
            fetch(parse_address(f"{address}/clip.mp4"), "shown", 5.0)


def test_a_file_that_breaks_off_at_the_same_place_for_ever_is_an_error(
    server: VideoServer, clips: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    address = server.serve("/a", clips["mp4"], Answer(break_after=len(clips["mp4"]) // 2, breaks=1000))
    frames: list[Frame] = []
    with reconnecting(address) as source, caplog.at_level(logging.WARNING), pytest.raises(SourceError) as raised:
        for frame in source:
            frames.append(frame)
    assert "broke off" in str(raised.value)
    assert f"nothing new behind {frames[-1].pts_s:.2f} s" in str(raised.value)
    assert numbers(frames) == list(range(len(frames)))
    assert 0 < len(frames) < COUNT
    assert f"reading on behind frame {len(frames) - 1}" in caplog.text


def test_what_tells_neither_length_nor_duration_is_played_at_its_pace_and_once(
    server: VideoServer, clips: dict[str, bytes]
) -> None:
    with reconnecting(server.serve("/a", clips["ts"], Answer(chunked=True))) as source:
        frames = list(source)  # ends, though every connection begins with the first picture
    assert numbers(frames) == list(range(COUNT))
    assert frames[-1].captured_s - frames[0].captured_s > 0.9 * (COUNT - 1) / 25


def test_what_a_server_refuses_at_the_start_is_an_error(server: VideoServer) -> None:
    server.serve("/page", b"<html>no video</html>" * 100)
    for path in ("/nothing.mp4", "/nothing", "/page"):
        with reconnecting(server.address + path) as source, pytest.raises(SourceRefusedError):
            next(iter(source))


def test_what_can_not_be_reached_may_be_a_file_later(clips: dict[str, bytes]) -> None:
    with VideoServer() as server:
        address = server.serve("/a", clips["mp4"])
    told = Told()
    attempts = 0

    def connect() -> object:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            back.__enter__()
            moved.append(back.serve("/a", clips["mp4"]))
        return open_source(moved[-1])

    moved, back = [address], VideoServer()
    source = ReconnectingSource(connect, stream="net", uri=address, backoff=AT_ONCE, live=None)  # type: ignore[arg-type]
    source.listen(told.offline.append, told.online.append, told.known.append)
    with source:
        frames = list(source)
    back.__exit__()
    assert numbers(frames) == list(range(COUNT))
    assert [info.live for info in told.known] == [True, False]
    assert len(told.offline) == len(told.online) == 1


def test_every_frame_of_a_file_from_the_network_is_looked_at(server: VideoServer, clips: dict[str, bytes]) -> None:
    """However slow the detector is; also beside the first attempt, when it counted as live."""
    address = server.serve("/download?id=3", clips["mkv"], Answer(content_type="text/plain"))
    made: list[bool] = []

    def pace(live: bool) -> EveryNth:
        made.append(live)
        return EveryNth(1)

    sink = MemorySink()
    stream = Stream(
        source=reconnecting(address), tracker=create_tracker(), sinks=[sink], detect_every=SamplerBySource(pace)
    )
    pipeline = Pipeline(stream, BlobDetector(), batch=2, queue=2)
    assert pipeline.live
    report = pipeline.run().streams["net"]
    assert not pipeline.live
    assert (report.decoded, report.processed, report.dropped, report.failed) == (COUNT, COUNT, {}, {})
    assert made == [True, False]
    assert [read_number(tracked.frame.image) for tracked in sink.frames] == list(range(COUNT))
    started = next(event for event in sink.events if isinstance(event, StreamStarted))
    assert (started.width, started.height, started.live) == (160, 120, False)


def test_a_refused_stream_ends_with_its_error(server: VideoServer) -> None:
    sink = MemorySink()
    stream = Stream(source=reconnecting(server.address + "/none"), tracker=create_tracker(), sinks=[sink])
    with pytest.raises(SourceRefusedError, match="nothing at this path"):
        Pipeline(stream, BlobDetector()).run()


# Playlists


@pytest.mark.parametrize("path", ["/list.m3u8", "/playlist?id=3", "/live"])
def test_a_complete_playlist_is_a_file(server: VideoServer, pieces: list[bytes], path: str) -> None:
    server.playlist(path, pieces, duration_s=PIECE_S).show(len(pieces), ended=True)
    told = Told()
    with reconnecting(server.address + path, told) as source:
        frames = list(source)
        assert dict(source.failed) == {}
    assert [info.live for info in told.known] == [False]
    assert numbers(frames) == list(range(80))


def test_a_growing_playlist_is_played_at_its_pace_and_ends_when_it_says_so(
    server: VideoServer, pieces: list[bytes]
) -> None:
    playlist = server.playlist("/live", pieces, duration_s=PIECE_S)
    playlist.show(3)
    told = Told()
    with reconnecting(server.address + "/live", told) as source:
        frames: list[Frame] = []
        for frame in source:
            frames.append(frame)
            if len(frames) in (15, 25):
                playlist.show(len(frames) // 10 + 4, ended=len(frames) == 25)
        assert told.known[0].live
    assert numbers(frames) == list(range(60))
    assert told.offline == []
    # They came three pieces at a time, and were handed out one by one: never faster than they were taken.
    for earlier, later in zip(frames, frames[5:], strict=False):
        assert later.captured_s - earlier.captured_s > 0.1
    assert frames[-1].pts_s == pytest.approx(59 / 25, abs=0.5)


def test_a_stalled_playlist_is_an_outage_and_no_piece_is_played_twice(server: VideoServer, pieces: list[bytes]) -> None:
    playlist = server.playlist("/live", pieces, duration_s=PIECE_S, window=4)
    playlist.show(4)
    told = Told()
    with reconnecting(server.address + "/live", told, read_timeout_s=2.0) as source:
        goes_on = threading.Timer(1.0, lambda: playlist.show(6))

        def offline(reason: str) -> None:
            told.offline.append(reason)
            if len(told.offline) == 1:
                goes_on.start()

        source.listen(offline, told.online.append, told.known.append)
        frames: list[Frame] = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 45:
                playlist.show(8, ended=True)
        goes_on.join()
    assert numbers(frames) == list(range(10, 80))  # from three pieces before its end on
    assert len(told.offline) == len(told.online) >= 1  # a busy machine may stall as well
    assert "no data" in told.offline[0]


def test_a_playlist_that_ended_while_the_line_was_down_is_played_to_its_end_once(
    server: VideoServer, pieces: list[bytes]
) -> None:
    playlist = server.playlist("/live", pieces, duration_s=PIECE_S)
    playlist.show(4)
    told = Told()
    with reconnecting(server.address + "/live", told, read_timeout_s=2.0) as source:
        source.listen(lambda reason: playlist.show(6, ended=True), told.online.append, told.known.append)
        frames = list(source)
    assert numbers(frames) == list(range(10, 60))
    assert told.online
