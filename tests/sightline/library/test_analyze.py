"""The loop over results: what it gives, how it ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import sightline
from pipeline.errors import ConfigError, SourceError
from pipeline.events import StreamEnded, StreamStarted, TrackEnded, TrackStarted, ZoneEntered
from pipeline.types import Image, SourceInfo
from sinks.files.jsonl import JsonlSink
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box, picture
from tests.support.waiting import PATIENCE_S


def endless() -> Iterator[Image]:
    number = 0
    while True:
        yield picture([(10 + number % 50, 40, 40 + number % 50, 80)])
        number += 1


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_the_loop_gives_every_frame_with_its_objects_and_events() -> None:
    results = list(sightline.analyze(moving_box(12), detector=BlobDetector(), fps=10))
    assert [result.index for result in results] == list(range(12))
    assert results[5].pts_s == pytest.approx(0.5)
    assert isinstance(results[0].events[0], StreamStarted)
    last = results[-1]
    assert repr(last) == "Result(frames, frame 11, 1.10 s, Tracks(1: 1 blob))"
    (thing,) = last.objects
    assert (thing.track_id, thing.class_name, len(last)) == (1, "blob", 1)
    assert thing.xyxy == pytest.approx((32, 40, 62, 80), abs=1)
    assert thing.xywh[2:] == pytest.approx((30, 40), abs=1)
    assert thing.xyxyn[0] == pytest.approx(32 / 160, abs=0.01)
    assert last.annotated().shape == (120, 160, 3)
    assert last._repr_png_().startswith(b"\x89PNG")
    assert not last.image.flags.writeable


def test_results_can_be_sent_to_another_process() -> None:
    results = list(sightline.analyze(moving_box(5), detector=BlobDetector()))
    for result in results:
        sent = pickle.loads(pickle.dumps(result))  # noqa: S301 - of our own
        assert repr(sent) == repr(result)
        assert (sent.objects, sent.events) == (result.objects, result.events)
        assert np.array_equal(sent.image, result.image)
        assert np.array_equal(sent.annotated(), result.annotated())


def test_what_ends_with_the_stream_is_told_after_the_loop() -> None:
    analysis = sightline.analyze(moving_box(5), detector=BlobDetector())
    started = [event for result in analysis for event in result.events if isinstance(event, TrackStarted)]
    assert len(started) == 1
    assert {TrackEnded, StreamEnded} <= {type(event) for event in analysis.events_after}
    assert analysis.report is not None
    assert analysis.report.streams["frames"].processed == 5


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, Fraction])
def test_the_times_of_frames_may_be_any_numbers(number: type) -> None:
    frames = [(number(second), image) for second, image in enumerate(moving_box(3))]
    results = list(sightline.analyze(frames, detector=BlobDetector()))
    assert [result.pts_s for result in results] == [0, 1, 2]


def test_objects_know_their_zones() -> None:
    corners = {"left": [(0, 0), (80, 0), (80, 120), (0, 120)], "all": [(0, 0), (160, 0), (160, 120), (0, 120)]}
    zones = {name: {"polygon": polygon} for name, polygon in corners.items()}
    results = list(sightline.analyze(moving_box(8, step=1), detector=BlobDetector(), zones=zones))
    assert results[-1].objects[0].zones == ("left", "all")
    assert any(isinstance(event, ZoneEntered) for result in results for event in result.events)


def test_leaving_the_loop_ends_the_run_and_leaves_nothing() -> None:
    before, pulled = threads(), 0

    def frames() -> Iterator[Image]:
        nonlocal pulled
        for image in endless():
            pulled += 1
            yield image

    sink = MemorySink()
    settings = {"queues": {"frames": 1}, "model": {"batch": 1}}
    kept: list[weakref.ref[object]] = []
    for result in sightline.analyze(frames(), detector=BlobDetector(), sinks=[sink], queue=1, **settings):  # type: ignore[arg-type]
        kept.append(weakref.ref(result))
        if result.index == 9:
            break
    del result
    assert threads() == before
    assert sink.calls[-1] == "close"
    # One in the queue, one that the run has in hand before it, one decoded, one being decoded, and two at the detector.
    assert pulled <= 10 + 6
    gc.collect()
    assert not any(reference() for reference in kept)


def test_an_analysis_that_is_not_looped_over_opens_nothing() -> None:
    source = MemorySource(moving_box(3))
    with sightline.analyze(source, detector=BlobDetector()):
        pass
    assert source.closed.is_set()


def test_a_second_loop_is_refused() -> None:
    analysis = sightline.analyze(moving_box(3), detector=BlobDetector())
    assert len(list(analysis)) == 3
    with pytest.raises(RuntimeError, match="looped over already"):
        next(iter(analysis))


def test_what_goes_wrong_is_raised_in_the_loop() -> None:
    def broken() -> Iterator[Image]:
        yield from moving_box(4)
        raise KeyError("the camera's own error")

    seen = 0
    with pytest.raises(KeyError, match="the camera's own error"):
        for _ in sightline.analyze(broken(), detector=BlobDetector()):
            seen += 1
    assert seen == 4
    with pytest.raises(RuntimeError, match="the detector broke"):
        list(sightline.analyze(moving_box(30), detector=BlobDetector(fail_at=3)))
    with pytest.raises(SourceError, match="no such file"):
        list(sightline.analyze("no-such-file.mp4", detector=BlobDetector()))


def test_the_error_of_one_of_several_streams_is_in_the_report() -> None:
    sources = [
        MemorySource(moving_box(3), stream="good"),
        MemorySource(moving_box(2), stream="bad", error=OSError("gone")),
    ]
    analysis = sightline.analyze(sources, detector=BlobDetector())
    assert [result.stream for result in analysis].count("good") == 3
    assert analysis.report is not None
    assert "gone" in str(analysis.report.streams["bad"].error)


def test_a_loop_in_another_thread_works() -> None:
    seen: list[int] = []
    thread = threading.Thread(
        target=lambda: seen.extend(len(result) for result in sightline.analyze(moving_box(6), detector=BlobDetector()))
    )
    thread.start()
    thread.join(PATIENCE_S)
    assert len(seen) == 6


def test_a_program_may_end_with_a_loop_that_it_never_finished(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sightline\n"
        "from tests.support.fakes import BlobDetector, moving_box\n"
        "results = iter(sightline.analyze(moving_box(99), detector=BlobDetector()))\n"
        "print(next(results).index)\n"
    )
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.stdout == "0\n"


def test_async_for() -> None:
    async def count(limit: int) -> int:
        seen = 0
        async for _ in sightline.analyze(endless() if limit < 9 else moving_box(9), detector=BlobDetector()):
            seen += 1
            if seen == limit:
                break
        return seen

    before = threads()
    assert asyncio.run(count(99)) == 9
    assert asyncio.run(count(5)) == 5
    for thread in threads() - before:
        thread.join(PATIENCE_S)
    assert threads() == before


def test_a_cancelled_async_loop_ends_the_run() -> None:
    async def watch() -> None:
        async for _ in sightline.analyze(endless(), detector=BlobDetector()):
            await asyncio.sleep(0)

    async def run() -> None:
        task = asyncio.create_task(watch())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = threads()
    asyncio.run(run())
    for thread in threads() - before:
        thread.join(PATIENCE_S)
    assert threads() == before


def test_a_slow_loop_over_something_live_gets_the_newest_and_every_event() -> None:
    source = MemorySource(moving_box(300), fps=1000)
    source.info = SourceInfo(160, 120, fps=Fraction(1000), live=True, uri="memory")
    sink = MemorySink()
    analysis = sightline.analyze(source, detector=BlobDetector(), sinks=[sink], queue=2)
    got = []
    for result in analysis:
        got.append(result)
        if len(got) == 1:  # until all that is not dropped has been processed
            while analysis.missed == 0 and len(sink.frames) < 5 and not sink.closed_with:
                threading.Event().wait(0.01)
    assert [event.seq for result in got for event in result.events] == sorted(
        event.seq for event in sink.events if event.seq not in {left.seq for left in analysis.events_after}
    )
    assert len(got) + analysis.missed == len(sink.frames)


def test_files_paths_and_pictures(tmp_path: Path) -> None:
    for number, image in enumerate(moving_box(3)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    folder = [result.stream for result in sightline.analyze(tmp_path, detector=BlobDetector())]
    assert len(folder) == 3
    streams = {result.stream for result in sightline.analyze([tmp_path, tmp_path], detector=BlobDetector())}
    assert streams == {folder[0], f"{folder[0]}-2"}
    named = {
        result.stream
        for result in sightline.analyze({"door": tmp_path, "hall": moving_box(2)}, detector=BlobDetector())
    }
    assert named == {"door", "hall"}


def test_frames_may_bring_their_times() -> None:
    pairs = [(100 + number * 0.25, image) for number, image in enumerate(moving_box(4))]
    assert [result.pts_s for result in sightline.analyze(pairs, detector=BlobDetector())] == [0, 0.25, 0.5, 0.75]
    frames = []
    for number, image in enumerate(moving_box(4)):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = 5 * number, Fraction(1, 10)
        frames.append(frame)
    results = list(sightline.analyze(frames, detector=BlobDetector()))
    assert [result.pts_s for result in results] == [0, 0.5, 1.0, 1.5]
    assert (results[2].image == moving_box(4)[2]).all()
    with pytest.raises(SourceError, match="not later"):
        list(sightline.analyze(reversed(pairs), detector=BlobDetector()))


def test_an_iterator_may_use_its_array_again() -> None:
    shared = np.zeros((120, 160, 3), np.uint8)

    def frames() -> Iterator[Image]:
        for image in moving_box(6):
            shared[:] = image
            yield shared

    results = list(sightline.analyze(frames(), detector=BlobDetector()))
    assert all((result.image == image).all() for result, image in zip(results, moving_box(6), strict=True))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list of sources is empty"),
        (3.5, "expected an address"),
        (["a.mp4", picture([])], "frames and other things"),
        (None, "give a source"),
    ],
)
def test_what_is_no_source_is_refused(source: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sightline.analyze(source)  # type: ignore[arg-type]


def test_settings_are_named_as_in_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("source: clip.mp4\ntracker: {name: sort}\nmodel: {confidence: 0.5}\n")
    analysis = sightline.analyze(
        config=config, confidence=0.4, tracker={"settings": {"iou": 0.2}}, model="yolov3", classes=["person"]
    )
    assert analysis.config.model.confidence == 0.4
    assert analysis.config.model.name == "yolov3"
    assert analysis.config.tracker.name == "sort"
    assert analysis.config.filters.classes == ("person",)
    with pytest.raises(ConfigError, match=r"confidense.*did you mean confidence"):
        sightline.analyze("clip.mp4", confidense=0.4)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"keyword arguments: model\.confidence: got 7"):
        sightline.analyze("clip.mp4", confidence=7)


def test_outputs_may_be_given(tmp_path: Path) -> None:
    report, events = tmp_path / "report.json", tmp_path / "events.jsonl"
    for _ in sightline.analyze(moving_box(4), detector=BlobDetector(), report=report, sinks=[JsonlSink(events)]):
        pass
    assert '"processed": 4' in report.read_text()
    assert '"stream.ended"' in events.read_text()


def test_a_progress_bar_is_drawn_by_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(sightline.analyze(moving_box(4), detector=BlobDetector(), progress=True))) == 4
