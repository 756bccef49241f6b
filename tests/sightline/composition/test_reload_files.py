"""A changed configuration whose outputs would destroy what the run reads or writes is not taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import TrackedFrame
from sightline.composition.reload import Reloader
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from tests.sightline.composition.test_reload import Camera, Described
from tests.support.fakes import BlobDetector, MemorySink
from trackers.sort import SortTracker


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": "a.txt", "b": "b.txt", "c": "a.txt"}, "the tracks would be written there too"),
        ({"a": "a.txt", "b": "./x/../a.txt"}, "the tracks would be written there too, as a.txt"),
        ({"a": "b.txt", "b": "a.txt"}, "the tracks would be written there too"),
        ({"a": "a.txt", "c": "b.txt"}, "the tracks would be written there too"),
        ({"a": "a.txt", "b": "events.jsonl"}, "the events would be written there too"),
        ({"a": "a.txt", "b": "b.txt", "c": "clip-of-a"}, "it is what stream a reads"),
        ({"a": "a.txt", "b": "b.txt", "c": "a.partial.txt"}, "the tracks would be written there too, as a.txt"),
    ],
    ids=["another's", "another spelling", "exchanged", "of one to be removed", "shared", "an input", "in the making"],
)
def test_a_conflict_leaves_the_run_as_it_is(
    change: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    for name in "abc":
        Path(f"clip-of-{name}").write_bytes(b"video")
    outputs, said, cameras = {"a": "a.txt", "b": "b.txt"}, list[str](), list[Camera]()

    class Changing(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 5:
                outputs.clear()
                outputs.update(change)
                said.append(reloader.reload())
                for camera in cameras:
                    camera.over.set()

    def build(described: Described, before: object = None) -> Stream:
        camera = Camera(described.name, 1000)
        camera.info = type(camera.info)(160, 120, uri=f"clip-of-{described.name}")
        cameras.append(camera)
        sinks: list[Sink] = [MotSink(outputs[described.name])]
        if not said and described.name == "a":
            sinks.append(Changing())
        return Stream(source=camera, tracker=SortTracker(), sinks=sinks)

    def described() -> list[Described]:
        return [Described(name, hash(path)) for name, path in outputs.items()]

    first = described()
    pipeline = Pipeline([build(one) for one in first], BlobDetector(), sinks=[JsonlSink("events.jsonl")])
    reloader = Reloader(pipeline, first, load=lambda: (described(), ()), build=build)
    report = pipeline.run()
    (line,) = said
    assert line.startswith("error: the configuration is not taken over: cannot write the tracks to ")
    assert says in line
    assert set(report.streams) == {"a", "b"}
    assert all(stream.error is None for stream in report.streams.values())
    assert Path("clip-of-a").read_bytes() == b"video"
    assert Path("a.txt").read_text()
    assert Path("b.txt").exists()
