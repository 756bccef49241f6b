"""Several sinks as one: those that may stall get a thread each, and closing reaches every one whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count

from pipeline.events import Event, OutputCounts
from pipeline.interfaces import Sink
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.sink_thread import SinkQueue, SinkThread
from pipeline.runtime.timing import Durations, Timings
from pipeline.types import SourceInfo, TrackedFrame

logger = logging.getLogger(__name__)

# What a live sink gets to work off its queue when the run ends, so that stopping takes a bounded time.
_LIVE_CLOSE_S = 2.0


class SinkGroup:
    """Passes every call to each of its sinks, in order.

    Args:
        sinks: to pass the calls to.
        live: drop frames for a sink that can't keep up, rather than hold up the run.
        capacity: frames that may wait for each sink that has a thread.
        memory: says whether there is room for their pictures.
        timings: gets the time that each sink with a thread takes per frame, under the sink's name.
        before: a group some of whose sinks go on in this one; its ``close`` must be told of this one.
        beside: a group whose sinks are told of together with these, so that no name may stand for two.

    A sink without a name of its own is called by its class, and a second one of that class ``Mp4Sink-2``, in the order
    given; one that goes on keeps its name.

    Attributes:
        failure: what the first sink to fail raised, or None. A sink that has failed gets no more calls but ``close``.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        live: bool,
        capacity: int,
        memory: PictureMemory,
        timings: Timings,
        before: SinkGroup | None = None,
        beside: SinkGroup | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self._failed: set[Sink] = set()
        running = {} if before is None else {sink: before._sinks[sink] for sink in sinks if sink in before._sinks}
        # Those that are open already.
        self._going_on = set() if before is None else before._open() & set(running)
        self._opened = False
        self._sinks: dict[Sink, Sink] = {}
        self._names: dict[Sink, str] = {sink: before._names[sink] for sink in running} if before is not None else {}
        taken = {*self._names.values(), *(() if beside is None else beside._names.values())}
        for sink in sinks:
            if sink not in self._names:
                self._names[sink] = _free_name(sink.name or type(sink).__name__, taken)
                taken.add(self._names[sink])
            self._sinks[sink] = running.get(sink) or (
                SinkThread(
                    sink,
                    capacity=capacity,
                    memory=memory,
                    when_full="drop_oldest" if live else "wait",
                    timeout_s=_LIVE_CLOSE_S if live else None,
                    timings=timings,
                    name=self._names[sink],
                )
                if sink.may_stall
                else sink
            )

    def wait_for_all(self) -> None:
        """From now on nothing is dropped: the streams were taken to be live and are not."""
        for sink in self._sinks.values():
            if isinstance(sink, SinkThread):
                sink.wait_for_all()

    def check(self) -> None:
        """``Sink.check`` of each that is not open."""
        for sink in self._begun():
            sink.check()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """``Sink.open`` of each, but for those that go on from a group before and are open."""
        self._opened = True
        self._each(lambda sink: sink.open(stream, info, class_names), self._begun())

    def on_result(self, tracked: TrackedFrame, events: Sequence[Event]) -> None:
        """``Sink.on_result`` of each."""
        self._each(lambda sink: sink.on_result(tracked, events))

    def on_event(self, event: Event) -> None:
        """``Sink.on_event`` of each."""
        self._each(lambda sink: sink.on_event(event))

    def close(self, error: BaseException | None, *, after: SinkGroup | None = None) -> BaseException | None:
        """``Sink.close`` of each; returns what the first to fail at it raised, and logs what others did.

        Args:
            error: what they are closed with.
            after: a group in which some of them go on; those stay as they are.
        """
        first: BaseException | None = None
        for name, sink in self._named(after):
            try:
                sink.close(error)
            except BaseException as raised:  # noqa: BLE001 - returned or logged; the other sinks must be closed too
                if raised is error or raised is self.failure:
                    continue
                if first is None:
                    first = raised
                else:
                    logger.error("%s: %s", name, raised)
        return first

    def lost(self, *, after: SinkGroup | None = None) -> dict[str, dict[str, int]]:
        """Per sink that did not see every frame, how many it missed by reason; but for those that go on ``after``."""
        return {
            name: sink.dropped_frames
            for name, sink in self._named(after)
            if isinstance(sink, SinkThread) and sink.dropped_frames
        }

    def missed_events(self, *, after: SinkGroup | None = None) -> dict[str, dict[str, int]]:
        """Per sink that did not see every event, how many it missed by reason; likewise."""
        return {
            name: sink.dropped_events
            for name, sink in self._named(after)
            if isinstance(sink, SinkThread) and sink.dropped_events
        }

    def counts(self, *, after: SinkGroup | None = None) -> dict[str, OutputCounts]:
        """Per sink that keeps count, what became of what it was given so far; likewise."""
        found = ((name, sink.counts()) for name, sink in self._named(after))
        return {name: counts for name, counts in found if counts is not None}

    def queues(self) -> dict[str, SinkQueue]:
        """Per sink that has a thread, what waits for it; for any thread."""
        return {name: sink.queue() for name, sink in self._named(None) if isinstance(sink, SinkThread)}

    def latency(self, *, after: SinkGroup | None = None) -> dict[str, Durations]:
        """Per sink that has a thread, the time from a frame's capture until the sink was done with it; likewise."""
        return {
            name: sink.latency
            for name, sink in self._named(after)
            if isinstance(sink, SinkThread) and sink.latency.count
        }

    def _open(self) -> set[Sink]:
        return set(self._sinks) if self._opened else self._going_on

    def _begun(self) -> list[Sink]:
        return [running for sink, running in self._sinks.items() if sink not in self._going_on]

    def _named(self, after: SinkGroup | None) -> list[tuple[str, Sink]]:
        going_on = () if after is None else after._sinks
        return [(self._names[sink], running) for sink, running in self._sinks.items() if sink not in going_on]

    def _each(self, call: Callable[[Sink], None], sinks: Iterable[Sink] | None = None) -> None:
        for sink in self._sinks.values() if sinks is None else sinks:
            if sink in self._failed:
                continue
            try:
                call(sink)
            except Exception as error:
                self._failed.add(sink)
                self.failure = self.failure or error
                raise


def _free_name(name: str, taken: Collection[str]) -> str:
    return name if name not in taken else next(each for n in count(2) if (each := f"{name}-{n}") not in taken)
