"""Taking over a changed configuration while the run goes on.

    old streams, new streams --compare--> Change --Reloader--> Pipeline.add, remove, replace

What can't be built leaves everything as it is. Streams that did not change are not touched, and of one that did, what
is the same in both descriptions goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pipeline.errors import PipelineError
from pipeline.runtime.streams.stream import Stream, goes_on

logger = logging.getLogger(__name__)


class Named(Protocol):
    """A description of a stream: has a name, and is equal to another that says the same."""

    @property
    def name(self) -> str:
        """Name of the stream."""
        ...


Description = TypeVar("Description", bound=Named)


class RunningPipeline(Protocol):
    """What a ``Pipeline`` can do with its streams; for any thread."""

    def add(self, stream: Stream) -> None:
        """Begin a further stream."""
        ...

    def remove(self, name: str) -> None:
        """End a stream; nothing happens where it has ended."""
        ...

    def check(self, streams: Sequence[Stream]) -> None:
        """Raise ``ConfigError`` if a file that one of these writes is another file of the run."""
        ...

    def replace(self, stream: Stream) -> None:
        """Have this stream take the place of the one of that name, if it runs, or else begin it."""
        ...

    def adjust(self, stream: Stream) -> None:
        """Have a running stream go on as another description says that has all of its parts."""
        ...

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, if it runs."""
        ...


@dataclass(frozen=True)
class Change(Generic[Description]):
    """What a new configuration means for the streams.

    Attributes:
        added: to begin.
        changed: to end and to begin anew.
        removed: names of those to end.
        unchanged: names of those to leave alone.
    """

    added: tuple[Description, ...] = ()
    changed: tuple[Description, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words, such as ``1 added (yard), 2 unchanged``."""
        parts = [
            f"{len(names)} {word} ({', '.join(names)})"
            for word, names in (
                ("added", [stream.name for stream in self.added]),
                ("changed", [stream.name for stream in self.changed]),
                ("removed", self.removed),
            )
            if names
        ]
        return ", ".join([*parts, f"{len(self.unchanged)} unchanged"])


def compare(old: Sequence[Description], new: Sequence[Description]) -> Change[Description]:
    """What to do so that the streams of ``old`` become those of ``new``. The order of streams does not matter."""
    before = {stream.name: stream for stream in old}
    after = {stream.name for stream in new}
    return Change(
        added=tuple(stream for stream in new if stream.name not in before),
        changed=tuple(stream for stream in new if stream.name in before and stream != before[stream.name]),
        removed=tuple(name for name in before if name not in after),
        unchanged=tuple(stream.name for stream in new if before.get(stream.name) == stream),
    )


@dataclass(frozen=True, slots=True)
class Before(Generic[Description]):
    """A stream that is to be changed while it runs, as it was described and as it is."""

    description: Description
    stream: Stream


class Reloader(Generic[Description]):
    """Brings a running pipeline to what its configuration says now. Its methods are for any thread, one at a time.

    Args:
        pipeline: the one that runs.
        streams: what it runs.
        load: reads the configuration anew; raises ``PipelineError`` where it can't be used. Returns the streams, and
            the keys outside them that differ from those of the run and need a new one to count, such as ``model``.
        build: makes a stream of its description, of which what is in common with a running one can be the very same
            (see ``Pipeline.replace``); raises ``PipelineError`` where it can't.
        accepted: told of each stream that was built and begins, or goes on changed.
    """

    def __init__(
        self,
        pipeline: RunningPipeline,
        streams: Sequence[Description],
        *,
        load: Callable[[], tuple[Sequence[Description], Sequence[str]]],
        build: Callable[[Description, Before[Description] | None], Stream],
        accepted: Callable[[Stream], None] = lambda stream: None,
    ) -> None:
        self._pipeline = pipeline
        self._streams = tuple(streams)
        self._load = load
        self._build = build
        self._accepted = accepted
        # The newest of each name, which the pipeline may not have taken over yet.
        self._built: dict[str, Stream] = {}
        self._lock = threading.Lock()

    @property
    def streams(self) -> Sequence[Description]:
        """The descriptions that were taken over last."""
        return self._streams

    def reload(self) -> str:
        """Read the configuration and change what differs; returns what was done, in one line, which is also logged.

        Every new stream is built, and its outputs are checked, before any old one is ended: after a mistake, which is
        logged, all go on as they were.
        """
        with self._lock:
            try:
                return self._reload(*self._load())
            except PipelineError as error:
                lines = str(error).splitlines()
                for line in lines:
                    logger.error("the configuration is not taken over: %s", line)
                return f"error: the configuration is not taken over: {'; '.join(lines)}"

    def take_over(self, streams: Sequence[Description]) -> str:
        """Change what differs from these streams; returns what was done, in one line, which is also logged.

        Raises:
            PipelineError: they can't be run; all go on as they were.
        """
        with self._lock:
            return self._reload(streams, ())

    def _reload(self, streams: Sequence[Description], fixed: Sequence[str]) -> str:
        change = compare(self._streams, streams)
        if not streams:
            raise PipelineError("it names no stream; stop the run instead")
        old = {stream.name: stream for stream in self._streams}
        built: list[Stream] = []
        adjusted: list[Stream] = []
        going_on: set[object] = set()
        try:
            for description in (*change.changed, *change.added):
                running = self._pipeline.stream(description.name)
                if running is not None:
                    running = self._built.get(description.name, running)
                before = Before(old[description.name], running) if running and description.name in old else None
                if running is not None:
                    going_on.update((running.source, *running.sinks))
                stream = self._build(description, before)
                if before is not None and goes_on(before.stream, stream):
                    adjusted.append(stream)
                    continue
                built.append(stream)
                for sink in stream.sinks:
                    if sink not in going_on:
                        sink.check()
            self._pipeline.check([*built, *adjusted])
        except BaseException:
            for stream in built:
                if stream.source not in going_on:
                    stream.source.close()
            raise
        # Streams begin before others end, so that there is none left at no time: that would be the end of the run.
        for stream in built:
            self._accepted(stream)
            self._pipeline.replace(stream)
        for stream in adjusted:
            self._accepted(stream)
            self._pipeline.adjust(stream)
        for name in change.removed:
            self._pipeline.remove(name)
            self._built.pop(name, None)
        self._built.update({stream.source.stream: stream for stream in (*built, *adjusted)})
        self._streams = tuple(streams)
        text = f"the configuration is taken over: {change}"
        logger.info("%s", text)
        if fixed:
            logger.warning("only a new run takes over what changed in %s", ", ".join(fixed))
            text += f"; only a new run takes over what changed in {', '.join(fixed)}"
        return text


def differing(old: object, new: object, keys: Sequence[str]) -> tuple[str, ...]:
    """Names of the attributes, out of ``keys``, whose values differ between ``old`` and ``new``."""
    return tuple(key for key in keys if getattr(old, key) != getattr(new, key))
