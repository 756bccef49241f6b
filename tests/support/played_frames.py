"""Small frames with tracks, and what plays them and events to functions of a user."""

from __future__ import annotations

import numpy as np

from pipeline.events import Event
from pipeline.types import Detections, Frame, SourceInfo, TrackedFrame, Tracks
from sinks.callbacks import CallbacksSink

INFO = SourceInfo(64, 48)
NAMES = ("person", "bicycle")


def tracked(index: int = 0, *, stream: str = "cam", count: int = 2, detected: bool = True) -> TrackedFrame:
    frame = Frame(np.full((48, 64, 3), 90, np.uint8), index, index / 10, 0.0, stream)
    xyxy = np.array([[4 + 20 * n, 5, 20 + 20 * n, 40] for n in range(count)], np.float32).reshape(-1, 4)
    class_id = np.arange(count, dtype=np.int32) % 2
    score = np.full(count, 0.5, np.float32)
    tracks = Tracks(
        xyxy=xyxy,
        score=score,
        class_id=class_id,
        track_id=np.arange(1, count + 1, dtype=np.int64),
        age_s=np.full(count, 1.5, np.float32),
        unseen_s=np.zeros(count, np.float32),
    )
    detections = Detections(xyxy, score, class_id) if detected else None
    return TrackedFrame(frame, detections, tracks, np.array([7], np.int64))


def play(sink: CallbacksSink, *calls: TrackedFrame | Event) -> None:
    sink.check()
    sink.open("cam", INFO, NAMES)
    for call in calls:
        if isinstance(call, TrackedFrame):
            sink.on_frame(call)
        else:
            sink.on_event(call)
    sink.close()
