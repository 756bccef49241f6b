"""Recording a camera that changes, whose connection breaks, on a disk that is full, in a process that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from pipeline.events import OutputCounts
from pipeline.runtime.report import Report
from pipeline.sources.decoding.tap import CodedPacket, CodedTracks
from pipeline.types import Image, SourceInfo
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from sinks.recording.packet_queue import Wanted
from sinks.recording.sink import RecordingSink
from tests.support.clips import write_clip
from tests.support.coded_packets import as_camera, read_packets, recorded_packets, segments
from tests.support.fakes import BlobDetector
from tests.support.rtsp_server import LivePicture, RtspServer, require_rtsp_server
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_until

INFO = SourceInfo(160, 120, live=True)


@contextmanager
def recorder(folder: Path, **options: float) -> Iterator[RecordingSink]:
    sink = RecordingSink(folder, "door", now_s=lambda: 1e9 + time.monotonic(), **options)  # type: ignore[arg-type]
    sink.check()
    sink.open("door", INFO, ["person"])
    try:
        yield sink
    finally:
        sink.packets.end()
        sink.close()


def send(sink: RecordingSink, tracks: CodedTracks, packets: list[CodedPacket]) -> None:
    sink.packets.begin(tracks)
    for packet in packets:
        sink.packets.take(packet)


def sizes(folder: Path) -> list[tuple[int, int]]:
    found = []
    for path in segments(folder):
        with av.open(str(path)) as container:
            found.append((container.streams.video[0].width, container.streams.video[0].height))
            assert sum(1 for _ in container.decode(video=0)) == 30
    return found


@pytest.mark.parametrize("kind", ["byte stream", "jpeg"])
def test_another_resolution_midway_makes_a_new_segment(tmp_path: Path, kind: str) -> None:
    sides = ((160, 120), (320, 240))
    if kind == "jpeg":
        clips = [
            write_clip(tmp_path / f"{side[0]}.avi", count=30, size=side, codec="mjpeg", pixel_format="yuvj420p")
            for side in sides
        ]
    else:
        clips = [write_clip(tmp_path / f"{side[0]}.mp4", count=30, size=side) for side in sides]
    (tracks, first), (_, second) = (as_camera(clip, annex_b=kind != "jpeg") for clip in clips)
    shift = 30 * (first[1].dts or 0)
    later = [
        packet._replace(pts=(packet.pts or 0) + shift, dts=(packet.dts or 0) + shift, arrived_s=packet.arrived_s + 1.2)
        for packet in second
    ]
    with recorder(tmp_path / "out") as sink:
        send(sink, tracks, [*first, *later])
    assert sizes(tmp_path / "out") == list(sides)
    assert sink.counts().written == 60


def test_a_clock_that_is_set_makes_a_new_segment(tmp_path: Path) -> None:
    tracks, packets = as_camera(write_clip(tmp_path / "clip.mp4", count=48))  # keyframes come every 12 frames
    far = 10**9
    set_back = [
        packet if number < 20 else packet._replace(pts=(packet.pts or 0) + far, dts=(packet.dts or 0) + far)
        for number, packet in enumerate(packets)
    ]
    with recorder(tmp_path / "out") as sink:
        send(sink, tracks, set_back)
    # It goes on up to the next keyframe, in which nothing is missing.
    assert [len(read_packets(path).pictures) for path in segments(tmp_path / "out")] == [24, 24]
    for path in segments(tmp_path / "out"):
        times_s = read_packets(path).times_s
        assert times_s == pytest.approx([number / 25 for number in range(24)], abs=0.001)


def test_each_connection_makes_a_segment_that_begins_with_a_keyframe(tmp_path: Path) -> None:
    tracks, packets = as_camera(write_clip(tmp_path / "clip.mp4", count=30))
    with recorder(tmp_path / "out") as sink:
        send(sink, tracks, packets)
        sink.packets.end()
        send(sink, tracks, packets[5:])
    assert [len(read_packets(path).pictures) for path in segments(tmp_path / "out")] == [30, 18]
    assert all(read_packets(path).keyframes[0] for path in segments(tmp_path / "out"))


def test_a_file_whose_connection_broke_is_recorded_on(tmp_path: Path) -> None:
    tracks, packets = as_camera(write_clip(tmp_path / "clip.mp4", count=48))  # keyframes come every 12 frames
    with recorder(tmp_path / "out") as sink:
        send(sink, replace(tracks, live=False), packets[:30])
        sink.packets.end()
        send(sink, replace(tracks, live=False, again=True), packets)
    everything = [packet.data for packet in packets]
    first, second = (read_packets(path).pictures for path in segments(tmp_path / "out"))
    assert first == everything[:30]
    # From the keyframe of the group that was broken off.
    assert second == everything[24:]


def test_on_a_full_disk_the_loss_is_told_and_it_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(1)

    def draw(_: int) -> Image:
        return noise.integers(0, 256, (240, 320, 3), np.uint8)

    clip = write_clip(tmp_path / "clip.mp4", count=50, size=(320, 240), draw=draw, options={"crf": "10"})
    tracks, packets = as_camera(clip)
    turn = sum(len(packet.data) for packet in packets)
    with small_disk(tmp_path / "disk", 3 * turn // 1000) as disk, recorder(disk.path / "out", segment_s=1) as sink:
        sink.packets.begin(tracks)

        def go_round(turns: range) -> None:
            for number in turns:
                shift = number * 50 * (packets[1].dts or 0)
                for packet in packets:
                    pts, dts, arrived_s = (packet.pts or 0) + shift, (packet.dts or 0) + shift, 2 * number
                    sink.packets.take(packet._replace(pts=pts, dts=dts, arrived_s=packet.arrived_s + arrived_s))

        go_round(range(1))
        wait_until(lambda: len(segments(disk.path)) >= 2, "the first segment")
        disk.fill()
        rounds = 25_000_000 // turn + 2  # more than may wait in memory
        go_round(range(1, rounds))
        wait_until(lambda: sink.counts().lost > 0, "a loss")
        assert "the disk is full" in caplog.text
        disk.free()
        for path in segments(disk.path)[:-1]:
            path.unlink()
        lost, before = sink.counts().lost, sink.counts().written
        number = rounds

        def goes_on() -> bool:
            nonlocal number
            go_round(range(number, number + 1))
            number += 1
            for path in segments(disk.path)[:-2]:
                path.unlink()
            return sink.counts().written > before + 60

        wait_until(goes_on, "what is written again")
        assert lost > 0
        newest = [path for path in segments(disk.path) if ".partial" not in path.name][-1]
        assert read_packets(newest).keyframes[0]
    counts = sink.counts()
    assert counts.given == counts.written + counts.lost


_ENDLESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.sinks.recording.test_trouble import INFO
from tests.support.coded_packets import as_camera
from sinks.recording.sink import RecordingSink

tracks, packets = as_camera(Path({clip!r}))
sink = RecordingSink({folder!r}, "door", segment_s=1)
sink.check()
sink.open("door", INFO, ["person"])
sink.packets.begin(tracks)
begun_s, count = time.monotonic(), 0
while True:
    for packet in packets:
        time.sleep(max(0.0, begun_s + count / {fps} - time.monotonic()))
        step = packets[1].dts
        sink.packets.take(packet._replace(pts=count * step, dts=count * step, arrived_s=time.monotonic()))
        count += 1
        while count - sink.counts().given > {fps}:  # on a busy machine it comes to them late
            time.sleep(0.01)
        print(sink.counts().written, count, flush=True)
"""


