"""Live pictures as a browser gets them: over a real connection, from frames given to the hub as a run gives them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from pipeline.events import FrameCounts, StreamEnded, StreamOffline, StreamStarted
from pipeline.types import Frame, Image, SourceInfo, TrackedFrame, TrackFacts
from sightline.server.live import encoder
from sightline.server.live.hub import LiveHub
from sightline.server.live.messages import MAX_REQUEST_CHARS
from tests.support.clips import draw_number, read_number
from tests.support.live_app import LiveClient, serve_live
from tests.support.tracked_frames import Shown, tracked_frame

_NAMES = ("person", "<script>car")
_STAMP: dict[str, Any] = {"seq": 1, "run": "r", "stream": "door", "pts_s": 0.0, "wall": ""}


def numbered(index: int, *, stream: str = "door", made: list[int] | None = None) -> TrackedFrame:
    """A frame of 640x480 that shows its number; ``made`` gets the number when somebody asks for its picture."""

    def make() -> Image:
        if made is not None:
            made.append(index)
        return draw_number(index, width=640, height=480)

    tracked = tracked_frame(index, index / 25, {7: Shown((64, 48, 320, 240), class_id=1)}, stream=stream)
    frame = Frame(make, index, index / 25, time.monotonic(), stream, size=(480, 640))
    return replace(tracked, frame=frame, facts=TrackFacts([("yard",)], [1.25]))


def shown_number(jpeg: bytes) -> int:
    """The number that a picture shows."""
    return read_number(np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8))


@pytest.fixture
def hub() -> LiveHub:
    """A hub that one stream called ``door`` was opened in."""
    hub = LiveHub()
    hub.open("door", SourceInfo(640, 480, live=True), _NAMES)
    return hub


@pytest.fixture
def url(hub: LiveHub) -> Iterator[str]:
    """Where the hub's pictures are served."""
    with serve_live(hub) as address:
        yield address


def test_a_picture_comes_scaled_with_its_frame_time_and_tracks(hub: LiveHub, url: str) -> None:
    hub.on_result(numbered(3), ())
    with LiveClient(url) as client:
        client.watch(door=300)
        header, jpeg = client.picture()
    assert shown_number(jpeg) == 3
    assert (header["stream"], header["frame"], header["pts_s"]) == ("door", 3, 0.12)
    assert (header["width"], header["height"]) == (320, 240)
    assert (header["source_width"], header["source_height"]) == (640, 480)
    assert abs(time.time() - header["captured_at"]) < 60
    assert 0 <= header["age_s"] < 60
    assert header["tracks"] == [
        {
            "id": 7,
            "class": "<script>car",
            "score": 0.9,
            "box": [0.1, 0.1, 0.5, 0.5],
            "seen": True,
            "zones": ["yard"],
            "speed_mps": 1.25,
        }
    ]


def test_the_next_picture_comes_after_the_last_was_acknowledged_and_is_the_newest(hub: LiveHub, url: str) -> None:
    hub.on_result(numbered(0), ())
    with LiveClient(url) as client:
        client.watch(door=320)
        client.picture()
        for index in range(1, 50):
            hub.on_result(numbered(index), ())
        with pytest.raises(TimeoutError):
            client.picture(timeout_s=0.3)
        client.acknowledge("door")
        assert shown_number(client.picture()[1]) == 49


def test_no_picture_is_made_while_nobody_looks(hub: LiveHub, url: str) -> None:
    made: list[int] = []
    for index in range(20):
        hub.on_result(numbered(index, made=made), ())
    with LiveClient(url) as client:
        client.watch(other=320)
        hub.on_result(numbered(20, made=made), ())
        client.watch(door=320)
        client.picture()
    assert made == [20]
    hub.on_result(numbered(21, made=made), ())
    assert made == [20]


def test_a_viewer_that_reads_nothing_gets_one_picture_made(hub: LiveHub, url: str) -> None:
    made: list[int] = []
    with LiveClient(url) as client:
        client.watch(door=320)
        hub.on_result(numbered(0, made=made), ())
        client.picture()
        for index in range(1, 200):
            hub.on_result(numbered(index, made=made), ())
        assert made == [0]
        # Nor does it keep pictures alive: the hub has the newest alone.
        newest = hub.newest("door")
        assert newest is not None and newest.frame.index == 199


