"""Latency of a camera's events, and how evenly several cameras share the detector.

    python -m benchmarks.live [--seconds 30]

A real RTSP server sends pictures that carry the time they were drawn at. Prints, for one camera of 640x480 at 25 fps,
the time from capture (the frame's arrival) and from drawing to its events, alone and beside an output that sleeps 1 s
per frame; then for four cameras of 10 fps each how many frames of each were analysed.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Sequence
from functools import partial

from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.timing import Durations
from pipeline.sources.opening import open_source
from pipeline.sources.reconnect import ReconnectingSource
from pipeline.types import TrackedFrame
from tests.support.clips import UnreadableNumberError, read_time_ms
from tests.support.rtsp_server import LivePicture, RtspServer
from trackers.factory import create_tracker


class GlassClock(Sink):
    """Measures from the moment that a picture was drawn to that when its events are out."""

    may_stall = False

    def __init__(self) -> None:
        self.latency = Durations()
        self.unreadable = 0

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Read the picture's time."""
        try:
            drawn_s = read_time_ms(tracked.frame.image) / 1000
        except UnreadableNumberError:
            self.unreadable += 1
            return
        self.latency.add((time.monotonic() - drawn_s) % (2**32 / 1000))


class SleepingSink(Sink):
    """An output that takes a second for each frame."""

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Sleep."""
        time.sleep(1.0)


def run_for(seconds: float, urls: dict[str, str], detector: YoloDetector, sinks: Sequence[Sink]) -> Report:
    """Run the cameras for a while."""
    streams = [
        Stream(
            source=ReconnectingSource(partial(open_source, url, stream=name), stream=name, uri=url),
            tracker=create_tracker(),
            sinks=sinks,
        )
        for name, url in urls.items()
    ]
    pipeline = Pipeline(streams, detector)
    timer = threading.Timer(seconds, pipeline.stop)
    timer.start()
    try:
        return pipeline.run()
    finally:
        timer.cancel()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    detector = YoloDetector(confidence=create_tracker().lowest_score)
    detector.warm_up(480, 640)
    with RtspServer(LivePicture(640, 480, fps=25)) as server:
        print("one camera, 640x480 at 25 fps        capture to events, ms        drawn to events, ms     dropped")
        for label, extra in (("alone", []), ("beside an output that sleeps", [SleepingSink()])):
            clock = GlassClock()
            report = run_for(seconds, {"camera": server.url}, detector, [clock, *extra])
            stream = report.streams["camera"]
            assert stream.latency is not None
            captured = " ".join(f"{stream.latency[f'p{p}_ms']:7.1f}" for p in (50, 95, 99))  # type: ignore[literal-required]
            drawn = " ".join(f"{1000 * clock.latency.percentile(p):7.1f}" for p in (50, 95, 99))
            print(f"  {label:34} {captured}   {drawn}     {sum(stream.dropped.values())} of {stream.decoded}")
    names = ["one", "two", "three", "four"]
    with RtspServer({name: LivePicture(640, 480, fps=10) for name in names}) as server:
        report = run_for(seconds, {name: server.url_of(name) for name in names}, detector, [])
    processed = {name: stream.processed for name, stream in report.streams.items()}
    spread = 100 * (max(processed.values()) - min(processed.values())) / max(processed.values())
    print(f"four cameras of 10 fps, frames analysed: {processed}, spread {spread:.1f} %")
    for name, stream in report.streams.items():
        assert stream.latency is not None
        print(
            f"  {name:6} {stream.processed} of {stream.decoded}, "
            f"capture to events p95 {stream.latency['p95_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
