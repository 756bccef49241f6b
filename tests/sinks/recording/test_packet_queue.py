"""The packets that wait: bounded, whole groups of pictures are lost, and every one is counted."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from pipeline.sources.decoding.tap import CodedPacket, CodedTracks
from sinks.recording.packet_queue import PacketQueue
from tests.support.clips import write_clip
from tests.support.coded_packets import as_camera


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> CodedTracks:
    return as_camera(write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", count=2))[0]


def packet(number: int, *, keyframe: bool = False, sound: bool = False) -> CodedPacket:
    return CodedPacket(sound, bytes(10), number, number, 1, keyframe, float(number))


def put(queue: PacketQueue) -> None:
    for number in range(50):
        queue.take(packet(number))


def test_a_camera_is_never_held_up(tracks: CodedTracks) -> None:
    queue = PacketQueue(most_waiting=35)
    queue.begin(tracks)
    for number in range(8):
        queue.take(packet(number, keyframe=number % 4 == 0))
    queue.take(packet(8, sound=True))
    # Three fit; from then on nothing comes that needs what is missing.
    assert queue.lost == 5
    taken = queue.get()
    assert taken is not None
    assert [each.pts for each in taken if isinstance(each, CodedPacket)] == [0, 1, 2]
    for number in range(9, 14):
        queue.take(packet(number, keyframe=number == 11))
    taken = queue.get()
    assert taken is not None
    assert [each.pts for each in taken if isinstance(each, CodedPacket)] == [11, 12, 13]
    assert queue.lost == 7


def test_what_nobody_wanted_is_no_loss(tracks: CodedTracks) -> None:
    queue = PacketQueue(most_waiting=5, now_wanted=lambda: False)
    queue.begin(tracks)
    queue.take(packet(0, keyframe=True))
    assert queue.lost == 0


def test_a_file_waits(tracks: CodedTracks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.recording.packet_queue._SLEEP_S", 0.01)
    queue = PacketQueue(most_waiting=35)
    queue.begin(replace(tracks, live=False))
    reader = threading.Thread(target=put, args=(queue,))
    reader.start()
    taken: list[int | None] = []
    while len(taken) < 50:
        items = queue.get()
        assert items is not None
        assert len(items) <= 4
        taken += [item.pts for item in items if isinstance(item, CodedPacket)]
    reader.join()
    assert taken == list(range(50))
    assert queue.lost == 0


def test_nobody_waits_for_a_queue_that_is_closed(tracks: CodedTracks) -> None:
    queue = PacketQueue(most_waiting=15)
    queue.begin(replace(tracks, live=False))
    reader = threading.Thread(target=put, args=(queue,))
    reader.start()
    queue.close()
    reader.join()
    while queue.get() is not None:
        pass
