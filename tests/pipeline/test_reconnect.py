"""A live source that outlives its connections: first against a scripted camera, then against a real server."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backoff import Backoff
from pipeline.errors import ConfigError, SourceError
from pipeline.sources import open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.types import Frame, Source, SourceInfo
from pipeline.types import ReconnectingSource as ReconnectingProtocol
from tests.clips import read_number
from tests.fault_proxy import FaultProxy, Faults
from tests.rtsp_server import Content, LivePicture, RtspServer, require_rtsp_server

AT_ONCE = Backoff(first_s=1e-6, cap_s=1e-6)
# No test waits for as long as this; it only keeps a broken one from hanging.
PATIENCE_S = 60.0


@dataclass
class Connection:
    """One connection of a scripted camera: its frames, and how it ends.

    Attributes:
        times: ``(pts_s, captured_s)`` of each frame.
        size: width and height in pixels.
        failed: frames that it could not decode.
        ends: with an error; else like a file if it is not live, and unasked if it is.
    """

    times: Sequence[tuple[float, float]]
    size: tuple[int, int] = (32, 32)
    failed: Counter[str] = field(default_factory=Counter)
    live: bool = True
    error: Exception | None = None
    closed: int = 0

    stream = "whatever"

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(*self.size, live=self.live, frame_count=7, duration_s=7.0, uri="rtsp://u:secret@host")

    def __iter__(self) -> Iterator[Frame]:
        image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        for index, (pts_s, captured_s) in enumerate(self.times):
            yield Frame(image, index, pts_s, captured_s, self.stream)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Camera:
    """Gives its connections one by one, raises those that are errors, and is off for ever behind the last."""

    def __init__(self, *connections: Connection | Exception) -> None:
        self.connections = connections
        self.attempts = 0

    def __call__(self) -> Source:
        self.attempts += 1
        if self.attempts > len(self.connections):
            raise SourceError("rtsp://u:secret@host: connection refused")
        connection = self.connections[self.attempts - 1]
        if isinstance(connection, Exception):
            raise connection
        return connection


class Told:
    """What ``listen`` was told, in order."""

    def __init__(self) -> None:
        self.calls: list[str | float] = []

    @property
    def reasons(self) -> list[str]:
        return [call for call in self.calls if isinstance(call, str)]

    @property
    def outages_s(self) -> list[float]:
        return [call for call in self.calls if not isinstance(call, str)]


def reconnecting(camera: Callable[[], Source], told: Told | None = None, **settings: Any) -> ReconnectingSource:
    settings = {"stream": "door", "uri": "rtsp://u:secret@host/a", "backoff": AT_ONCE, **settings}
    source = ReconnectingSource(camera, **settings)
    if told is not None:
        source.listen(told.calls.append, told.calls.append)
    return source


def test_it_keeps_the_protocols_of_sources() -> None:
    with reconnecting(Camera()) as source:
        assert isinstance(source, Source)
        assert isinstance(source, ReconnectingProtocol)
        assert source.stream == "door"
        assert source.info == SourceInfo(0, 0, live=True, uri="rtsp://host/a")
        assert not source.online


def test_frames_go_on_over_a_gap_in_real_time() -> None:
    camera = Camera(
        Connection([(0.0, 100.0), (0.1, 100.1)], error=SourceError("gone")),
        SourceError("off"),
        SourceError("off"),
        Connection([(5.0, 107.6), (5.1, 107.7)], size=(64, 48), error=SourceError("gone")),
    )
    told = Told()
    with reconnecting(camera, told) as source:
        frames = list(itertools.islice(source, 4))
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        assert [frame.pts_s for frame in frames] == pytest.approx([0.0, 0.1, 7.6, 7.7])
        assert {frame.stream for frame in frames} == {"door"}
        assert [frame.width for frame in frames] == [32, 32, 64, 64]
        assert source.info == SourceInfo(64, 48, live=True, uri="rtsp://host/a")
        assert source.online
    assert [type(call) for call in told.calls] == [str, float]
    assert told.reasons == ["gone"]


def test_a_camera_that_is_off_at_the_start_is_no_error() -> None:
    camera = Camera(SourceError("rtsp://u:secret@host: off"), Connection([(0.0, 1.0)]))
    told = Told()
    with reconnecting(camera, told) as source:
        frame = next(iter(source))
    assert (frame.index, frame.pts_s) == (0, 0.0)
    assert told.reasons == ["rtsp://host: off"]
    assert len(told.outages_s) == 1


# Each outcome: how many frames a connection gives before it breaks, or None where it is refused.
@given(st.lists(st.none() | st.integers(0, 4), max_size=12), st.integers(0, 3))
def test_each_outage_is_told_once_and_nothing_is_lost_or_repeated(outcomes: list[int | None], failed: int) -> None:
    now_s = 0.0
    connections: list[Connection | Exception] = []
    for outcome in [*outcomes, 3]:
        now_s += 1.0
        if outcome is None:
            connections.append(SourceError("off"))
            continue
        times = [(0.04 * number, now_s + 0.04 * number) for number in range(outcome)]
        connections.append(Connection(times, failed=Counter(decode=failed), error=SourceError("gone")))
    camera, told = Camera(*connections), Told()
    with_frames = [k for k, outcome in enumerate(outcomes) if outcome]
    total = sum(outcome or 0 for outcome in outcomes) + 3
    with reconnecting(camera, told) as source:
        frames = list(itertools.islice(source, total))
        assert [frame.index for frame in frames] == list(range(total))
        assert all(earlier.pts_s < later.pts_s for earlier, later in itertools.pairwise(frames))
        # Real time: media time is as far from the first frame as the clock is.
        assert all(frame.pts_s == pytest.approx(frame.captured_s - frames[0].captured_s, abs=1e-6) for frame in frames)
        opened = [connection for connection in connections if isinstance(connection, Connection)]
        assert source.failed["decode"] == failed * len(opened)
    assert all(connection.closed for connection in opened)
    # An outage begins where a connection with frames breaks, or at the start if the first one brings none.
    outages = len(with_frames) + (0 if outcomes and outcomes[0] else bool(outcomes))
    assert [type(call) for call in told.calls] == [str, float] * outages


def test_what_is_no_matter_of_time_is_raised() -> None:
    with reconnecting(Camera(ConfigError("PASSWORD is not set"))) as source, pytest.raises(ConfigError):
        next(iter(source))


def test_a_file_after_all_ends() -> None:
    camera = Camera(Connection([(0.0, 1.0), (0.1, 1.1)], live=False))
    with reconnecting(camera) as source:
        assert len(list(source)) == 2
    assert camera.attempts == 1


def test_a_camera_that_ends_the_stream_is_called_again() -> None:
    camera, told = Camera(Connection([(0.0, 1.0)]), Connection([(0.0, 2.0)])), Told()
    with reconnecting(camera, told) as source:
        assert len(list(itertools.islice(source, 2))) == 2
    assert told.reasons == ["rtsp://host/a: the stream ended"]


def test_attempts_may_be_limited() -> None:
    camera = Camera()
    backoff = Backoff(first_s=1e-6, cap_s=1e-6, attempts=3)
    with reconnecting(camera, backoff=backoff) as source, pytest.raises(SourceError, match="refused"):
        next(iter(source))
    assert camera.attempts == 4


def test_waits_start_over_only_after_a_connection_that_lasted() -> None:
    def attempts(settled_s: float) -> int:
        camera = Camera(*(Connection([(0.0, float(k))], error=SourceError("gone")) for k in range(1, 9)))
        backoff = Backoff(first_s=1e-6, cap_s=1e-6, attempts=5)
        with reconnecting(camera, backoff=backoff, settled_s=settled_s) as source, pytest.raises(SourceError):
            list(source)
        return camera.attempts

    assert attempts(settled_s=1000.0) == 6
    assert attempts(settled_s=0.0) == 8 + 5


@given(
    st.builds(
        Backoff,
        first_s=st.floats(0.01, 1),
        factor=st.floats(1, 4),
        cap_s=st.floats(1, 60),
        attempts=st.integers(0, 40),
    ),
    st.integers(),
)
def test_waits_grow_to_the_cap_and_are_spread_from_zero(backoff: Backoff, seed: int) -> None:
    waits = list(backoff.waits(random.Random(seed)))
    assert len(waits) == backoff.attempts
    for number, wait_s in enumerate(waits):
        assert 0 <= wait_s <= min(backoff.cap_s, backoff.first_s * backoff.factor**number) * (1 + 1e-9)


@pytest.mark.parametrize(
    "settings", [{"first_s": 0}, {"first_s": 2, "cap_s": 1}, {"factor": 0.5}, {"attempts": -1}, {"cap_s": float("inf")}]
)
def test_a_backoff_that_can_not_be_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Backoff(**settings)  # type: ignore[arg-type]


def test_a_wait_ends_when_asked_to_stop() -> None:
    told = Told()
    source = reconnecting(Camera(), told, backoff=Backoff(first_s=3600, cap_s=3600), generator=random.Random(1))
    ended = threading.Event()

    def read() -> None:
        list(source)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    source.request_stop()
    assert ended.wait(PATIENCE_S)
    thread.join()
    source.close()
    assert len(told.calls) <= 1


def test_a_closed_source_says_so() -> None:
    connection = Connection([(0.0, 1.0), (0.1, 1.1)])
    source = reconnecting(Camera(connection))
    next(iter(source))
    source.close()
    source.close()
    assert connection.closed
    with pytest.raises(SourceError, match="closed"):
        iter(source)


def test_a_second_loop_goes_on() -> None:
    with reconnecting(Camera(Connection([(0.0, 1.0), (0.1, 1.1)]))) as source:
        assert [next(iter(source)).index for _ in range(2)] == [0, 1]


# Against a real server.


@pytest.fixture
def rtsp() -> None:
    require_rtsp_server()


class Reading:
    """A thread that reads a source, as the run's decode threads do, and what came of it."""

    def __init__(self, url: str, *, read_timeout_s: float = 2.0, backoff: Backoff | None = None) -> None:
        self.told = Told()
        self.shapes: list[tuple[int, int]] = []
        self.numbers: list[int] = []
        self.times: list[float] = []
        self._changed = threading.Condition()
        self.source = ReconnectingSource(
            lambda: open_source(url, open_timeout_s=5.0, read_timeout_s=read_timeout_s),
            stream="door",
            uri=url,
            backoff=backoff or Backoff(first_s=0.05, cap_s=0.3),
        )
        self.source.listen(self._tell, self._tell)
        self._thread = threading.Thread(target=self._read)

    @property
    def frames(self) -> int:
        return len(self.times)

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), (self.told.calls, self.frames)

    def until_more(self, frames: int = 5) -> None:
        wanted = self.frames + frames
        self.until(lambda: self.frames >= wanted)

    def until_outages(self, begun: int, over: int) -> None:
        self.until(lambda: (len(self.told.reasons), len(self.told.outages_s)) == (begun, over))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.request_stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _tell(self, what: str | float) -> None:
        with self._changed:
            self.told.calls.append(what)
            self._changed.notify_all()

    def _read(self) -> None:
        try:
            for frame in self.source:
                with self._changed:
                    self.times.append(frame.pts_s)
                    self.shapes.append((frame.width, frame.height))
                    self.numbers.append(_number(frame))
                    self._changed.notify_all()
        finally:
            self.source.close()


