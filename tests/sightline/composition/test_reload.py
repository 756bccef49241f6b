"""A changed configuration is taken over while the run goes on, and a mistake in it changes nothing."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SinkError
from pipeline.events import StreamEnded, StreamStarted
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Frame, TrackedFrame
from sightline.commands.signals import reloading_on_hangup
from sightline.composition.reload import Before, Change, Reloader, compare, differing
from sightline.config.schema import Config
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S
from trackers.sort import SortTracker


@dataclass(frozen=True)
class Described:
    """A stream as a configuration has it."""

    name: str
    setting: int = 0


class Camera(MemorySource):
    """Gives frames until it is closed or told to end, or has given all."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(moving_box(50), stream=name)
        self.count = count
        self.over = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        first = list(super().__iter__())
        for index in range(self.count):
            if self.over.is_set():
                return
            yield first[index % len(first)].placed(index=index, pts_s=index / 10)


@dataclass
class Site:
    """A run with the streams that ``now`` describes; ``at`` holds what to do at which frame of stream ``watched``."""

    now: Sequence[Described]
    watched: str = "door"
    frames: int = 60
    at: dict[int, Callable[[], object]] = field(default_factory=dict)
    sinks: dict[str, list[MemorySink]] = field(default_factory=dict)
    cameras: list[Camera] = field(default_factory=list)
    fixed: Sequence[str] = ()
    error: Exception | None = None

    def build(self, described: Described, before: Before[Described] | None = None) -> Stream:
        if described.setting < 0:
            raise ConfigError(f"streams.{described.name}: no such setting")
        site = self

        class Watching(MemorySink):
            def on_frame(self, tracked: TrackedFrame) -> None:
                super().on_frame(tracked)
                if described.name == site.watched and len(self.frames) in site.at:
                    site.at.pop(len(self.frames))()

            def check(self) -> None:
                if described.setting == 13:
                    raise SinkError("cannot write out.mp4: the folder does not exist; create it first")

        sink, count = Watching(), self.frames if described.name == self.watched else 1_000_000
        self.sinks.setdefault(described.name, []).append(sink)
        self.cameras.append(Camera(described.name, count))
        return Stream(source=self.cameras[-1], tracker=SortTracker(), sinks=[sink])

    def load(self) -> tuple[Sequence[Described], Sequence[str]]:
        if self.error is not None:
            raise self.error
        return self.now, self.fixed

    def set(self, *streams: Described) -> None:
        self.now = streams

    def end_all(self) -> None:
        for camera in self.cameras:
            camera.over.set()

    def start(self) -> tuple[Pipeline, Reloader[Described]]:
        pipeline = Pipeline([self.build(described) for described in self.now], BlobDetector())
        return pipeline, Reloader(pipeline, self.now, load=self.load, build=self.build)


def reasons(sinks: Sequence[MemorySink]) -> list[str]:
    return [event.reason for sink in sinks for event in sink.events if isinstance(event, StreamEnded)]


names = st.sampled_from("abcdef")
streams = st.dictionaries(names, st.integers(0, 2)).map(lambda d: tuple(Described(*item) for item in d.items()))


@given(streams, streams)
def test_a_change_leads_from_the_old_to_the_new(old: tuple[Described, ...], new: tuple[Described, ...]) -> None:
    change = compare(old, new)
    after = {stream.name: stream for stream in old}
    for name in change.removed:
        del after[name]
    for stream in change.added:
        assert stream.name not in after
        after[stream.name] = stream
    for stream in change.changed:
        assert after[stream.name] != stream
        after[stream.name] = stream
    assert after == {stream.name: stream for stream in new}
    assert set(change.unchanged) == {stream.name for stream in set(old) & set(new)}


def test_a_change_in_words() -> None:
    change = Change((Described("a"),), (Described("b"), Described("c")), ("d",), ("e",))
    assert str(change) == "1 added (a), 2 changed (b, c), 1 removed (d), 1 unchanged"
    assert str(Change[Described]()) == "0 unchanged"


def test_streams_come_change_and_go_and_the_others_miss_nothing() -> None:
    site = Site([Described("door"), Described("yard"), Described("gate")])
    pipeline, reloader = site.start()
    said: list[str] = []

    def change() -> None:
        site.set(Described("door"), Described("yard", 1), Described("lane"))
        said.append(reloader.reload())

    site.at[10] = change
    site.at[59] = site.end_all
    report = pipeline.run()
    assert said == ["the configuration is taken over: 1 added (lane), 1 changed (yard), 1 removed (gate), 1 unchanged"]
    (door,) = site.sinks["door"]
    assert [tracked.frame.index for tracked in door.frames] == list(range(60)), "no gap"
    assert [type(event) for event in door.events].count(StreamStarted) == 1
    assert reasons(site.sinks["gate"]) == ["removed"]
    assert reasons(site.sinks["yard"]) == ["end"], "its changed stream goes on where it was"
    assert len(site.sinks["yard"]) == 2
    assert len(site.sinks["lane"]) == 1
    for again in (site.sinks["yard"][1], site.sinks["lane"][0]):
        assert again.frames
    assert all(camera.closed.is_set() for camera in site.cameras)
    for stream in report.streams.values():
        assert stream.decoded == stream.processed + sum(stream.dropped.values()) + sum(stream.failed.values())