def test_three_viewers_share_each_picture(hub: LiveHub, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = encoder.encode

    def counted(frame: Frame, width: int) -> tuple[bytes, tuple[int, int]]:
        encoded.append(frame.index)
        return encode(frame, width)

    monkeypatch.setattr(encoder, "encode", counted)
    with ExitStack() as stack:
        clients = [stack.enter_context(LiveClient(url)) for _ in range(3)]
        for width, client in zip((300, 310, 320), clients, strict=True):
            client.watch(door=width)
        for index in range(10):
            hub.on_result(numbered(index), ())
            assert {shown_number(client.picture()[1]) for client in clients} == {index}
            for client in clients:
                client.acknowledge("door")
    assert encoded == list(range(10))


def test_pictures_go_on_in_order_while_frames_come_fast(hub: LiveHub, url: str) -> None:
    stop = threading.Event()

    def play() -> None:
        index = 0
        while not stop.wait(0.001):
            hub.on_result(numbered(index), ())
            index += 1

    player = threading.Thread(target=play)
    player.start()
    try:
        with LiveClient(url) as client:
            client.watch(door=160)
            seen = []
            for _ in range(15):
                header, jpeg = client.picture()
                assert shown_number(jpeg) == header["frame"]
                seen.append(header["frame"])
                client.acknowledge("door")
    finally:
        stop.set()
        player.join()
    assert all(later > earlier for earlier, later in pairwise(seen))


def test_no_more_pictures_a_second_are_made_than_one_can_see(
    hub: LiveHub, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_LEAST_INTERVAL_S", 60.0)
    hub.on_result(numbered(0), ())
    with LiveClient(url) as first, LiveClient(url) as second:
        first.watch(door=160)
        first.picture()
        first.acknowledge("door")
        hub.on_result(numbered(1), ())
        with pytest.raises(TimeoutError):
            first.picture(timeout_s=0.3)
        # Who comes now gets the one that there is.
        second.watch(door=160)
        assert shown_number(second.picture()[1]) == 0


def test_a_tile_is_as_wide_as_asked_but_never_wider_than_the_source(hub: LiveHub, url: str) -> None:
    hub.on_result(numbered(0), ())
    with LiveClient(url) as client:
        for wanted, width in ((100, 160), (481, 640), (5000, 640)):
            client.watch(door=wanted)
            assert client.picture()[0]["width"] == width


def test_the_detectors_reduced_picture_is_used_where_it_is_large_enough(hub: LiveHub, url: str) -> None:
    tracked = numbered(0)
    made: list[int] = []
    whole = numbered(5, made=made).frame
    reduced = draw_number(9, width=416, height=312)
    frame = Frame(lambda: whole.image, 0, 0.0, time.monotonic(), "door", size=(480, 640), reduced=reduced)
    hub.on_result(replace(tracked, frame=frame), ())
    with LiveClient(url) as client:
        client.watch(door=400)
        assert shown_number(client.picture()[1]) == 9
        assert made == []
        client.watch(door=480)
        assert shown_number(client.picture()[1]) == 5


def test_states_are_told_at_once_and_when_they_change(hub: LiveHub, url: str) -> None:
    hub.on_result(numbered(0), [StreamStarted(**_STAMP, source="x", width=640, height=480, live=True)])
    with LiveClient(url) as client:
        assert client.states() == {"door": {"state": "online", "reason": None, "frozen": False}}
        hub.on_event(StreamOffline(**_STAMP, reason="timed out"))
        assert client.states()["door"] == {"state": "reconnecting", "reason": "timed out", "frozen": False}
        ledger = FrameCounts(decoded=1, processed=1, dropped={}, failed={})
        hub.on_event(StreamEnded(**_STAMP, reason="removed", ledger=ledger))
        assert client.states() == {}
    assert hub.newest("door") is None


def test_the_last_picture_of_an_ended_stream_can_still_be_seen(hub: LiveHub, url: str) -> None:
    hub.on_result(numbered(4), ())
    hub.on_event(StreamEnded(**_STAMP, reason="end", ledger=FrameCounts(decoded=1, processed=1, dropped={}, failed={})))
    hub.close()
    with LiveClient(url) as client:
        client.watch(door=320)
        assert shown_number(client.picture()[1]) == 4


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x01",
        "{",
        "[]",
        '{"type": "watch", "tiles": [{"stream": "door", "width": 0}]}',
        '{"type": "watch", "tiles": [{"stream": 5, "width": 100}]}',
        '{"type": "ack", "stream": "' + "x" * MAX_REQUEST_CHARS + '"}',
    ],
)
def test_nonsense_ends_that_connection_alone(hub: LiveHub, url: str, nonsense: str | bytes) -> None:
    with LiveClient(url) as other, LiveClient(url) as client:
        client.connection.send(nonsense)
        with pytest.raises(ConnectionClosed):
            client.picture()
        hub.on_result(numbered(0), ())
        other.watch(door=320)
        assert shown_number(other.picture()[1]) == 0


def test_frames_go_on_after_the_server_has_ended(hub: LiveHub) -> None:
    with ExitStack() as stack, serve_live(hub) as url:
        client = stack.enter_context(LiveClient(url))
        client.watch(door=320)
        hub.on_result(numbered(0), ())
        client.picture()
        client.acknowledge("door")
    hub.on_result(numbered(1), [StreamOffline(**_STAMP, reason="")])
    newest = hub.newest("door")
    assert newest is not None and newest.frame.index == 1
