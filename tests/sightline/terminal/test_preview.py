"""The preview window, with windows that remember what they were to show."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

import sightline
from pipeline.errors import SinkPathError
from pipeline.events import StreamOffline
from pipeline.types import Image, SourceInfo
from sightline.terminal.preview import PreviewSink
from sinks.drawing.away import away
from tests.support.fakes import BlobDetector, moving_box, picture


class Remembering:
    def __init__(self, key: int = -1) -> None:
        self.shown: list[tuple[str, Image]] = []
        self.closed = False
        self._key = key

    def imshow(self, winname: str, mat: Image) -> None:
        self.shown.append((winname, mat))

    def waitKey(self, delay: int) -> int:
        return self._key

    def destroyAllWindows(self) -> None:
        self.closed = True


def test_what_is_found_is_shown_in_a_window_of_its_stream() -> None:
    windows = Remembering()
    sink = PreviewSink(lambda: None, windows=windows)
    frames = len(list(sightline.analyze(moving_box(5), detector=BlobDetector(), sinks=[sink])))
    assert frames == 5
    assert windows.closed
    name, shown = windows.shown[0]
    assert name == "frames"
    assert (shown != moving_box(1)[0]).any()
    assert sink.counts().given == 5


def test_a_key_ends_the_run() -> None:
    stopped: list[bool] = []
    sink = PreviewSink(lambda: stopped.append(True), windows=Remembering(ord("q")))
    list(sightline.analyze(moving_box(3), detector=BlobDetector(), sinks=[sink]))
    assert stopped


def test_a_camera_that_is_away_is_marked() -> None:
    windows = Remembering()
    sink = PreviewSink(lambda: None, windows=windows)
    list(sightline.analyze([picture([], width=320)] * 2, detector=BlobDetector(), sinks=[sink]))
    before = len(windows.shown)
    sink.open("frames", SourceInfo(320, 120), ("blob",))
    sink.on_event(StreamOffline(seq=1, run="r", stream="frames", pts_s=0.0, wall="", reason="it was switched off"))
    assert len(windows.shown) == before, "a camera that brought no picture has no window"
    bright = np.full((480, 640, 3), 200, np.uint8)
    marked = away(bright, datetime(2026, 11, 30, 9, 0, tzinfo=UTC))
    assert (marked[5, -1] < bright[5, -1]).all()
    assert (marked[-5, 5] != marked[5, -1]).any()


def test_without_a_display_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(SinkPathError, match="there is no display here"):
        PreviewSink(lambda: None).check()
