"""Tracks as MOT Challenge text, as TrackEval and most tracking tools read it.

    frame,id,left,top,width,height,score,-1,-1,-1

One row for each track shown at each frame; frames and ids count from 1, boxes are in pixels of the source. The last
three columns are coordinates in the world, which a picture does not give.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts
from pipeline.files import OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame, Tracks
from sinks.output_files import OutputFile, check_output, is_stream, written_file


class MotSink(Sink):
    """Writes the tracks of one stream as MOT text.

    The rules for the file are those of ``JsonlSink``. The format has no column for the stream.

    Args:
        path: the file.
        stream: whose tracks to write; None means the run's only stream.
    """

    def __init__(self, path: str | os.PathLike[str], *, stream: str | None = None) -> None:
        self.path = path
        self.may_stall = is_stream(path)
        self._stream = stream
        self._chosen = stream
        self._file: OutputFile | None = None

    def check(self) -> None:
        """Raise ``SinkError`` if the file can't be written."""
        check_output(self.path)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The file, and its partial name, if it is the stream's."""
        return [written_file("the tracks", self.path)] if self._stream in (None, stream) else []

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Start the file with its stream.

        Raises:
            SinkError: a second stream, where none was chosen.
        """
        if self._file is None and self._stream in (None, stream):
            self._file = OutputFile(self.path, patient=info.live)
            self._chosen = stream
        elif self._stream is None and stream != self._chosen:
            raise SinkError(
                f"cannot write {os.fspath(self.path)}: MOT text holds one stream, and there are {self._chosen!r} and "
                f"{stream!r}; choose one for it"
            )

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Frames of the stream with tracks."""
        return isinstance(item, TrackedFrame) and self._chosen in (None, item.frame.stream) and len(item.tracks) > 0

    def counts(self) -> OutputCounts:
        """Frames with tracks so far."""
        return OutputCounts() if self._file is None else self._file.counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Write the rows of a frame."""
        if self._file is None or not self.takes(tracked):
            return
        self._file.write(mot_rows(tracked.frame.index, tracked.tracks).encode())

    def close(self, error: BaseException | None = None) -> None:
        """Complete the file, or keep what there is of it under its partial name if the run failed."""
        if self._file is not None:
            self._file.finish(error)


def mot_rows(index: int, tracks: Tracks) -> str:
    """The rows of a frame, whose index counts from 0."""
    rows = zip(tracks.track_id.tolist(), tracks.xyxy.tolist(), tracks.score.tolist(), strict=True)
    return "".join(
        f"{index + 1},{track},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f},-1,-1,-1\n"
        for track, (left, top, right, bottom), score in rows
    )
