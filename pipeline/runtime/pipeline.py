"""The loop: frames of one or many streams through the one detector, then each through its own tracker into its sinks.

    Producer threads --Intake--> Pipeline.run: detect, then per stream track and count --sink threads--> outputs
                                   |        ^
                                   +--DetectStage: the detector's threads, where frames may wait

Every handle is given back on every way out, and every decoded frame ends in its stream's ledger as processed, dropped
or failed. Where there are several streams, one that fails ends alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from pipeline.analytics.event_stamper import EventStamper
from pipeline.errors import ConfigError
from pipeline.files import InputFiles, OutputFiles
from pipeline.interfaces import Detector, Sink, Source
from pipeline.models.engines.base import Engine
from pipeline.runtime.detect_stage import DetectStage, Look
from pipeline.runtime.intake import Arrival, Intake, StreamEnd
from pipeline.runtime.report import Report, StreamReport, peak_rss_mb, versions
from pipeline.runtime.run_files import RunFiles
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.stream import EndReason, Stream, StreamStatus
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_run import STOP_S, StreamRun
from pipeline.runtime.timing import Timings
from pipeline.types import Frame, SourceInfo

logger = logging.getLogger(__name__)


class Pipeline:
    """Runs streams through a detector into their sinks; good for one ``run``.

        stream = Stream(source=open_source("clip.mp4"), tracker=SortTracker(), sinks=[Mp4Sink("out.mp4")])
        report = Pipeline(stream, YoloDetector()).run()

    Args:
        streams: one or several, each with a source, tracker, filters and sinks of its own.
        detector: finds objects in all of them; never closed here, so it can serve the next run too.
        sinks: outputs that all streams share. Like a stream's own, those that may stall get a thread each.
        reads, writes: files of the run besides those of its streams and sinks; no output may be a file that is read.
        batch: most frames handed to the detector at once.
        max_wait_s: how long to wait for a batch to fill; 0 takes what is there.
        queue: decoded frames of a file that may wait for the detector.
        sink_queue: frames that may wait for each sink that has a thread of its own.
        started_s: ``time.monotonic()`` when the user's command began, for ``Report.start_s``; default: ``run()``.

    Attributes:
        live: whether one of the streams it began with is live, or may be for all that is known yet.
        report: what happened, also after a failure; None before the end of ``run``.
    """

    def __init__(
        self,
        streams: Stream | Sequence[Stream],
        detector: Detector,
        *,
        sinks: Sequence[Sink] = (),
        reads: Sequence[InputFiles] = (),
        writes: Sequence[OutputFiles] = (),
        batch: int = 4,
        max_wait_s: float = 0.0,
        queue: int = 16,
        sink_queue: int = 16,
        started_s: float | None = None,
    ) -> None:
        if batch < 1 or queue < 1:
            raise ValueError(f"batch and queue: expected 1 or more, got {batch} and {queue}")
        self.report: Report | None = None
        self._detector = detector
        self._max_wait_s = max_wait_s
        self._queues = {"queue": queue, "sink_queue": sink_queue}
        self._started_s = started_s
        self._timings = Timings()
        self._intake = Intake()
        self._stamper = EventStamper()
        given = [streams] if isinstance(streams, Stream) else list(streams)
        live = any(stream.source.info.live for stream in given)
        self._limits = {True: batch, False: max(batch, queue)}
        self._looks = DetectStage(detector, batch=batch, ahead=not live, timings=self._timings)
        self._shared = SinkGroup(sinks, live=live, capacity=sink_queue, timings=self._timings)
        self._suit(live=live)
        self._files = RunFiles(sinks, reads=reads, writes=writes)
        self._running: dict[str, StreamRun] = {}
        self._accounts: dict[str, StreamAccount] = {}
        self._ended: dict[str, StreamReport] = {}
        self._sources: dict[str, Source] = {}  # of streams that have ended
        self._errors: list[BaseException] = []
        for stream in given:
            self._take(stream)
        self._stop_reason: EndReason | None = None
        self._input_shape: tuple[int, int] | None = None
        self._first_batch: tuple[float, int] | None = None  # when it was through, and how many frames it had
        self._processed = 0

    def stop(self, reason: EndReason = "interrupted") -> None:
        """End the run after the frames in hand and let it finish its outputs. For any thread, but no signal handler."""
        self._stop_reason = self._stop_reason or reason
        self._intake.call(lambda: None)

    def add(self, stream: Stream) -> None:
        """Begin a further stream while the run goes on. For any thread. A name that is taken is refused and logged."""
        if not self._intake.call(lambda: self._add(stream)):
            stream.source.close()

    def remove(self, name: str) -> None:
        """End one stream while the run goes on with the others; no other is disturbed. For any thread."""
        self._intake.call(lambda: self._end(self._running[name], "removed") if name in self._running else None)

    def replace(self, stream: Stream) -> None:
        """Have this stream take the place of the one of that name, if it runs, or else begin it. For any thread.

        The source, the sinks and the ``analytics`` that it has in common with the one before (the very same objects) go
        on without a break. What it has not is ended: files are completed. Frames are numbered on, media time and ids go
        on, and the report has one account of both. To its sinks the stream is offline until its next frame.
        """
        if not self._intake.call(lambda: self._replace(stream)):
            stream.source.close()

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, if it runs; for any thread."""
        run = self._running.get(name)
        return None if run is None else run.stream

    def check(self, streams: Sequence[Stream] = ()) -> None:
        """Look for outputs that would destroy a file of the run, or each other. For any thread.

        Args:
            streams: to be added to those of the run, or to take the place of those of their names.

        Raises:
            ConfigError: there are some; nothing has been written.
        """
        self._files.check(streams)

    def status(self) -> list[StreamStatus]:
        """How each running stream is doing; for any thread."""
        return [run.status() for run in list(self._running.values())]

    def run(self) -> Report:
        """Process every source to its end, or to ``stop``, and return what happened.

        Raises:
            PipelineError: what went wrong, if no stream came through; otherwise failures are in the report. What was
                processed until then is kept as the sinks describe.
            KeyboardInterrupt: after the outputs were finished, where the caller has not arranged for ``stop``.
        """
        begun_s = time.monotonic()
        error: BaseException | None = None
        try:
            self.check()
            self._shared.check()
            for run in self._running.values():
                run.check()
            for run in list(self._running.values()):
                self._start(run)
            self._loop()
        except BaseException as raised:  # noqa: BLE001 - raised again below, when everything is closed
            error = raised
        error = self._finish(error)
        self.report = self._make_report(begun_s)
        if error is not None:
            raise error
        return self.report

    def _suit(self, *, live: bool) -> None:
        """Have all that the streams share keep up with cameras, or wait for all of the files."""
        self.live = live
        # Of a camera no more than goes through the detector at once, so that what follows is fresh. Of a file all there
        # is: where some frames are skipped, the others then still make whole batches.
        self._limit = self._limits[live]
        self._looks.ahead = not live
        if not live:
            self._shared.wait_for_all()

    def _take(self, stream: Stream, before: StreamRun | None = None) -> StreamRun:
        run = StreamRun(
            stream,
            class_names=self._detector.class_names,
            shared=self._shared,
            stamper=self._stamper,
            timings=self._timings,
            intake=self._intake,
            account=self._accounts.setdefault(stream.source.stream, StreamAccount()),
            before=before,
            **self._queues,
        )
        if before is None:
            if run.name in self._running:
                raise ValueError(f"two streams are called {run.name}")
            self._running[run.name] = run
        self._files.add(stream)
        return run

    def _replace(self, stream: Stream) -> None:
        name = stream.source.stream
        before = self._running.get(name)
        if before is not None:
            self._look_at(before.gathering.rest())
            self._take_on()
            before = self._running.get(name)
        if before is None:
            if self._sources.get(name) is stream.source:
                logger.error("%s: the stream ended before its change could be taken over", name)
            else:
                self._start(self._take(stream))
            return
        run = self._take(stream, before)
        before.hand_over(run)
        self._running[name] = run
        self._start(run)

    def _add(self, stream: Stream) -> None:
        if stream.source.stream in self._running:
            logger.error("a stream called %s is running already; it goes on", stream.source.stream)
            stream.source.close()
            return
        self._start(self._take(stream))

    def _start(self, run: StreamRun) -> None:
        run.start(partial(self._begin, run))

    def _begin(self, run: StreamRun, info: SourceInfo) -> None:
        """A stream whose source is known begins."""
        while run.successor is not None:
            run = run.successor
        if self._running.get(run.name) is not run:
            return  # it was ended meanwhile
        try:
            run.begin(info)
            # A camera's frames would go stale meanwhile; the first of them does the same.
            if info.width and info.height and not (info.live and run.reading):
                self._input_shape = self._detector.warm_up(info.height, info.width)
        except Exception as error:  # noqa: BLE001 - raised later, or logged and reported when other streams go on
            self._fail(run, error)
        if self.live and not any(other.live for other in self._running.values()):
            self._suit(live=False)

    def _loop(self) -> None:
        while self._running and self._stop_reason is None:
            frames: list[Frame] = []
            known = {name: run.inlet for name, run in self._running.items()}
            for arrival in self._arrivals():
                if isinstance(arrival, Frame):
                    # A source that was replaced within this batch has accounted for its frames already.
                    run = self._running.get(arrival.stream)
                    if run is not None and run.inlet is known.get(arrival.stream):
                        frames.append(arrival)
                    continue
                self._process(frames)
                self._take_on()
                frames = []
                if isinstance(arrival, StreamEnd):
                    self._arrived_at_end(arrival)
                else:
                    arrival.function()
            self._process(frames)
            if self._shared.failure is not None:  # also where it was met in ending a stream
                raise self._shared.failure
        self._take_on()

    def _arrivals(self) -> list[Arrival]:
        """What comes next. While there is nothing yet, what has been looked at goes on."""
        while self._looks.waiting:
            try:
                return self._intake.get_batch(self._limit, self._max_wait_s, timeout_s=0)
            except TimeoutError:
                self._take_on(leave=self._looks.waiting - 1)
        return self._intake.get_batch(self._limit, self._max_wait_s)

    def _arrived_at_end(self, end: StreamEnd) -> None:
        run = next((run for run in self._running.values() if run.inlet is end.inlet), None)
        if run is None:
            return  # it was ended before its source came to its end
        self._look_at(run.gathering.rest())
        self._take_on()
        if run.name not in self._running:
            return
        if end.error is not None:
            self._fail(run, end.error)
        else:
            self._end(run, "end")

    def _process(self, frames: Sequence[Frame]) -> None:
        ready: list[tuple[Frame, bool]] = []
        over: set[str] = set()
        for frame in frames:
            run = self._run_of(frame)
            if run is not None and run.gathering.full:  # whether this one is looked at depends on those before it
                self._look_at(ready)
                ready = []
                while run.gathering.full and self._looks.waiting:
                    self._take_on(leave=self._looks.waiting - 1)
                run = self._run_of(frame)
            if run is None or frame.stream in over:
                continue  # its stream has ended, and has accounted for it
            if run.stream.beyond_duration(frame):
                over.add(frame.stream)
                ready += run.gathering.rest()
                continue
            ready += run.gathering.add(frame)
        self._look_at(ready)
        self._take_on(leave=0 if over else self._looks.room)
        for name in over & set(self._running):
            self._end(self._running[name], "duration")

    def _look_at(self, frames: Sequence[tuple[Frame, bool]]) -> None:
        """Have the detector look at those frames that it is to look at; a stream without the part to look at fails."""
        looks: list[Look] = []
        for frame, wanted in frames:
            run = self._run_of(frame)
            if run is None:
                continue  # it failed at an earlier frame, and has accounted for this one
            try:
                looks.append(Look(frame, wanted, run.stream.part(frame) if wanted else None))
            except ConfigError as error:
                self._looks.put(looks)
                looks = []
                self._take_on()
                self._fail(run, error)
        self._looks.put(looks)

    def _take_on(self, *, leave: int = 0) -> None:
        """Track, count and send what has been looked at, but for so many batches."""
        for frame, detections in self._looks.take(leave):
            run = self._run_of(frame)
            if run is None:
                continue
            try:
                run.process(frame, detections)
            except Exception as error:  # noqa: BLE001 - raised later, or logged and reported when other streams go on
                self._fail(run, error)
                continue
            self._processed += 1
        if self._processed and self._first_batch is None:
            self._first_batch = (time.monotonic(), self._processed)

    def _run_of(self, frame: Frame) -> StreamRun | None:
        return self._running.get(frame.stream)

    def _fail(self, run: StreamRun, error: BaseException) -> None:
        """End a stream that failed; raise instead where all streams are concerned."""
        if error is self._shared.failure:
            raise error
        self._end(run, "error", error)
        if self._running:
            logger.error("stream %s ended: %s", run.name, error)

    def _end(
        self, run: StreamRun, reason: EndReason, error: BaseException | None = None, *, within_s: float = STOP_S
    ) -> None:
        failure = run.finish(reason, error, within_s=within_s)
        if failure is not None:
            self._errors.append(failure)
        del self._running[run.name]
        self._ended[run.name] = run.report()
        self._sources[run.name] = run.stream.source

    def _finish(self, error: BaseException | None) -> BaseException | None:
        """End what still runs and close the shared sinks; returns the error that ended the run, if any did."""
        interrupted = isinstance(error, KeyboardInterrupt)
        self._looks.close()
        reason: EndReason = "interrupted" if interrupted else "error" if error else self._stop_reason or "end"
        for run in self._running.values():
            run.stop_reading(reason)  # all at once: each may take a while
        deadline_s = time.monotonic() + STOP_S
        for run in list(self._running.values()):
            within_s = max(0.0, deadline_s - time.monotonic())
            self._end(run, reason, None if interrupted else error, within_s=within_s)
        self._intake.close()
        if error is None and self._ended and len(self._errors) == len(self._ended):
            error = self._errors[0]
        error = error or self._shared.failure
        failure = self._shared.close(None if interrupted else error)
        return error or failure

    def _make_report(self, begun_s: float) -> Report:
        ended_s = time.monotonic()
        started_s = begun_s if self._started_s is None else self._started_s
        first_s, first_count = self._first_batch or (ended_s, 0)
        later = self._processed - first_count
        engine = getattr(self._detector, "engine", None)
        return Report(
            streams=dict(self._ended),
            stages=self._timings.report(),
            wall_s=round(ended_s - started_s, 3),
            fps=round(later / (ended_s - first_s), 2) if later and ended_s > first_s else 0.0,
            start_s=round(first_s - started_s, 3),
            peak_rss_mb=round(peak_rss_mb(), 1),
            input_shape=self._input_shape,
            precision=self._detector.precision,
            engine=engine.name if isinstance(engine, Engine) else None,
            sinks=self._shared.lost(),
            outputs=self._shared.counts(),
            versions=versions(),
        )
