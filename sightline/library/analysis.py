"""A loop over what is found, frame by frame.

    for result in sightline.analyze("clip.mp4", classes=["person"]):
        print(result.pts_s, len(result))

The pipeline runs in a thread of its own, some frames ahead of the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Self, Unpack

from rich.console import Console

from pipeline.detection.base import ImageDetector
from pipeline.errors import ConfigError
from pipeline.events import Event
from pipeline.interfaces import DetectorLike, Sink, Source
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from sightline.composition.annotators import StreamAnnotators
from sightline.composition.pipeline import build_pipeline
from sightline.composition.reloader import build_reloader
from sightline.composition.running import run_configured
from sightline.config.schema import Config
from sightline.library.handover import Handover, Item
from sightline.library.inputs import Sources, streams_of
from sightline.library.options import Options, configured
from sightline.library.result import Result
from sightline.terminal.progress import ProgressSink
from sinks.drawing.annotator import Annotator


def analyze(
    source: Sources | None = None,
    *,
    config: str | PathLike[str] | None = None,
    sinks: Sequence[Sink] = (),
    detector: DetectorLike | None = None,
    queue: int = 4,
    progress: bool = False,
    **options: Unpack[Options],
) -> Analysis:
    """A loop over a source's frames with what is found in each, in the order of the frames and as they are done.

    Leaving the loop by ``break``, ``return`` or an exception ends the run and completes its outputs. Whatever goes
    wrong in the run is raised in the loop. The same arguments on the command line give the same results.

    Args:
        source: a path or address (files, folders of pictures, ``rtsp://``, ``webcam:0``; docs/live.md), the number of a
            webcam, a frame, what gives frames (arrays, PyAV's frames, pairs of seconds and a picture), or a list of
            these, which are then streams of one run; a mapping gives the streams names. None takes the sources of the
            configuration.
        config: a YAML file; keyword arguments win over it.
        sinks: further outputs, for all streams.
        detector: in place of ``model``: anything that is a ``DetectorLike``. It is not closed, so it may be used again.
        queue: results that may wait for the loop. A file waits for a slow loop; of a camera the oldest is dropped.
        progress: show a progress bar, in a terminal or a notebook.
        options: settings of the configuration by name: see ``Options``.

    Raises:
        ConfigError: a setting that can't be used. Whatever else is wrong is raised when the loop begins.
    """
    fps = options.get("fps")
    if queue < 1:
        raise ConfigError(f"queue: got {queue}, expected 1 or more")
    streams, sources = streams_of(source, fps)
    try:

        def read() -> Config:
            return configured(options, config, streams)

        return Analysis(
            read,
            path=None if config is None else Path(config),
            sources=sources,
            sinks=sinks,
            detector=detector,
            queue=queue,
            progress=progress,
        )
    except BaseException:
        for opened in sources.values():
            opened.close()
        raise


class Analysis:
    """A run and the loop over its results; made by ``analyze``. It is looped over once, with ``for`` or ``async for``.

    Args:
        read: gives the configuration.
        path: of the configuration.
        sources: by name, those that have no address.
        sinks, detector, queue, progress: as ``analyze`` has them.

    Attributes:
        config: what is run.
        report: what happened, once the loop is over; None before.
    """

    def __init__(
        self,
        read: Callable[[], Config],
        *,
        path: Path | None,
        sources: Mapping[str, Source],
        sinks: Sequence[Sink],
        detector: DetectorLike | None,
        queue: int,
        progress: bool,
    ) -> None:
        self.config = read()
        if not self.config.resolved_streams():
            raise ConfigError("nothing to analyze: give a source, or a configuration that names one")
        self.report: Report | None = None
        self._read = read
        self._path = path
        self._sources = dict(sources)
        self._sinks = tuple(sinks)
        self._detector = detector
        self._progress = progress
        self._pipeline: Pipeline | None = None
        self._handover = Handover(queue, live=lambda: bool(self._pipeline and self._pipeline.live), abandoned=self.stop)
        self._annotators: dict[str, Annotator] = {}
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._state = threading.Lock()
        self._begun = self._closed = False

    def __iter__(self) -> Iterator[Result]:
        return self._loop()

    def __aiter__(self) -> AsyncIterator[Result]:
        return self._async_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def events_after(self) -> tuple[Event, ...]:
        """Once the loop is over, the events that came after the last frame: tracks, windows and streams that ended."""
        return self._handover.left

    @property
    def missed(self) -> int:
        """Results of something live that the loop was too slow for. Their events came with the results after them."""
        return self._handover.counts().lost

    def stop(self) -> None:
        """End the run soon: the loop gets what is done and ends. For any thread."""
        if self._pipeline is not None:
            self._pipeline.stop()

    def close(self) -> None:
        """End the run and wait until its outputs are complete; the end of a loop does it. May be called again."""
        self._handover.cancel()
        with self._state:
            self._begun = self._closed = True
            for source in self._sources.values():
                source.close()  # of a run that has not begun
            self._sources.clear()
            self.stop()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> Iterator[Result]:
        self._begin()
        bar: ProgressSink | None = None
        try:
            while (item := self._handover.get()) is not None:
                bar = self._show(item, bar) if self._progress else None
                yield self._result(item)
            self._end()
        finally:
            if bar is not None:
                bar.close()
            self.close()

    async def _async_loop(self) -> AsyncIterator[Result]:
        try:
            await asyncio.to_thread(self._begin)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(self.close))
            raise
        try:
            while (item := await asyncio.to_thread(self._handover.get)) is not None:
                yield self._result(item)
            await asyncio.to_thread(self._end)
        finally:
            # At once: an event loop that is being closed does not wait for what is to be awaited.
            self._handover.cancel()
            self.stop()
            await asyncio.shield(asyncio.to_thread(self.close))

    def _begin(self) -> None:
        """Build the pipeline and let it run.

        Raises:
            PipelineError: something that it needs can't be used.
            RuntimeError: it has begun before.
        """
        with self._state:
            if self._begun:
                raise RuntimeError("this analysis was looped over already, or closed; call analyze() again")
            self._begun = True
            sources, self._sources = self._sources, {}
            self._pipeline = pipeline = build_pipeline(
                self.config,
                path=self._path,
                sources=sources,
                sinks=[*self._sinks, self._handover],
                detector=self._detector,
            )
            for described in self.config.resolved_streams():
                stream = pipeline.stream(described.name)
                assert stream is not None, "it was just built"
                annotators = StreamAnnotators(described.output.annotate, stream.analytics.live)
                self._annotators[described.name] = annotators(pipeline.class_names)
            self._thread = threading.Thread(target=self._run, args=(pipeline,), name="sightline analyze")
            self._thread.start()

    def _run(self, pipeline: Pipeline) -> None:
        try:
            run_configured(self.config, pipeline, build_reloader(pipeline, self.config, self._read))
        except BaseException as error:  # noqa: BLE001 - raised again in the loop
            self._error = error
        finally:
            self.report = pipeline.report
            if self._detector is None and isinstance(pipeline.detector, ImageDetector):
                pipeline.detector.close()
            self._handover.end()

    def _end(self) -> None:
        """Wait for the end of the run, and raise what it failed with."""
        assert self._thread is not None, "it has begun"
        self._thread.join()
        if self._error is not None and not self._closed:
            raise self._error

    def _result(self, item: Item) -> Result:
        annotator = self._annotators[item.tracked.frame.stream]
        return Result(item.tracked, self._handover.class_names, annotator, item.events)

    def _show(self, item: Item, bar: ProgressSink | None) -> ProgressSink:
        """Move the progress bar, which the loop's own thread draws: a notebook shows nothing of others."""
        if bar is None:
            console = Console()
            bar = ProgressSink(console if console.is_jupyter else Console(stderr=True))
        stream = item.tracked.frame.stream
        if stream not in bar.streams:
            bar.open(stream, self._handover.infos[stream], self._handover.class_names)
        bar.on_frame(item.tracked)
        return bar

    def __repr__(self) -> str:
        streams = ", ".join(stream.name for stream in self.config.resolved_streams())
        return f"Analysis({streams}{', over' if self.report is not None else ''})"
