"""A live source that outlives its connections, against a real server behind bad lines."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from pipeline.sources.backoff import Backoff
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.types import Frame
from tests.pipeline.sources.test_reconnect import Told
from tests.support.clips import read_number
from tests.support.fault_proxy import FaultProxy, Faults
from tests.support.rtsp_server import Content, LivePicture, RtspServer, require_rtsp_server
from tests.support.waiting import PATIENCE_S, wait_until


@pytest.fixture
def rtsp() -> None:
    require_rtsp_server()


class Reading:
    """A thread that reads a source, as the run's decode threads do, and what came of it."""

    def __init__(self, url: str, *, read_timeout_s: float = 10.0, backoff: Backoff | None = None) -> None:
        self.told = Told()
        self.shapes: list[tuple[int, int]] = []
        self.numbers: list[int] = []
        self.times: list[float] = []
        self._changed = threading.Condition()
        self.source = ReconnectingSource(
            lambda: open_source(url, open_timeout_s=PATIENCE_S, read_timeout_s=read_timeout_s),
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
        """Until so many have; a busy machine may have made some more."""
        self.until(lambda: len(self.told.reasons) >= begun and len(self.told.outages_s) >= over)

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
        wait_until(lambda: held() == before, f"what there was before, {before}", held)
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
        Reading(server.url_of("live", port=proxy.port), read_timeout_s=2.0) as reading,
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
        Reading(server.url_of("live", port=proxy.port), read_timeout_s=2.0) as reading,
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
