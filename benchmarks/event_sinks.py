"""What the event outputs cost together: processor time at 30 fps and 20 objects, in real time.

    python -m benchmarks.event_sinks [--seconds 20]

Tracks move about as analytics would see them; the events go to each output alone and to all together. What driving
them costs without any output is taken off. MQTT and the webhook are measured where --mqtt and --webhook name a server.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.events import Event
from pipeline.interfaces import Sink
from pipeline.types import Frame, SourceInfo, TrackedFrame, Tracks
from sinks.feed.zeromq_sink import ZeroMqSink
from sinks.files.jsonl import JsonlSink
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.webhook import WebhookSink
from sinks.store.sqlite_store import SqliteStore

FPS, OBJECTS = 30, 20
PICTURE = np.zeros((480, 854, 3), np.uint8)


def recorded(seconds: float) -> list[tuple[TrackedFrame, list[Event]]]:
    """Frames with their events, made beforehand so that making them is not measured."""
    analytics = StreamAnalytics("clip", ["person"], stamper=EventStamper(), update_hz=5.0)
    frames = []
    for index in range(int(seconds * FPS)):
        left = (np.arange(OBJECTS) * 40 + index) % 800
        top = np.arange(OBJECTS) * 20
        xyxy = np.stack([left, top, left + 30, top + 60], axis=1).astype(np.float32)
        age_s = np.full(OBJECTS, index / FPS, np.float32)
        tracks = Tracks(
            xyxy=xyxy,
            score=np.full(OBJECTS, 0.8, np.float32),
            class_id=np.zeros(OBJECTS, np.int32),
            track_id=np.arange(1, OBJECTS + 1),
            age_s=age_s,
            unseen_s=np.zeros(OBJECTS, np.float32),
        )
        frame = Frame(PICTURE, index, index / FPS, time.monotonic(), "clip")
        tracked = TrackedFrame(frame, None, tracks, np.zeros(0, np.int64))
        frames.append((tracked, analytics.update(tracked)))
    return frames


def cost(frames: Sequence[tuple[TrackedFrame, list[Event]]], sinks: Sequence[Sink]) -> float:
    """Processor time as a part of one core, from the first frame to the end of ``close``."""
    info = SourceInfo(854, 480, fps=Fraction(FPS))
    for sink in sinks:
        sink.open("clip", info, ["person"])
    pause = threading.Event()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for index, (tracked, events) in enumerate(frames):
        pause.wait(max(0.0, began_s + index / FPS - time.monotonic()))
        for sink in sinks:
            sink.on_frame(tracked)
            for event in events:
                sink.on_event(event)
    for sink in sinks:
        sink.close()
    return (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--mqtt", metavar="URL", help="a broker, such as mqtt://127.0.0.1:1883")
    parser.add_argument("--webhook", metavar="URL", help="a server that takes posts")
    arguments = parser.parse_args()
    frames = recorded(arguments.seconds)
    count = sum(len(events) for _, events in frames)
    print(
        f"{FPS} fps, {OBJECTS} objects, {count / arguments.seconds:.0f} events a second, {arguments.seconds:g} s each"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makers: dict[str, Callable[[int], Sink]] = {
            "JSON Lines": lambda number: JsonlSink(folder / f"{number}.jsonl"),
            "ZeroMQ": lambda number: ZeroMqSink("tcp://127.0.0.1:*"),
            "SQLite": lambda number: SqliteStore(folder / f"{number}.db"),
        }
        if arguments.mqtt:
            makers["MQTT"] = lambda number: MqttSink(arguments.mqtt)
        if arguments.webhook:
            makers["webhook"] = lambda number: WebhookSink(arguments.webhook, spool=folder / f"spool{number}")
        driving = cost(frames, [])
        print(f"  {'driving alone':14} {100 * driving:5.2f} % of one core, taken off below")
        for label, make in makers.items():
            print(f"  {label:14} {100 * (cost(frames, [make(0)]) - driving):5.2f} %")
        print(f"  {'all together':14} {100 * (cost(frames, [make(1) for make in makers.values()]) - driving):5.2f} %")


if __name__ == "__main__":
    main()
