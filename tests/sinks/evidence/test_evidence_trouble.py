"""Evidence that can't be made or written: told, counted, and nothing else stops for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from pipeline.events import Event, EvidenceReady, StreamEnded, TrackEnded
from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.privacy import Privacy
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Frame, Image, TrackedFrame
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.pictures import PictureOptions
from sinks.evidence.sink import EvidenceSink
from tests.support.evidence_scene import FPS, FRAMES, scene
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box, picture
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_until
from trackers.factory import create_tracker

# Three objects, one after the other, in different rows.
THREE = [
    picture([(10 + 4 * (number % 20), 10 + 40 * (number // 20), 40 + 4 * (number % 20), 35 + 40 * (number // 20))])
    for number in range(60)
]


class Acting(MemorySink):
    """Does something at certain frames."""

    def __init__(self, at: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._at = at

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        self._at.get(len(self.frames), lambda: None)()


def parts(folder: Path, memory: MemorySink, wanted: EvidenceWanted, images: list[Image] = THREE) -> Stream:
    desk = EvidenceDesk(wanted)
    made = EvidenceSink(desk, EvidenceFolder(folder, "memory"), options=PictureOptions(picture="clean", crop=None))
    return Stream(
        source=MemorySource(images, fps=FPS),
        tracker=create_tracker("bytetrack", max_unseen_s=0.3),
        sinks=[memory, made],
        evidence=desk,
        lag_s=0.0,
    )


def ready(events: list[Event]) -> list[EvidenceReady]:
    return [event for event in events if isinstance(event, EvidenceReady)]


def test_a_full_disk_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "disk", 300) as disk:
        # The first track ends about picture 24 and the second about 44.
        def room_again() -> None:
            wait_until(lambda: "lost" in caplog.text, "the loss")
            disk.free()

        memory = Acting({10: disk.fill, 35: room_again})
        stream = parts(disk.path, memory, EvidenceWanted(tracks=True))
        with caplog.at_level(logging.WARNING):
            report = Pipeline(stream, BlobDetector(), queue=1, batch=1).run()
        ended = [event for event in memory.events if isinstance(event, TrackEnded)]
        assert len(ended) == 3
        assert all(event.evidence for event in ended), "they were to have some"
        told = {event.evidence for event in ready(memory.events)}
        assert told == {event.evidence for event in ended[1:]}
        counts = report.streams["memory"].outputs["EvidenceSink"]
        assert (counts.given, counts.written, counts.lost) == (3, 2, 1)
        assert len([line for line in caplog.messages if "disk is full" in line]) == 1
        assert "written again" in caplog.text
        assert isinstance(memory.events[-1], StreamEnded)
        assert memory.events[-1].error is None


def test_what_is_hidden_from_now_on_is_in_no_picture_from_before(tmp_path: Path) -> None:
    """The best picture is from before the change, so another one is taken."""
    images = [scene(number) for number in range(FRAMES)]
    everything = Privacy(areas={"all": [(0, 0), (1, 0), (1, 1), (0, 1)]}, units="fraction")
    memory = Acting({32: lambda: pipeline.adjust(replace(before, privacy=everything))})
    before = parts(tmp_path, memory, EvidenceWanted(tracks=True), images)
    pipeline = Pipeline(before, BlobDetector(), queue=1, batch=1)
    pipeline.run()
    (told,) = ready(memory.events)
    assert told.masked
    image = cv2.imread(str(tmp_path / told.path))
    assert image is not None
    assert image.max() == 0
    assert told.from_pts_s >= 3.1


def test_pictures_that_nobody_wants_are_not_made(tmp_path: Path) -> None:
    """Of frames that the detector did not look at no pixel is made."""
    made: list[int] = []

    class Lazy(MemorySource):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield Frame(self._maker(frame), frame.index, frame.pts_s, frame.captured_s, "memory", size=(120, 160))

        def _maker(self, frame: Frame) -> Callable[[], Image]:
            def make() -> Image:
                made.append(frame.index)
                return frame.image

            return make

    images = moving_box(40, step=0)
    memory = MemorySink()
    stream = replace(
        parts(tmp_path, memory, EvidenceWanted(tracks=True), images), source=Lazy(images, fps=FPS), detect_every=4
    )
    Pipeline(stream, BlobDetector()).run()
    assert len(ready(memory.events)) == 1
    assert set(made) == set(range(0, 40, 4)), "only what the detector looked at"
    assert list(tmp_path.rglob("*.jpg"))


def test_a_program_that_stops_early_has_its_evidence(tmp_path: Path) -> None:
    memory = Acting({30: lambda: pipeline.stop()})
    stream = parts(tmp_path, memory, EvidenceWanted(tracks=True))
    pipeline = Pipeline(stream, BlobDetector(), queue=1, batch=1)
    pipeline.run()
    ended = [event for event in memory.events if isinstance(event, TrackEnded)]
    assert {event.evidence for event in ready(memory.events)} == {event.evidence for event in ended}
    assert isinstance(memory.events[-1], StreamEnded)
