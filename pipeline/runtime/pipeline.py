"""A run: frames of one or many streams through the one detector, then each through its own tracker into its sinks.

    decode threads --Intake--> Loop: detect, then per stream track and count --sink threads--> outputs
                                 |        ^
                                 +--DetectStage: the detector's threads, where frames may wait

Every handle is given back on every way out, and every decoded frame ends in its stream's ledger as processed, dropped
or failed. Where there are several streams, one that fails ends alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Event
from typing import TypeVar

from pipeline.analytics.event_stamper import EventStamper
from pipeline.detection.adapted import as_detector
from pipeline.files import InputFiles, OutputFiles
from pipeline.interfaces import DetectorLike, Sink
from pipeline.runtime.loop import Loop
from pipeline.runtime.report import Report, StreamReport, peak_rss_mb, versions
from pipeline.runtime.run_files import RunFiles
from pipeline.runtime.streams.stream import EndReason, Stream, StreamStatus
from pipeline.runtime.streams.stream_past import RunPasts
from pipeline.runtime.timing import Durations

Answer = TypeVar("Answer")


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
        queue_mb: megabytes that the pictures of all frames on their way may take; what that leaves out, and how larger
            frames pass, see ``pipeline.runtime.picture_memory``.
        stamper: numbers the events, where several runs of a process are one to who reads them.
        started_s: ``time.monotonic()`` when the user's command began, for ``Report.start_s``; default: ``run()``.

    Attributes:
        report: what happened, also after a failure; None before the end of ``run``.
    """

    def __init__(
        self,
        streams: Stream | Sequence[Stream],
        detector: DetectorLike,
        *,
        sinks: Sequence[Sink] = (),
        reads: Sequence[InputFiles] = (),
        writes: Sequence[OutputFiles] = (),
        batch: int = 4,
        max_wait_s: float = 0.0,
        queue: int = 16,
        sink_queue: int = 16,
        queue_mb: float = 128,
        stamper: EventStamper | None = None,
        started_s: float | None = None,
    ) -> None:
        if batch < 1 or queue < 1:
            raise ValueError(f"batch and queue: expected 1 or more, got {batch} and {queue}")
        self.report: Report | None = None
        self._begun = False
        self._begun_s = time.monotonic()
        self._ended = Event()
        self._given_detector = detector
        self._detector = as_detector(detector)
        self._started_s = started_s
        self._files = RunFiles(sinks, reads=reads, writes=writes)
        given = [streams] if isinstance(streams, Stream) else list(streams)
        self._loop = Loop(
            given,
            self._detector,
            sinks,
            self._files,
            batch=batch,
            max_wait_s=max_wait_s,
            queue=queue,
            sink_queue=sink_queue,
            queue_mb=queue_mb,
            stamper=stamper or EventStamper(),
        )

    @property
    def detector(self) -> DetectorLike:
        """What was given to find objects."""
        return self._given_detector

    @property
    def class_names(self) -> Sequence[str]:
        """What the detector tells apart."""
        return self._detector.class_names

    @property
    def live(self) -> bool:
        """Whether one of its streams is live, or may be for all that is known yet."""
        return self._loop.live

    def stop(self, reason: EndReason = "interrupted") -> None:
        """End the run after the frames in hand and let it finish its outputs. For any thread, but no signal handler."""
        self._loop.stop(reason)

    def add(self, stream: Stream) -> None:
        """Begin a further stream while the run goes on. For any thread. A name that is taken is refused and logged."""
        if not self._loop.intake.call(partial(self._loop.add, stream)):
            stream.source.close()

    def remove(self, name: str) -> None:
        """End one stream while the run goes on with the others; no other is disturbed. For any thread."""
        self._loop.intake.call(partial(self._loop.remove, name))

    def replace(self, stream: Stream) -> None:
        """Have this stream take the place of the one of that name, if it runs, or else begin it. For any thread.

        The source, the sinks and the ``analytics`` that it has in common with the one before (the very same objects) go
        on without a break. What it has not is ended: files are completed. Frames are numbered on, media time and ids go
        on, and the report has one account of both. To its sinks the stream is offline until its next frame.
        """
        if not self._loop.intake.call(partial(self._loop.replace, stream)):
            stream.source.close()

    def adjust(self, stream: Stream) -> None:
        """Have a running stream go on as another description says that has the very same source, tracker, classifier,
        sinks and lag: with other filters, zones and lines, another choice of frames to look at. For any thread.

        Nothing ends: tracks keep their ids, windows and totals go on, outputs see no gap. Zones and lines change as
        ``StreamAnalytics.change`` says; a class in them that the model does not know is to be found before.
        """
        self._loop.intake.call(partial(self._loop.adjust, stream))

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, if it runs; for any thread."""
        run = self._loop.running.get(name)
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
        return [run.status() for run in list(self._loop.running.values())]

    def ended(self) -> dict[str, StreamReport]:
        """What those streams came to that have ended; for any thread."""
        return dict(self._loop.ended)

    def latencies(self) -> dict[str, Durations]:
        """Per stream that there was so far, from capture to the sinks; for any thread."""
        return self._loop.latencies()

    def pasts_so_far(self, timeout_s: float = 1.0) -> RunPasts:
        """What all streams have come to, for another process to go on from. For any thread.

        Raises:
            TimeoutError: the run was busy for so long. It is asked between two batches.
        """
        return self._ask(self._loop.pasts, timeout_s)

    def call(self, function: Callable[[], None]) -> bool:
        """Have the thread that runs it call a function between frames; False when it runs no more. For any thread."""
        return self._loop.intake.call(function)

    def report_so_far(self, timeout_s: float = 1.0) -> Report:
        """What a report would say now; the report itself after the end of ``run``. For any thread.

        Raises:
            TimeoutError: the run was busy for so long. It is asked between two batches.
        """
        if self.report is not None:
            return self.report
        return self._ask(self._report_now, timeout_s)

    def _report_now(self) -> Report:
        if self.report is not None:
            return self.report
        return self._make_report({name: run.report_so_far() for name, run in self._loop.running.items()})

    def _ask(self, question: Callable[[], Answer], timeout_s: float) -> Answer:
        """What a function says that the run's thread calls between two batches; after the end of the run it is called
        here.

        Raises:
            TimeoutError: the run was busy for so long.
        """
        answer: Future[Answer] = Future()

        def tell() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001 - raised again where it was asked; the run goes on
                answer.set_exception(error)

        if not self._loop.intake.call(tell):
            if not self._ended.wait(timeout_s):
                raise TimeoutError
            return question()
        return answer.result(timeout_s)

    def run(self) -> Report:
        """Process every source to its end, or to ``stop``, and return what happened.

        Raises:
            PipelineError: what went wrong, if no stream came through; otherwise failures are in the report. What was
                processed until then is kept as the sinks describe.
            KeyboardInterrupt: after the outputs were finished, where the caller has not arranged for ``stop``.
            RuntimeError: it has run already.
        """
        if self._begun:
            raise RuntimeError("this pipeline has run already; make a new one, whose sources are open, for another run")
        self._begun = True
        self._begun_s = time.monotonic()
        error: BaseException | None = None
        try:
            self.check()
            self._loop.run()
        except BaseException as raised:  # noqa: BLE001 - raised again below, when everything is closed
            error = raised
        error = self._loop.finish(error)
        self.report = self._make_report()
        self._ended.set()
        if error is not None:
            raise error
        return self.report

    def _make_report(self, running: Mapping[str, StreamReport] | None = None) -> Report:
        """What happened; ``running`` is what streams have come to that have not ended."""
        ended_s = time.monotonic()
        started_s = self._begun_s if self._started_s is None else self._started_s
        first_s, first_count = self._loop.first_batch or (ended_s, 0)
        later = self._loop.processed - first_count
        return Report(
            streams={**self._loop.ended, **(running or {})},
            stages=self._loop.timings.report(),
            wall_s=round(ended_s - started_s, 3),
            fps=round(later / (ended_s - first_s), 2) if later and ended_s > first_s else 0.0,
            start_s=round(first_s - started_s, 3),
            peak_rss_mb=round(peak_rss_mb(), 1),
            input_shape=self._loop.input_shape,
            precision=self._detector.precision,
            engine=self._detector.engine_name,
            engine_reason=self._detector.engine_reason,
            network_threads=self._detector.network_threads,
            sinks=self._loop.shared.lost(),
            missed_events=self._loop.shared.missed_events(),
            outputs=self._loop.shared.counts(),
            versions=versions(),
        )
