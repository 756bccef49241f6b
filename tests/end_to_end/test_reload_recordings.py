"""A reload keeps what a stream recorded: it goes on, or is completed beside a file with a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.errors import SourceError
from pipeline.models.custom import choose_model
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.types import TrackedFrame
from sightline.composition.reload import Before
from sightline.composition.reloader import build_reloader
from sightline.composition.streams import Sight, build_stream
from sightline.config.schema import Config
from tests.support.clips import write_clip
from tests.support.fakes import BlobDetector, MemorySink, picture

COUNT = 60
_CLOSED_PORT = "rtsp://127.0.0.1:1/none"


class Watching(MemorySink):
    def __init__(self, at: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._at = at

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        if len(self.frames) in self._at:
            self._at.pop(len(self.frames))()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(
        tmp_path / "door.mp4",
        count=COUNT,
        audio=True,
        draw=lambda number: picture([(10 + number, 40, 40 + number, 80)]),
    )


class Site:
    """A run of one file, whose configuration is changed at some frames."""

    def __init__(self, clip: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.clip = clip
        self.said: list[str] = []

    def config(self, **changes: Any) -> Config:
        output = {"video": str(self.folder / "{stream}.mp4"), "tracks": str(self.folder / "{stream}.txt")}
        output |= changes.pop("output", {})
        # With hindsight a change would come a second of the file after the frame that asks for it was shown.
        tracker = {"lag_s": 0, **changes.pop("tracker", {})}
        stream = {"source": str(self.clip), "tracker": tracker, **changes}
        return Config.model_validate_json(json.dumps({"streams": {"door": stream}, "output": output}))

    def run(self, *changes: dict[str, Any]) -> Report:
        """The first configuration, and after every 15 frames another one."""
        self.now = self.config()
        watching = Watching({})
        with ExitStack() as stack:
            sight = Sight.of(choose_model("tiny-yolov3", {}), self.now.model)
            (described,) = self.now.resolved_streams()
            pipeline = Pipeline(
                build_stream(self.now, described, sight, stack), BlobDetector(), sinks=[watching], queue=1, batch=1
            )
            reloader = build_reloader(pipeline, self.now, lambda: self.now)

            def change(settings: dict[str, Any]) -> None:
                self.now = self.config(**settings)
                self.said.append(reloader.reload())

            for number, settings in enumerate(changes, 1):
                watching._at[15 * number] = lambda settings=settings: change(settings)  # type: ignore[misc]
            report = pipeline.run()
        assert report.streams["door"].processed == COUNT
        assert [tracked.frame.index for tracked in watching.frames] == list(range(COUNT))
        return report

    def frames(self, name: str) -> tuple[int, bool]:
        """Pictures of a video, and whether it has sound."""
        with av.open(str(self.folder / name)) as container:
            sound = bool(container.streams.audio)
            return sum(1 for _ in container.decode(video=0)), sound

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def test_recordings_go_on_where_nothing_of_them_was_changed(clip: Path, tmp_path: Path) -> None:
    site = Site(clip, tmp_path / "out")
    site.run({"detect_every": 2}, {"filters": {"min_size": [3, 3]}}, {"tracker": {"name": "sort"}})
    assert all("1 changed (door)" in said for said in site.said), site.said
    assert site.files() == ["door.mp4", "door.txt"]
    assert site.frames("door.mp4") == (COUNT, True)
    rows = [line.split(",") for line in (site.folder / "door.txt").read_text().splitlines()]
    numbers = [int(row[0]) for row in rows]
    assert numbers == sorted(numbers)
    assert len({row[1] for row in rows}) == 2, "the track ends with its tracker alone, and the next id is another"


def test_what_was_recorded_is_completed_before_another_file_begins(clip: Path, tmp_path: Path) -> None:
    site = Site(clip, tmp_path / "out")
    line = {"start": [0.5, 0], "end": [0.5, 1], "units": "fraction"}
    (tmp_path / "out" / "door-2.mp4").write_bytes(b"of another run")
    site.run({"output": {"fps": 25}}, {"output": {"fps": 25}, "lines": {"middle": line}})
    # A line is counted at from then on, and drawn; the recording goes on.
    assert site.files() == ["door-2.mp4", "door-3.mp4", "door.mp4", "door.txt"]
    assert (site.folder / "door-2.mp4").read_bytes() == b"of another run"
    lengths = [site.frames(name)[0] for name in ("door.mp4", "door-3.mp4")]
    assert sum(lengths) == COUNT, "each picture is in one of them"
    assert lengths[0] == pytest.approx(15, abs=2)
    assert [site.frames(name)[1] for name in ("door.mp4", "door-3.mp4")] == [True, False]


def test_tracks_file_that_moves(clip: Path, tmp_path: Path) -> None:
    site = Site(clip, tmp_path / "out")
    other, same = str(site.folder / "other.txt"), str(site.folder / "door.txt")
    site.run({"output": {"tracks": other}}, {"output": {"tracks": same}}, {"output": {"tracks": None}})
    assert site.files() == ["door-2.txt", "door.mp4", "door.txt", "other.txt"]
    rows = [line for name in ("door.txt", "other.txt", "door-2.txt") for line in (site.folder / name).open()]
    numbers = [int(line.split(",")[0]) for line in rows]
    assert numbers == sorted(numbers)
    # A new track is shown at its third look.
    assert len(numbers) == pytest.approx(45, abs=4)


def test_a_camera_that_can_not_be_opened_takes_nobody_s_place(clip: Path, tmp_path: Path) -> None:
    site = Site(clip, tmp_path / "out")
    site.run({"source": _CLOSED_PORT}, {"source": str(tmp_path / "nothing.mp4")}, {"detect_every": 2})
    assert [said.startswith("error: the configuration is not taken over") for said in site.said] == [True, True, False]
    assert site.frames("door.mp4") == (COUNT, True)


def test_a_camera_of_ones_own_may_be_off_when_it_is_added(clip: Path, tmp_path: Path) -> None:
    site = Site(clip, tmp_path / "out")
    config = site.config(source=_CLOSED_PORT)
    sight = Sight.of(choose_model("tiny-yolov3", {}), config.model)
    (described,) = config.resolved_streams()
    with ExitStack() as stack:
        added = build_stream(config, described, sight, stack)
        assert added.source.info.live
        (old,) = site.config().resolved_streams()
        with pytest.raises(SourceError, match="127"):
            build_stream(config, described, sight, stack, before=Before(old, added))
