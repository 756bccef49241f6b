"""Pictures of a shard's streams: over the wire to who has the key, and to nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest
import zmq

from pipeline.types import SourceInfo, TrackedFrame
from sightline.cluster.messages import Feed
from sightline.cluster.pictures import PictureReader, PictureServer
from sightline.server.live.hub import LiveHub
from sinks.feed.keys import KeyPair
from sinks.feed.sockets import Security
from tests.support.tracked_frames import Shown, tracked_frame
from tests.support.waiting import PATIENCE_S


def frame(stream: str, captured_s: float) -> TrackedFrame:
    return tracked_frame(0, 0.0, {7: Shown((100, 60, 200, 180))}, size=(320, 240), stream=stream, captured_s=captured_s)


def keys() -> KeyPair:
    return KeyPair(*zmq.curve_keypair())


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.cluster.pictures.ANSWER_S", PATIENCE_S)


@contextmanager
def pictures() -> Iterator[tuple[LiveHub, PictureServer, Feed]]:
    hub, own, reader = LiveHub(), keys(), keys()
    server = PictureServer("127.0.0.1", hub, Security(own, frozenset({reader.public})))
    feed = Feed(
        endpoint="", server_key=own.public.decode(), public=reader.public.decode(), secret=reader.secret.decode()
    )
    try:
        yield hub, server, feed
    finally:
        server.close()


@pytest.fixture
def reader() -> Iterator[PictureReader]:
    made = PictureReader()
    yield made
    made.close()


def test_the_newest_picture_comes_as_wide_as_it_is_shown_with_its_boxes_and_its_age(reader: PictureReader) -> None:
    with pictures() as (hub, server, feed):
        hub.open("door", SourceInfo(320, 240, live=True), ("person",))
        assert reader.picture(server.endpoint, feed, "door", 160) is None
        hub.on_frame(frame("door", time.monotonic() - 1.5))
        shown = reader.picture(server.endpoint, feed, "door", 150)
        assert shown is not None and shown.age_s >= 1.5
        image = cv2.imdecode(np.frombuffer(shown.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None and image.shape == (120, 160, 3)
        assert image[-5:, :5].max() < 12 and image.max() > 60, "a box is drawn on what was black"
        assert reader.picture(server.endpoint, feed, "lane", 160) is None


def test_without_the_key_there_are_none(reader: PictureReader, monkeypatch: pytest.MonkeyPatch) -> None:
    with pictures() as (hub, server, feed):
        hub.on_frame(frame("door", time.monotonic()))
        stranger = keys()
        other = replace(feed, public=stranger.public.decode(), secret=stranger.secret.decode())
        with monkeypatch.context() as patch:
            patch.setattr("sightline.cluster.pictures.ANSWER_S", 0.5)
            assert reader.picture(server.endpoint, other, "door", 160) is None
        assert reader.picture(server.endpoint, feed, "door", 160) is not None


def test_what_is_no_request_is_not_answered(reader: PictureReader) -> None:
    with pictures() as (hub, server, feed), zmq.Context() as context, context.socket(zmq.DEALER) as asking:
        hub.on_frame(frame("door", time.monotonic()))
        asking.curve_serverkey = feed.server_key.encode()
        asking.curve_publickey, asking.curve_secretkey = feed.public.encode(), feed.secret.encode()
        asking.connect(server.endpoint)
        for noise in (
            b"",
            b"\xff{",
            msgspec.json.encode({"stream": 1}),
            msgspec.json.encode({"stream": "x", "width": "y"}),
        ):
            asking.send(noise)
        asking.send_multipart([b"a", b"b", b'{"stream": "door", "width": 160}'])
        assert len(asking.recv_multipart()) == 2, "the first answer is that to the one request"
        assert reader.picture(server.endpoint, feed, "door", 160) is not None