def _number(frame: Frame) -> int:
    try:
        return read_number(frame.image[:, :, 0])
    except ValueError:
        return -1  # damaged


def held() -> dict[str, int]:
    """What a leak would show in; ``task`` counts the decoder's own threads too."""
    of_process = {name: len(list(Path("/proc/self", name).iterdir())) for name in ("fd", "task")}
    return {**of_process, "threads": threading.active_count()}


def test_a_server_that_is_killed_again_and_again(rtsp: None) -> None:
    chance = random.Random(5)
    with RtspServer(LivePicture(160, 120)) as server, Reading(server.url) as reading:
        reading.until_more()
        before = held()
        for outage in range(1, 4):
            time.sleep(chance.uniform(0, 0.5))
            server.kill()
            reading.until_outages(outage, outage - 1)
            server.restart()
            reading.until_outages(outage, outage)
            reading.until_more()
        assert held() == before
    assert [type(call) for call in reading.told.calls] == [str, float] * 3
    assert all(earlier < later for earlier, later in itertools.pairwise(reading.times))


def test_a_camera_that_is_switched_on_later_and_changes_size_and_codec(rtsp: None) -> None:
    server = RtspServer(LivePicture(160, 120))
    with server:
        url = server.url  # the port is free from now on
    with Reading(url) as reading:
        reading.until_outages(1, 0)
        with server:
            reading.until_outages(1, 1)
            reading.until_more()
            assert reading.source.info.width == 160
            server.restart(LivePicture(320, 240, codec="mjpeg"))
            reading.until(lambda: (320, 240) in reading.shapes)
            assert (reading.source.info.width, reading.source.info.height) == (320, 240)
            server.restart(LivePicture(128, 96, codec="h265"))
            reading.until(lambda: (128, 96) in reading.shapes)
    assert [shape for shape, _ in itertools.groupby(reading.shapes)] == [(160, 120), (320, 240), (128, 96)]
    assert "refused" in reading.told.reasons[0]


