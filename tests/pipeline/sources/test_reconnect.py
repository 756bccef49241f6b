"""A live source that outlives its connections: against a scripted camera."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceError
from pipeline.interfaces import RecoveringSource as ReconnectingProtocol
from pipeline.interfaces import Source
from pipeline.sources.backoff import Backoff
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.types import Frame, SourceInfo
from tests.support.waiting import PATIENCE_S

AT_ONCE = Backoff(first_s=1e-6, cap_s=1e-6)


@dataclass
class Connection:
    """One connection of a scripted camera: its frames, and how it ends.

    Attributes:
        times: ``(pts_s, captured_s)`` of each frame.
        size: width and height in pixels.
        failed: frames that it could not decode.
        clock_steps: how often its clock was wrong.
        ends: with an error; else like a file if it is not live, and unasked if it is.
    """

    times: Sequence[tuple[float, float]]
    size: tuple[int, int] = (32, 32)
    failed: Counter[str] = field(default_factory=Counter)
    clock_steps: int = 0
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
    assert [type(call) for call in told.calls] == [str, float]
    assert told.reasons == ["gone"]


def test_wrong_clocks_are_counted_over_all_connections() -> None:
    camera = Camera(
        Connection([(0.0, 1.0)], clock_steps=2, error=SourceError("gone")), Connection([(0.0, 2.0)], clock_steps=1)
    )
    with reconnecting(camera) as source:
        assert [source.clock_steps for _ in itertools.islice(source, 2)] == [2, 3]
    assert source.clock_steps == 3


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


def test_a_connection_that_is_there_already_is_used_first() -> None:
    first, second = Connection([(0.0, 100.0)], error=SourceError("it broke")), Connection([(0.0, 101.0)])
    camera, told = Camera(second), Told()
    with reconnecting(camera, told, opened=first) as source:
        frames = iter(source)
        assert [next(frames).pts_s, camera.attempts] == [0.0, 0]
        assert [next(frames).pts_s, camera.attempts] == [1.0, 1]
    assert first.closed >= 1
    unused = Connection([])
    reconnecting(Camera(), opened=unused).close()
    assert unused.closed == 1


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
