"""Evidence of whole runs over a scene that is known: each picture shows the object where its box says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.analytics.lines import Line
from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.event_codec import event_type
from pipeline.events import AlertEnded, AlertStarted, Event, EvidenceReady, LineCrossed, StreamEnded, TrackEnded
from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.rules.rule import Rule
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.privacy import Privacy
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Image
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.pictures import PictureOptions
from sinks.evidence.sink import EvidenceSink
from tests.support.clips import write_clip
from tests.support.evidence_scene import BEST, FPS, FRAMES, HEIGHT, WIDTH, number_of, place, scene
from tests.support.fakes import BlobDetector, MemorySink, MemorySource
from trackers.factory import create_tracker

IMAGES = [scene(number) for number in range(FRAMES)]
ZONE = Zone("right", [(0.4, 0), (1, 0), (1, 1), (0.4, 1)], units="fraction")
LINE = Line("gate", (0.5, 0), (0.5, 1), units="fraction")
RULE = Rule(name="somebody", when="in_zone", zone="right", for_s=1)
ALL = EvidenceWanted(alerts=True, zones=True, lines=True, tracks=True)
# Something is hidden where nothing is.
ELSEWHERE = Privacy(areas={"corner": [(0.9, 0.8), (1, 0.8), (1, 1)]}, units="fraction")


def run(
    folder: Path, wanted: EvidenceWanted = ALL, pictures: PictureOptions | None = None, **options: Any
) -> list[Event]:
    desk, memory = EvidenceDesk(wanted), MemorySink()
    made = EvidenceSink(desk, EvidenceFolder(folder, "memory"), options=pictures)
    stream = Stream(
        source=MemorySource(IMAGES, fps=FPS),
        tracker=create_tracker(),
        sinks=[memory, made],
        analytics=AnalyticsOptions(zones=[ZONE], lines=[LINE]),
        rules=[RULE],
        evidence=desk,
        **options,
    )
    Pipeline(stream, BlobDetector()).run()
    return memory.events


def read(folder: Path, event: EvidenceReady) -> Image:
    path = folder / event.path
    assert path.stat().st_size == event.size_bytes
    return np.asarray(cv2.imread(str(path)), np.uint8)


def blue(image: Image) -> Any:
    """The rows and columns in which the object is."""
    found = image[..., 0] > 127
    return np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"lag_s": 0.0},
    "every third": {"lag_s": 0.0, "detect_every": 3},
    "with hindsight": {"lag_s": None},
    "every third with hindsight": {"lag_s": None, "detect_every": 3},
    "masked": {"lag_s": 0.0, "privacy": ELSEWHERE},
    "masked with hindsight": {"lag_s": None, "privacy": ELSEWHERE},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_picture_shows_the_object_in_its_box(name: str, tmp_path: Path) -> None:
    clean = PictureOptions(picture="clean", crop="clean", quality=95)
    events = run(tmp_path, pictures=clean, **SETTINGS[name])
    ready = [event for event in events if isinstance(event, EvidenceReady)]
    assert {event.about for event in ready} == {
        "alert.started",
        "zone.entered",
        "zone.left",
        "line.crossed",
        "track.ended",
    }
    numbers = {}
    for event in ready:
        assert (event.masked, event.annotated) == ("masked" in name, False)
        image = read(tmp_path, event)
        if event.kind == "picture":
            number = numbers[event.evidence] = number_of(image)
            assert event.from_pts_s == event.to_pts_s == number / FPS
            assert np.abs(image.astype(int) - scene(number)).mean() < 1.5, "it is that very picture"
    for event in ready:
        if event.kind == "crop":
            box = place(numbers[event.evidence])
            assert box is not None
            rows, columns = blue(read(tmp_path, event))
            sides = (box[3] - box[1], box[2] - box[0])
            image = read(tmp_path, event)
            for found, side, length in zip((rows, columns), sides, image.shape[:2], strict=True):
                assert abs(len(found) - side) <= 2, "all of the object is in it"
                assert found[0] > 0 and found[-1] < length - 1, "and something around it"
                assert length <= 1.3 * side + 8, "but not much"


def test_the_best_picture_of_an_object_is_taken(tmp_path: Path) -> None:
    events = run(
        tmp_path, EvidenceWanted(tracks=True, alerts=False), PictureOptions(picture="clean", crop=None), lag_s=0.0
    )
    (ready,) = (event for event in events if isinstance(event, EvidenceReady))
    # Pixels are looked at in every second picture.
    assert abs(number_of(read(tmp_path, ready)) - BEST) <= 2


def test_what_happens_at_a_line_is_shown_by_that_very_picture(tmp_path: Path) -> None:
    events = run(
        tmp_path, EvidenceWanted(lines=True), PictureOptions(picture="clean", crop=None), lag_s=0.0, detect_every=3
    )
    (crossed,) = (event for event in events if isinstance(event, LineCrossed))
    ready = next(event for event in events if isinstance(event, EvidenceReady) and event.about == "line.crossed")
    assert ready.from_pts_s == crossed.pts_s
    assert (ready.evidence, ready.about_seq, ready.track_ids) == (crossed.evidence, crossed.seq, (crossed.track_id,))


def test_what_was_found_is_drawn_on_it(tmp_path: Path) -> None:
    events = run(
        tmp_path, EvidenceWanted(tracks=True), PictureOptions(picture="annotated", crop="annotated"), lag_s=None
    )
    ready = [event for event in events if isinstance(event, EvidenceReady) and event.about == "track.ended"]
    assert [event.kind for event in ready] == ["picture", "crop"]
    image = read(tmp_path, ready[0])
    number = number_of(image)
    box = place(number)
    assert box is not None
    drawn = np.abs(image.astype(int) - scene(number)).max(axis=2) > 80
    left, top, right, bottom = box
    middle = (top + bottom) // 2
    for edge in (left, right):
        assert drawn[middle, edge - 3 : edge + 3].any(), "a line at each side of the object"
    assert not drawn[middle, left + 8 : right - 8].any()
    assert read(tmp_path, ready[1]).size < image.size
    assert all(event.annotated for event in ready)


def test_events_name_their_evidence_and_it_comes_before_the_end(tmp_path: Path) -> None:
    events = run(tmp_path, EvidenceWanted(alerts=True), lag_s=0.0)
    started = next(event for event in events if isinstance(event, AlertStarted))
    ended = next(event for event in events if isinstance(event, AlertEnded))
    ready = [event for event in events if isinstance(event, EvidenceReady)]
    assert started.evidence is not None
    assert {ended.evidence, *(event.evidence for event in ready)} == {started.evidence}
    assert [event.kind for event in ready] == ["picture", "crop"]
    assert all((event.alert_id, event.track_ids) == (started.alert_id, started.tracks) for event in ready)
    assert all(event.seq > started.seq for event in ready)
    assert isinstance(events[-1], StreamEnded)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    others = [event for event in events if isinstance(event, TrackEnded | LineCrossed)]
    assert others
    assert all(event.evidence is None for event in others)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    assert files == sorted(event.path for event in ready)
    assert all(event_type(started) in path and str(started.seq) in path for path in files)


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    events = run(tmp_path, EvidenceWanted(alerts=True), PictureOptions(max_side=100, quality=50), lag_s=0.0)
    ready = [event for event in events if isinstance(event, EvidenceReady)]
    assert read(tmp_path, ready[0]).shape == (100 * HEIGHT // WIDTH, 100, 3)
    assert max(read(tmp_path, ready[1]).shape) <= 100


def test_objects_that_are_hidden_are_hidden_in_evidence(tmp_path: Path) -> None:
    for lag_s in (0.0, None):
        folder = tmp_path / str(lag_s)
        events = run(folder, privacy=Privacy(classes=["blob"]), lag_s=lag_s)
        ready = [event for event in events if isinstance(event, EvidenceReady)]
        assert len(ready) >= 8
        for event in ready:
            image = read(folder, event)
            if not event.annotated:
                assert image[..., 0].max() < 40
            assert event.masked


def test_the_same_holds_for_a_file_that_is_decoded_and_looked_at_as_often_as_it_asks_for(tmp_path: Path) -> None:
    """Frames whose pixels are made when somebody asks; of most the detector never does."""
    video = write_clip(tmp_path / "scene.mp4", count=FRAMES, fps=FPS, size=(WIDTH, HEIGHT), draw=scene)
    settings = {
        "source": str(video),
        "detect_every": "auto",
        "zones": {"right": {"polygon": [[0.4, 0], [1, 0], [1, 1], [0.4, 1]], "units": "fraction"}},
        "evidence": {"folder": str(tmp_path / "out"), "zones": True, "tracks": True, "picture": "clean"},
    }
    memory = MemorySink()
    build_pipeline(load_config(None, (), settings), sinks=[memory], detector=BlobDetector()).run()
    ready = [event for event in memory.events if isinstance(event, EvidenceReady)]
    assert {event.about for event in ready} == {"zone.entered", "zone.left", "track.ended"}
    for whole, crop in zip(ready[::2], ready[1::2], strict=True):
        number = number_of(read(tmp_path / "out", whole))
        assert whole.from_pts_s == pytest.approx(number / FPS)
        box = place(number)
        assert box is not None
        image = read(tmp_path / "out", crop)
        rows, columns = blue(image)
        assert abs(len(rows) - (box[3] - box[1])) <= 3 and abs(len(columns) - (box[2] - box[0])) <= 3
        assert rows[0] > 0 and rows[-1] < image.shape[0] - 1 and columns[0] > 0 and columns[-1] < image.shape[1] - 1