def test_a_connection_that_is_open_and_silent_is_offline(rtsp: None) -> None:
    with (
        RtspServer(LivePicture(160, 120)) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
        Reading(server.url_of("live", port=proxy.port), read_timeout_s=1.0) as reading,
    ):
        reading.until_more()
        proxy.set(Faults(stalled=True))
        reading.until_outages(1, 0)
        before = reading.frames
        proxy.set(Faults())
        reading.until_outages(1, 1)
        reading.until_more()
    assert "no data for 1 s" in reading.told.reasons[0]
    gap_s = reading.times[before] - reading.times[before - 1]
    assert gap_s >= reading.told.outages_s[0], "media time includes the outage"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(corrupt=0.05),
        Faults(drop=0.05),
        Faults(reorder=0.05),
        Faults(corrupt=0.05, drop=0.05, reorder=0.05),
    ],
    ids=["corrupt", "drop", "reorder", "all"],
)
def test_a_bad_line_neither_hangs_nor_ends_it(rtsp: None, faults: Faults) -> None:
    content = LivePicture(320, 240, kbps=2000)
    with (
        RtspServer(content) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
        Reading(server.url_of("live", port=proxy.port)) as reading,
    ):
        reading.until_more()
        proxy.set(faults)
        reading.until_more(25)
        proxy.set(Faults())
        reading.until_more(25)
    assert all(earlier < later for earlier, later in itertools.pairwise(reading.times))
    # What was damaged at the end may have cost the connection just now.
    assert len(reading.told.reasons) - len(reading.told.outages_s) in (0, 1)