def kill_while_recording(clip: Path, folder: Path, *, fps: int, came: int) -> tuple[int, int]:
    """Record a clip again and again, and kill that.

    Args:
        clip: the clip.
        folder: where to.
        fps: pictures per second that come.
        came: pictures that are to have come before.

    Returns:
        How many pictures the recording had said to be on the disk, and how many had come.
    """
    program = _ENDLESS.format(root=str(Path(__file__).parents[3]), clip=str(clip), folder=str(folder), fps=fps)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [next(process.stdout) for _ in range(came)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout
    process.wait()
    process.stdout.close()
    written, count = map(int, lines[-1].split())
    return written, count


def test_a_kill_leaves_finished_segments_and_all_but_the_last_pictures_of_the_open_one(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=50, keyframe_every=25, options={"sc_threshold": "0"})
    written, came = kill_while_recording(clip, tmp_path / "out", fps=50, came=112)
    left = check_killed(tmp_path / "out", read_packets(clip).pictures)
    assert left >= written
    assert came - left <= 2 * 25


def check_killed(folder: Path, everything: list[bytes]) -> int:
    """Whether what is left of a recording of a clip, again and again, has no gap and can be played to its end; returns
    how many pictures it has."""
    found = segments(folder)
    assert not any(".partial" in path.name for path in found[:-1])
    for path in found:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.options = {"err_detect": "explode"}
            shown = sum(1 for _ in container.decode(video=0))
        assert shown == len(read_packets(path).pictures)
    got = recorded_packets(folder).pictures
    assert got == (everything * (len(got) // len(everything) + 1))[: len(got)]
    return len(got)


def test_old_segments_make_room_those_of_events_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks, packets = as_camera(write_clip(tmp_path / "clip.mp4", count=10))
    out = tmp_path / "out"
    for _ in range(2):
        with recorder(out) as sink:
            send(sink, tracks, packets)
    with recorder(out) as sink:
        sink.packets.begin(tracks)
        sink.packets.put(Wanted(0.0, 1e9))
        send(sink, tracks, packets)
    assert sorted(path.parent.name for path in segments(out)) == ["events", "out", "out"]
    free = shutil.disk_usage(out).free
    size = segments(out)[0].stat().st_size

    def usage(path: Path) -> SimpleNamespace:
        """Two segments too many for what is to be free."""
        return SimpleNamespace(free=free - sum(each.stat().st_size for each in segments(out)))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with recorder(out, keep_free_mb=(free - 1.5 * size) / 1e6):
        pass
    assert [path.parent.name for path in segments(out)] == ["events"]


def test_analysis_goes_on_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_rtsp_server()
    monkeypatch.setattr("sinks.steady_file._MOST_WAITING", 60_000)
    monkeypatch.setattr("sinks.steady_file._RETRY_S", 0.05)
    with (
        small_disk(tmp_path / "disk", 2000) as disk,
        RtspServer(LivePicture(keyframe_every=10, fps=50)) as server,
    ):
        settings = {"folder": disk.path / "out", "segment_s": 1.0}
        options = {"streams": {"door": {"source": server.url, "recording": settings, "detect_every": 10}}}
        pipeline = build_pipeline(load_config(None, (), options), detector=BlobDetector())
        reports: list[Report] = []
        runner = threading.Thread(target=lambda: reports.append(pipeline.run()))
        runner.start()

        def recorded() -> OutputCounts:
            return pipeline.status()[0].outputs["RecordingSink"]

        try:
            wait_until(lambda: recorded().written > 60, "a recording")
            disk.fill()
            wait_until(lambda: recorded().lost > 60, "a loss")
            lost, processed = recorded().lost, pipeline.status()[0].ledger.processed
            wait_until(lambda: pipeline.status()[0].ledger.processed > processed + 50, "frames that are analysed")
            wait_until(lambda: recorded().lost > lost, "a further loss")
            disk.free()
            written = recorded().written
            wait_until(lambda: recorded().written > written + 60, "a recording that goes on")
        finally:
            pipeline.stop()
            runner.join()
        stream = reports[0].streams["door"]
        assert stream.error is None
        counts = stream.outputs["RecordingSink"]
        assert counts.given == counts.written + counts.lost
        assert read_packets(segments(disk.path)[-1]).keyframes[0]
