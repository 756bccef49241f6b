"""What all streams of a run read and write, so that none destroys what another needs, also after a reload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.files import InputFiles, OutputFiles, refuse_conflicts
from pipeline.interfaces import Sink
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.local_files import source_files


@dataclass(frozen=True, slots=True)
class _StreamFiles:
    name: str
    reads: tuple[InputFiles, ...]
    writes: tuple[OutputFiles, ...]


class RunFiles:
    """The files of a run.

    Args:
        sinks: that all streams share.
        reads, writes: files of the run that belong to no stream and to none of the sinks.
        streams: those that are there already.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        reads: Sequence[InputFiles],
        writes: Sequence[OutputFiles],
        streams: Iterable[Stream] = (),
    ) -> None:
        self._sinks = sinks
        self._reads = reads
        self._writes = writes
        self._streams = {stream.source.stream: _files(stream) for stream in streams}

    def add(self, stream: Stream) -> None:
        """Count a stream's files to those of the run, in place of those of an earlier stream of that name."""
        files = _files(stream)
        self._streams[files.name] = files

    def check(self, streams: Iterable[Stream] = ()) -> None:
        """Look for files that are written though they are read, or written twice.

        A stream that has ended still counts: what it wrote is not to be replaced by another one of the run.

        Args:
            streams: further ones, that have not begun. One may have the name of another, whose place it then takes.

        Raises:
            ConfigError: there is such a file.
        """
        known = list(self._streams.values())
        new = [_files(stream) for stream in streams]
        names = {files.name for files in new}
        self._refuse_conflicts([*(files for files in known if files.name not in names), *new])
        # They begin one after the other: the others still write, then, what they did before.
        for one in new:
            self._refuse_conflicts([*(files for files in known if files.name != one.name), one])

    def _refuse_conflicts(self, streams: Sequence[_StreamFiles]) -> None:
        reads = [given for stream in streams for given in stream.reads]
        writes = [output for stream in streams for output in stream.writes]
        refuse_conflicts([*self._reads, *reads], [*self._writes, *self._shared([s.name for s in streams]), *writes])

    def _shared(self, names: Sequence[str]) -> Iterator[OutputFiles]:
        for sink in self._sinks:
            # What it writes for all of them alike is one output.
            yield from dict.fromkeys(output for name in names for output in sink.files(name))


def _files(stream: Stream) -> _StreamFiles:
    name = stream.source.stream
    reads = (*source_files(stream.source.info.uri, name), *stream.reads)
    return _StreamFiles(name, reads, tuple(output for sink in stream.sinks for output in sink.files(name)))