def test_the_only_stream_can_change() -> None:
    site = Site([Described("door")])
    pipeline, reloader = site.start()

    def change() -> None:
        site.set(Described("door", 1))
        reloader.reload()

    site.at[10] = change
    pipeline.run()
    first, second = site.sinks["door"]
    assert 10 <= len(first.frames) < 60
    assert len(second.frames) == 60
    assert reasons([first, second]) == ["end"]


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [
        ([Described("door"), Described("yard", -1)], None, "no such setting"),
        ([Described("door", 1), Described("yard", 13)], None, "cannot write"),
        ([], None, "names no stream"),
        ([Described("door")], ConfigError("my.yaml:3: a: unknown key\nmy.yaml:4: b: unknown key"), "3: a.*; .*4: b"),
    ],
    ids=["can't be built", "can't be written", "no stream", "can't be read"],
)
def test_after_a_mistake_all_goes_on_as_it_was(
    new: list[Described], error: Exception | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site([Described("door")])
    pipeline, reloader = site.start()
    said: list[str] = []

    def change() -> None:
        site.now, site.error = new, error
        said.append(reloader.reload())
        site.set(Described("door"))
        site.error = None
        said.append(reloader.reload())

    site.at[10] = change
    pipeline.run()
    assert len(said) == 2
    assert said[0].startswith("error: the configuration is not taken over: ")
    assert len(said[0].splitlines()) == 1
    assert re.search(message, said[0])
    told = said[0].partition("not taken over: ")[2]
    assert all(line in caplog.text for line in ([told] if error is None else str(error).splitlines()))
    assert said[1] == "the configuration is taken over: 1 unchanged"
    assert [tracked.frame.index for tracked in site.sinks["door"][0].frames] == list(range(60))
    assert all(camera.closed.is_set() for camera in site.cameras), "what was built in vain is closed"


def test_what_a_run_cannot_change_is_named(caplog: pytest.LogCaptureFixture) -> None:
    site = Site([Described("door")], fixed=["model", "events"])
    pipeline, reloader = site.start()
    with caplog.at_level(logging.WARNING):
        assert reloader.reload().endswith("only a new run takes over what changed in model, events")
    assert "model, events" in caplog.text
    pipeline.run()


def test_after_the_run_what_was_built_is_closed() -> None:
    site = Site([Described("door")], frames=5)
    pipeline, reloader = site.start()
    pipeline.run()
    site.set(Described("door", 1))
    reloader.reload()
    assert all(camera.closed.is_set() for camera in site.cameras)


def test_real_configurations_are_compared_by_what_they_say() -> None:
    def config(**changes: Any) -> Config:
        streams = {"door": {"source": "rtsp://a/1"}, "yard": {"source": "rtsp://a/2"}}
        return Config.model_validate({"streams": streams, **changes})

    old = config()
    assert compare(old.resolved_streams(), config().resolved_streams()).unchanged == ("door", "yard")
    changed = config(streams={"door": {"source": "rtsp://a/1", "detect_every": 3}, "lane": {"source": "rtsp://a/3"}})
    change = compare(old.resolved_streams(), changed.resolved_streams())
    assert ([stream.name for stream in change.changed], change.removed) == (["door"], ("yard",))
    everywhere = config(detect_every=2)
    assert len(compare(old.resolved_streams(), everywhere.resolved_streams()).changed) == 2
    assert differing(old, config(model={"iou": 0.5}), ("model", "events")) == ("model",)


def test_hangup_reloads_in_a_thread_of_its_own() -> None:
    came: list[str] = []
    twice = threading.Event()

    def reload() -> None:
        came.append(threading.current_thread().name)
        if len(came) == 2:
            twice.set()

    before = signal.getsignal(signal.SIGHUP)
    with reloading_on_hangup(reload):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        if not twice.wait(0.5) and len(came) == 1:  # two pending signals may be delivered as one
            os.kill(os.getpid(), signal.SIGHUP)
        assert twice.wait(PATIENCE_S)
    assert set(came) == {"reload"}
    assert signal.getsignal(signal.SIGHUP) is before
    assert "reload" not in [thread.name for thread in threading.enumerate()]
