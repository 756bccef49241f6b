"""Events as JSON Lines: one event a line, UTF-8, in the order they happened."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from pipeline.event_codec import encode_json, event_kind
from pipeline.events import Event, OutputCounts
from pipeline.files import OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.output_files import OutputFile, check_output, is_stream, written_file


class JsonlSink(Sink):
    """Writes events to a file, one JSON object a line.

    The file has its final name once it is complete, which is when the run ended or was interrupted; until then, and
    after an error, the lines are in the partial file beside it (see ``sinks.output_files``). Each line goes to the
    operating system at once, so a killed program loses none. Nothing is written before the first stream opens. In a run
    with a camera short trouble is waited out: see ``sinks.steady_file``.

    Args:
        path: the file; a pipe or ``/dev/stdout`` is written to directly.
        types: the event types to write, such as ``{"line.crossed", "window.second"}``; all of them by default.

    Raises:
        ConfigError: an event type that does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], *, types: Collection[str] | None = None) -> None:
        self.path = path
        self.may_stall = is_stream(path)
        self._kinds = None if types is None else tuple(event_kind(name) for name in types)
        self._file: OutputFile | None = None

    def check(self) -> None:
        """Raise ``SinkError`` if the file can't be written."""
        check_output(self.path)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The file, and its partial name."""
        return [written_file("the events", self.path)]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Start the file with the first stream."""
        if self._file is None:
            self._file = OutputFile(self.path, patient=info.live)
        self._file.be_patient(info.live)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events of the types to write."""
        return isinstance(item, self._kinds or Event)

    def counts(self) -> OutputCounts:
        """Events so far."""
        return OutputCounts() if self._file is None else self._file.counts

    def on_event(self, event: Event) -> None:
        """Write one line."""
        if self._file is not None and self.takes(event):
            self._file.write(encode_json(event) + b"\n")

    def close(self, error: BaseException | None = None) -> None:
        """Complete the file, or keep what there is of it under its partial name if the run failed."""
        if self._file is not None:
            self._file.finish(error)