def test_half_the_bandwidth_neither_hangs_nor_ends_it(rtsp: None) -> None:
    with (
        RtspServer(LivePicture(320, 240, kbps=2000)) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
        Reading(server.url_of("live", port=proxy.port)) as reading,
    ):
        reading.until_more()
        before, begun_s = proxy.counts["bytes"], time.monotonic()
        reading.until_more(25)
        rate = (proxy.counts["bytes"] - before) / (time.monotonic() - begun_s)
        proxy.set(Faults(bytes_per_s=rate / 2))
        reading.until_more(25)
        proxy.set(Faults())
        reading.until_more(25)
    assert all(earlier < later for earlier, later in itertools.pairwise(reading.times))


def test_the_password_is_nowhere(rtsp: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    content: Content = LivePicture(160, 120)
    with RtspServer(content, user="admin", password="hush hush") as server:
        with Reading(server.url) as reading:
            reading.until_more()
            server.kill()
            reading.until_outages(1, 0)
            server.restart()
            reading.until_outages(1, 1)
        wrong = server.url.replace("hush", "guess")
        with Reading(wrong) as guessing:
            guessing.until_outages(1, 0)
    assert "wrong" in guessing.told.reasons[0]
    said = [*map(str, reading.told.calls), *guessing.told.reasons, caplog.text, str(reading.source.info)]
    assert not [text for text in said if "hush" in text or "guess" in text or "admin" in text]
