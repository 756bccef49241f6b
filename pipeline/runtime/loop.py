"""The loop: frames of all streams through the one detector, then each into its own stream.

    Intake --arrivals--> process --DetectStage--> take on --> StreamRun

What came is taken batch by batch: frames that the detector is to look at go to its threads, and those that it has
looked at go on meanwhile. Between batches streams begin, are changed and end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from pipeline.analytics.event_stamper import EventStamper
from pipeline.errors import ConfigError
from pipeline.interfaces import Detector, Sink, Source
from pipeline.runtime.detect_stage import DetectStage, Look
from pipeline.runtime.intake import Arrival, Intake, StreamEnd
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.report import StreamReport
from pipeline.runtime.run_files import RunFiles
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.stream import EndReason, Stream, goes_on
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_past import RunPasts
from pipeline.runtime.streams.stream_run import STOP_S, StreamRun
from pipeline.runtime.timing import Durations, Timings
from pipeline.types import Frame, SourceInfo

logger = logging.getLogger(__name__)

# How often streams that are offline learn what time it is.
_WAIT_S = 0.5


class Loop:
    """The streams of a run on their way through the detector. Only the thread that runs the pipeline uses it; other
    threads may ``stop`` it, put calls into its intake, and read ``running``.

    Attributes:
        live: whether a stream is live, or may be for all that is known yet.
        intake: where frames, ends of streams and calls of other threads come in.
        timings: of the stages.
        shared: the sinks that all streams share.
        running: the streams by name, in the order in which they began.
        ended: what those that have ended add to the report.
        input_shape: height and width of the network's input in pixels, or None before it is known.
        processed: frames that went all the way.
        first_batch: when the first of them were through (``time.monotonic()``), and how many; None before.

    Args:
        streams: those to begin with.
        detector: finds objects in all of them.
        sinks: outputs that all streams share.
        files: of the run; those of its streams are added.
        batch, max_wait_s, queue, sink_queue, queue_mb, stamper: as ``Pipeline`` has them.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        detector: Detector,
        sinks: Sequence[Sink],
        files: RunFiles,
        *,
        batch: int,
        max_wait_s: float,
        queue: int,
        sink_queue: int,
        queue_mb: float,
        stamper: EventStamper,
    ) -> None:
        self._detector = detector
        self._max_wait_s = max_wait_s
        self._queue, self._sink_queue = queue, sink_queue
        self._files = files
        self.timings = Timings()
        self._memory = PictureMemory(queue_mb)
        self.intake = Intake(self._memory)
        self._stamper = stamper
        live = any(stream.source.info.live for stream in streams)
        self._limits = {True: batch, False: max(batch, queue)}
        self._looks = DetectStage(detector, batch=batch, ahead=not live, timings=self.timings)
        self.shared = SinkGroup(sinks, live=live, capacity=sink_queue, memory=self._memory, timings=self.timings)
        self._suit(live=live)
        self.running: dict[str, StreamRun] = {}
        self.ended: dict[str, StreamReport] = {}
        self._accounts: dict[str, StreamAccount] = {}
        self._sources: dict[str, Source] = {}  # of streams that have ended
        self._errors: list[BaseException] = []
        for stream in streams:
            self._take(stream)
        self._stop_reason: EndReason | None = None
        self._waited_s = time.monotonic()
        self.input_shape: tuple[int, int] | None = None
        self.first_batch: tuple[float, int] | None = None
        self.processed = 0

    def stop(self, reason: EndReason) -> None:
        """End after the frames in hand. For any thread, but no signal handler."""
        self._stop_reason = self._stop_reason or reason
        self.intake.call(lambda: None)

    def run(self) -> None:
        """Begin the streams and take them to their end, or to ``stop``; ``finish`` is to follow, whatever is raised.

        Raises:
            PipelineError: an output can't work, or what all streams share failed.
        """
        self.shared.check()
        for run in self.running.values():
            run.check()
        for run in list(self.running.values()):
            self._start(run)
        self._take_what_comes()

    def add(self, stream: Stream) -> None:
        """Begin a further stream; a name that is taken is refused and logged."""
        if stream.source.stream in self.running:
            logger.error("a stream called %s is running already; it goes on", stream.source.stream)
            stream.source.close()
            return
        self._start(self._take(stream))

    def remove(self, name: str) -> None:
        """End the stream of that name, if it runs."""
        if name in self.running:
            self._end(self.running[name], "removed")

    def replace(self, stream: Stream) -> None:
        """Have a stream take the place of the one of its name, as ``Pipeline.replace`` says."""
        name = stream.source.stream
        before = self.running.get(name)
        if before is not None:
            self._look_at(before.gathering.rest())
            self._take_on()
            before = self.running.get(name)
        if before is None:
            if self._sources.get(name) is stream.source:
                logger.error("%s: the stream ended before its change could be taken over", name)
            else:
                self._start(self._take(stream))
            return
        run = self._take(stream, before)
        before.hand_over(run)
        self.running[name] = run
        self._start(run)

    def adjust(self, stream: Stream) -> None:
        """Have a stream go on as ``Pipeline.adjust`` says."""
        name = stream.source.stream
        run = self.running.get(name)
        if run is not None and stream.detect_every != run.stream.detect_every:
            self._look_at(run.gathering.rest())
            self._take_on()
            run = self.running.get(name)
        if run is None or not goes_on(run.stream, stream):
            logger.error("%s: the stream ended before its change could be taken over", name)
            return
        self._files.add(stream)
        try:
            run.adjust(stream)
        except Exception as error:  # noqa: BLE001 - raised later, or logged and reported when other streams go on
            self._fail(run, error)

    def finish(self, error: BaseException | None) -> BaseException | None:
        """End what still runs and close the shared sinks; returns the error that ended the run, if any did."""
        interrupted = isinstance(error, KeyboardInterrupt)
        self._looks.close()
        reason: EndReason = "interrupted" if interrupted else "error" if error else self._stop_reason or "end"
        for run in self.running.values():
            run.stop_reading(reason)  # all at once: each may take a while
        deadline_s = time.monotonic() + STOP_S
        for run in list(self.running.values()):
            within_s = max(0.0, deadline_s - time.monotonic())
            self._end(run, reason, None if interrupted else error, within_s=within_s)
        self.intake.close()
        if error is None and self.ended and len(self._errors) == len(self.ended):
            error = self._errors[0]
        error = error or self.shared.failure
        failure = self.shared.close(None if interrupted else error)
        return error or failure

    def pasts(self) -> RunPasts:
        """What all streams have come to so far, those that have ended, too."""
        streams = {name: account.past() for name, account in self._accounts.items() if name not in self.running}
        streams |= {name: run.past() for name, run in self.running.items()}
        return RunPasts(run=self._stamper.run, seq=self._stamper.last_seq, streams=streams)

    def latencies(self) -> dict[str, Durations]:
        """Of all streams that there were so far, from capture to the sinks; for any thread."""
        return {name: account.latency for name, account in list(self._accounts.items())}

    def _suit(self, *, live: bool) -> None:
        """Have all that the streams share keep up with cameras, or wait for all of the files."""
        self.live = live
        # Of a camera no more than goes through the detector at once, so that what follows is fresh. Of a file all there
        # is: where some frames are skipped, the others then still make whole batches.
        self._limit = self._limits[live]
        self._looks.ahead = not live
        if not live:
            self.shared.wait_for_all()

    def _take(self, stream: Stream, before: StreamRun | None = None) -> StreamRun:
        """Make a stream one of the run's; ``before`` is the one whose place it takes, if any. It does not begin yet.

        Raises:
            ValueError: its name is taken.
        """
        name = stream.source.stream
        if before is None and stream.past is not None:
            self._accounts[name] = StreamAccount(stream.past)
        run = StreamRun(
            stream,
            class_names=self._detector.class_names,
            shared=self.shared,
            stamper=self._stamper,
            timings=self.timings,
            intake=self.intake,
            memory=self._memory,
            queue=self._queue,
            sink_queue=self._sink_queue,
            account=self._accounts.setdefault(name, StreamAccount()),
            before=before,
        )
        if before is None:
            if run.name in self.running:
                raise ValueError(f"two streams are called {run.name}")
            self.running[run.name] = run
        self._files.add(stream)
        return run

    def _start(self, run: StreamRun) -> None:
        """Have a stream decode; it begins, as ``_begin`` does, once its source is known."""
        run.start(partial(self._begin, run))

    def _begin(self, run: StreamRun, info: SourceInfo) -> None:
        """A stream whose source is known begins."""
        while run.successor is not None:
            run = run.successor
        if self.running.get(run.name) is not run:
            return  # it was ended meanwhile
        try:
            run.begin(info)
            # A camera's frames would go stale meanwhile; the first of them does the same.
            if info.width and info.height and not (info.live and run.reading):
                self.input_shape = self._detector.warm_up(info.height, info.width)
        except Exception as error:  # noqa: BLE001 - raised later, or logged and reported when other streams go on
            self._fail(run, error)
        if self.live and not any(other.live for other in self.running.values()):
            self._suit(live=False)

    def _take_what_comes(self) -> None:
        """The loop itself: batch by batch, until no stream runs or ``stop`` was called."""
        while self.running and self._stop_reason is None:
            frames: list[Frame] = []
            known = {name: run.inlet for name, run in self.running.items()}
            for arrival in self._arrivals():
                if isinstance(arrival, Frame):
                    # A source that was replaced within this batch has accounted for its frames already.
                    run = self.running.get(arrival.stream)
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
            self._wait()
            if self.shared.failure is not None:  # also where it was met in ending a stream
                raise self.shared.failure
        self._take_on()

    def _arrivals(self) -> list[Arrival]:
        """What comes next. While there is nothing yet, what has been looked at goes on."""
        while self._looks.waiting:
            try:
                return self.intake.get_batch(self._limit, self._max_wait_s, timeout_s=0)
            except TimeoutError:
                self._take_on(leave=self._looks.waiting - 1)
        if not any(run.waits for run in self.running.values()):
            return self.intake.get_batch(self._limit, self._max_wait_s)
        try:
            return self.intake.get_batch(self._limit, self._max_wait_s, timeout_s=_WAIT_S)
        except TimeoutError:
            return []

    def _wait(self) -> None:
        """Have streams that are offline know that time goes on, twice a second."""
        now_s = time.monotonic()
        if now_s - self._waited_s < _WAIT_S:
            return
        self._waited_s = now_s
        for run in self.running.values():
            if run.waits:
                run.wait()

    def _arrived_at_end(self, end: StreamEnd) -> None:
        """A source came to its end: what waits of its stream goes on, then the stream ends."""
        run = next((run for run in self.running.values() if run.inlet is end.inlet), None)
        if run is None:
            return  # it was ended before its source came to its end
        self._look_at(run.gathering.rest())
        self._take_on()
        if run.name not in self.running:
            return
        if end.error is not None:
            self._fail(run, end.error)
        else:
            self._end(run, "end")

    def _process(self, frames: Sequence[Frame]) -> None:
        """Have frames looked at, as far as their streams' sampling asks for it, and take on what has been looked at.

        A stream that is past its duration ends here.
        """
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
        for name in over & set(self.running):
            self._end(self.running[name], "duration")

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
            self.processed += 1
        self._memory.freed()
        if self.processed and self.first_batch is None:
            self.first_batch = (time.monotonic(), self.processed)

    def _run_of(self, frame: Frame) -> StreamRun | None:
        """The running stream of a frame; None where it has ended, and has accounted for the frame."""
        return self.running.get(frame.stream)

    def _fail(self, run: StreamRun, error: BaseException) -> None:
        """End a stream that failed; raise instead where all streams are concerned."""
        if error is self.shared.failure:
            raise error
        self._end(run, "error", error)
        if self.running:
            logger.error("stream %s ended: %s", run.name, error)

    def _end(
        self, run: StreamRun, reason: EndReason, error: BaseException | None = None, *, within_s: float = STOP_S
    ) -> None:
        """End a stream: complete its outputs, keep its report, and what it failed with.

        Args:
            run: the stream.
            reason: why it ends.
            error: what it ends with, if it failed.
            within_s: how long to wait for a live source to come to its end.
        """
        failure = run.finish(reason, error, within_s=within_s)
        if failure is not None:
            self._errors.append(failure)
        del self.running[run.name]
        self.ended[run.name] = run.report()
        self._sources[run.name] = run.stream.source
