"""What is private reaches no output, whatever the output does with its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.detection.filters import make_filters
from pipeline.errors import ConfigError
from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.images.masking import Effect
from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.privacy import Privacy
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Float64Array, Frame, Image
from sightline.server.live.hub import LiveHub
from sinks.callbacks import CallbacksSink
from sinks.drawing.annotator import Annotator
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.pictures import PictureOptions, Style
from sinks.evidence.sink import EvidenceSink
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box, picture
from trackers.factory import create_tracker

WIDTH, HEIGHT = 160, 120
# A white window at the right, which nobody is to see, beside a box that moves.
WINDOW = (120, 10, 150, 60)
AREA = {"window": [(118, 8), (152, 8), (152, 62), (118, 62)]}
IMAGES = [np.maximum(image, picture([WINDOW])) for image in moving_box(20)]


def run(sink: Sink, privacy: Privacy, images: list[Image] = IMAGES, **options: object) -> None:
    source = MemorySource(images)
    stream = Stream(source=source, tracker=create_tracker(), sinks=[sink], privacy=privacy, **options)  # type: ignore[arg-type]
    Pipeline(stream, BlobDetector()).run()


def recorded(path: Path) -> list[Image]:
    with av.open(str(path)) as video:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in video.decode(video=0)]


def to_mp4(folder: Path, privacy: Privacy) -> list[Image]:
    run(Mp4Sink(folder / "a.mp4", annotate=Annotator), privacy)
    return recorded(folder / "a.mp4")


def to_segments(folder: Path, privacy: Privacy) -> list[Image]:
    run(SegmentedMp4Sink(folder / "a.mp4", segment_s=9), privacy)
    return recorded(max(folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime_ns))


def to_callbacks(folder: Path, privacy: Privacy) -> list[Image]:
    seen: list[Image] = []
    run(CallbacksSink(on_frame=lambda frame: seen.extend((frame.image.copy(), frame.annotated().copy()))), privacy)
    return seen


def to_a_sink(folder: Path, privacy: Privacy) -> list[Image]:
    sink = MemorySink()
    run(sink, privacy)
    return [tracked.frame.image for tracked in sink.frames]


def to_viewers(folder: Path, privacy: Privacy) -> list[Image]:
    hub = LiveHub()
    run(hub, privacy)
    newest = hub.newest("memory")
    assert newest is not None
    return [newest.frame.image]


def to_evidence(folder: Path, privacy: Privacy) -> list[Image]:
    folder /= f"{len(privacy.areas)} areas"
    styles: tuple[Style, ...] = ("clean", "annotated")
    for style in styles:
        desk = EvidenceDesk(EvidenceWanted(zones=True, tracks=True))
        options = PictureOptions(picture=style, crop=None)
        zones = AnalyticsOptions(zones=[Zone("all", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")])
        run(EvidenceSink(desk, EvidenceFolder(folder, style), options=options), privacy, evidence=desk, analytics=zones)
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in folder.rglob("*.jpg")]


OUTPUTS: dict[str, Callable[[Path, Privacy], list[Image]]] = {
    "mp4": to_mp4,
    "segments": to_segments,
    "callbacks": to_callbacks,
    "a sink of one's own": to_a_sink,
    "live pictures": to_viewers,
    "evidence": to_evidence,
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_hidden_area_is_in_no_output(output: str, tmp_path: Path) -> None:
    left, top, right, bottom = WINDOW
    images = OUTPUTS[output](tmp_path, Privacy(areas=AREA))
    assert images
    for image in images:
        assert image.max() > 128, "what is beside it is there"
        # Drawn on it may be what was found there; it has the colours of tracks, and a codec blurs their edges.
        assert image[top:bottom, left:right].min(axis=2).max() < 160
    for image in OUTPUTS[output](tmp_path, Privacy()):
        assert image[top:bottom, left:right].min(axis=2).max() > 200, "it would be seen without"


def test_the_detector_sees_what_outputs_do_not() -> None:
    sink = MemorySink()
    run(sink, Privacy(areas=AREA))
    assert all(len(tracked.tracks) == 2 for tracked in sink.frames)


class ReducedSource(MemorySource):
    """One whose frames have pictures of half the size, too."""

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            half = np.asarray(cv2.resize(frame.image, (WIDTH // 2, HEIGHT // 2)), np.uint8)
            yield Frame(frame.image, frame.index, frame.pts_s, frame.captured_s, frame.stream, reduced=half)


def test_pictures_for_small_screens_are_hidden_too() -> None:
    sink = MemorySink()
    stream = Stream(source=ReducedSource(IMAGES), tracker=create_tracker(), sinks=[sink], privacy=Privacy(areas=AREA))
    Pipeline(stream, BlobDetector()).run()
    left, top, right, bottom = (side // 2 for side in WINDOW)
    for tracked in sink.frames:
        assert tracked.frame.reduced is not None
        assert tracked.frame.reduced[top:bottom, left:right].max() == 0 < tracked.frame.reduced.max()


def test_objects_of_a_class_are_hidden_whatever_filters_keep() -> None:
    """Also where the detector did not look, and where it missed them in a frame."""
    for options in ({}, {"filters": make_filters(("blob",), region=[(0, 0), (9, 0), (9, 9)])}, {"detect_every": 3}):
        for lag_s in (0.0, None):
            sink = MemorySink()
            missed = [picture([]) if index == 10 else image for index, image in enumerate(moving_box(20, step=1))]
            run(sink, Privacy(classes=["blob"]), missed, lag_s=lag_s, **options)
            assert [tracked.frame.image.max() for tracked in sink.frames] == [0] * 20


def test_an_object_seen_many_times_in_a_second_is_hidden_by_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def counted(image: Image, shapes: list[Float64Array], _: Effect) -> Image:
        counts.append(len(shapes))
        return image

    monkeypatch.setattr("pipeline.runtime.streams.privacy.hide", counted)
    sink = MemorySink()
    run(sink, Privacy(classes=["blob"]), moving_box(20, step=1))
    assert [tracked.frame.image.shape for tracked in sink.frames] == [(HEIGHT, WIDTH, 3)] * 20
    assert 1 <= max(counts) <= 3, "not one for each of 20 looks"


def test_an_area_keeps_its_place_when_the_pictures_change_their_size() -> None:
    sink = MemorySink()
    large = [cv2.resize(image, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST) for image in IMAGES[10:]]
    run(sink, Privacy(areas=AREA), [*IMAGES[:10], *np.asarray(large, np.uint8)])
    for tracked in sink.frames:
        scale = tracked.frame.width // WIDTH
        left, top, right, bottom = (scale * side for side in WINDOW)
        assert tracked.frame.image[top:bottom, left:right].max() == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Privacy(areas={"yard": [(0, 0), (1, 1), (2, 2)]}), "privacy.areas.yard"),
        (lambda: run(MemorySink(), Privacy(classes=["blub"])), "privacy.classes"),
    ],
)
def test_what_can_not_be_hidden_is_told(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()


def test_pictures_that_nobody_asks_for_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.runtime.streams.privacy.hide", None)  # whoever hides fails
    sink = MemorySink()
    run(sink, Privacy(areas=AREA))
    assert len(sink.frames) == len(IMAGES)
