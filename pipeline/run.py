"""The loop: frames from a source through detector, tracker and analytics into the sinks.

    Producer thread --Channel--> Pipeline.run: detect, track, count --SinkWorker threads--> sinks

Every handle is given back on every way out, and every decoded frame ends in the ledger as processed, dropped or failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from pipeline.channel import Channel
from pipeline.report import Report, peak_rss_mb, versions
from pipeline.stamp import EventStamper
from pipeline.stream import EndReason, Stream, StreamRun
from pipeline.timing import Timings
from pipeline.types import Detections, Detector, Frame, Sink
from pipeline.workers import Producer, SinkWorker

logger = logging.getLogger(__name__)


class Pipeline:
    """Runs a stream through a detector into its sinks; good for one ``run``.

        stream = Stream(source=open_source("clip.mp4"), tracker=SortTracker(), sinks=[Mp4Sink("out.mp4")])
        report = Pipeline(stream, YoloDetector()).run()

    Args:
        stream: source, tracker, filters and sinks. Sinks that may stall run in threads of their own.
        detector: finds objects; never closed here, so it can serve the next run too.
        batch: most frames handed to the detector at once.
        queue: decoded frames that may wait for the detector, at least ``batch``.
        sink_queue: frames that may wait for each sink that has a thread of its own.
        started_s: ``time.monotonic()`` when the user's command began, for ``Report.start_s``; default: ``run()``.
    """

    def __init__(
        self,
        stream: Stream,
        detector: Detector,
        *,
        batch: int = 4,
        queue: int = 8,
        sink_queue: int = 16,
        started_s: float | None = None,
    ) -> None:
        if not 1 <= batch <= queue:
            raise ValueError(f"batch and queue: expected 1 <= batch <= queue, got {batch} and {queue}")
        self._stream = stream
        self._detector = detector
        self._batch = batch
        self._started_s = started_s
        self._timings = Timings()
        self._workers = [
            SinkWorker(sink, capacity=sink_queue, timings=self._timings) if sink.may_stall else sink
            for sink in stream.sinks
        ]
        self._run = StreamRun(
            stream,
            class_names=detector.class_names,
            sinks=self._workers,
            stamper=EventStamper(),
            timings=self._timings,
        )
        self._channel: Channel[Frame] = Channel(queue)
        self._producer = Producer(stream.source, self._channel, self._run.ledger, self._timings)
        self._end: EndReason = "end"
        self._opened = False
        self._input_shape: tuple[int, int] | None = None
        self._first_analysed_s: float | None = None

    def stop(self, reason: EndReason = "interrupted") -> None:
        """End the run after the frames in hand and let it finish its outputs. For any thread, but no signal handler."""
        self._end = reason
        self._producer.stop(reason)

    def run(self) -> Report:
        """Process the source to its end, or to ``stop``, and return what happened.

        Raises:
            PipelineError: what went wrong; what was processed until then is kept as the sinks describe.
            KeyboardInterrupt: after the outputs were finished, where the caller has not arranged for ``stop``.
        """
        begun_s = time.monotonic()
        error: BaseException | None = None
        try:
            for sink in self._workers:
                sink.check()
            self._opened = True
            self._run.open()
            self._producer.start()
            info = self._stream.source.info
            self._input_shape = self._detector.warm_up(info.height, info.width)
            self._loop()
        except BaseException as raised:  # noqa: BLE001 - raised again below, when everything is closed
            error = raised
            self._end = "interrupted" if isinstance(raised, KeyboardInterrupt) else "error"
        self._producer.stop(self._end)
        error = self._finish(error)
        if error is not None:
            raise error
        return self._report(begun_s)

    def _loop(self) -> None:
        while frames := self._channel.get_batch(self._batch):
            wanted = [frame for frame in frames if not self._run.beyond_duration(frame)]
            self._process(wanted)
            if len(wanted) < len(frames):
                self._run.ledger.dropped("duration", len(frames) - len(wanted))
                self.stop("duration")

    def _process(self, frames: Sequence[Frame]) -> None:
        processed = 0
        try:
            looked_at = [frame for frame in frames if self._run.wants_detection()]
            found: dict[int, Detections] = {}
            if looked_at:
                with self._timings.stage("detect", frames=len(looked_at)):
                    results = self._detector.detect([frame.image for frame in looked_at])
                found = {frame.index: result for frame, result in zip(looked_at, results, strict=True)}
            for frame in frames:
                self._run.process(frame, found.get(frame.index))
                processed += 1
                if self._first_analysed_s is None:
                    self._first_analysed_s = time.monotonic()
        except BaseException:
            self._run.ledger.failed("error", len(frames) - processed)
            raise

    def _finish(self, error: BaseException | None) -> BaseException | None:
        """Send the last events and close the sinks; returns the error that ended the run, if any did."""
        if self._opened:
            try:
                self._run.finish(self._end, None if self._end == "interrupted" else error)
            except Exception as raised:  # noqa: BLE001 - returned, or logged when it is not the first
                error = _first(error, raised)
        for sink in self._workers:
            try:
                sink.close(error)
            except Exception as raised:  # noqa: BLE001 - returned, or logged when it is not the first
                error = _first(error, raised)
        return error

    def _report(self, begun_s: float) -> Report:
        ended_s = time.monotonic()
        started_s = begun_s if self._started_s is None else self._started_s
        first_s = ended_s if self._first_analysed_s is None else self._first_analysed_s
        stream = self._run.report()
        return Report(
            streams={self._run.name: stream},
            stages=self._timings.report(),
            wall_s=round(ended_s - started_s, 3),
            fps=round(stream.processed / (ended_s - first_s), 2) if stream.processed > 1 else 0.0,
            start_s=round(first_s - started_s, 3),
            peak_rss_mb=round(peak_rss_mb(), 1),
            input_shape=self._input_shape,
            precision=self._detector.precision,
            versions=versions(),
        )


def _first(error: BaseException | None, later: BaseException) -> BaseException:
    if error is None:
        return later
    if later is not error:
        logger.error("and while finishing: %s", later)
    return error
