"""What a person at a terminal sees: a progress bar while a run goes on, and a summary table at its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.events import OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame


class _FramesPerSecond(ProgressColumn):
    def __init__(self, unit: str = "fps") -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Frames per second since the first one."""
        frames, since = task.fields["frames"], task.fields["since"]
        elapsed = time.monotonic() - since
        return Text(
            f"{frames / elapsed:5.1f} {self._unit}" if frames > 1 and elapsed > 0 else "          ", style="cyan"
        )


class ProgressSink(Sink):
    """A progress bar over media time with frames per second and the time left; one line per stream.

    Args:
        console: where to draw, normally standard error.
    """

    may_stall = False

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _FramesPerSecond(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            auto_refresh=False,  # its own thread would outlive the run for a moment
        )
        self._tasks: dict[str, tuple[Task, float]] = {}
        self._frames = 0

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Start a line for the stream; without a known duration the bar only pulses."""
        total = info.duration_s
        task_id = self._progress.add_task(stream, total=total, frames=0, since=time.monotonic())
        task = next(task for task in self._progress.tasks if task.id == task_id)
        self._tasks[stream] = (task, float("-inf"))
        self._progress.start()

    @property
    def streams(self) -> Collection[str]:
        """The streams that have a line."""
        return self._tasks.keys()

    def counts(self) -> OutputCounts:
        """Frames so far."""
        return OutputCounts(given=self._frames, written=self._frames)

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Move the bar to the frame's time, at most ten times a second."""
        task, drawn_s = self._tasks[tracked.frame.stream]
        frames = task.fields["frames"] + 1
        if frames == 1:
            task.fields["since"] = time.monotonic()
        task.fields["frames"] = frames
        now = time.monotonic()
        if now - drawn_s > 0.1:
            self._progress.update(task.id, completed=tracked.frame.pts_s, refresh=True)
            self._tasks[tracked.frame.stream] = (task, now)
        self._frames += 1

    def close(self, error: BaseException | None = None) -> None:
        """Remove the bar."""
        self._progress.stop()


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Say at a terminal what is waited for, such as ``loading tiny-yolov3``, while it lasts."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


class PictureProgress:
    """A progress bar over pictures, with pictures per second and the time left; nothing where there is no terminal.

    As a context manager it gives a function that prints a warning above the bar.

    Args:
        total: how many there are.
    """

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("pictures"),
            BarColumn(),
            MofNCompleteColumn(),
            _FramesPerSecond("a second"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("pictures", total=total, frames=0, since=time.monotonic())
        self._done, self._drawn_s = 0, float("-inf")

    def __enter__(self) -> Callable[[str], None]:
        self._progress.start()
        return self._warn

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def advance(self) -> None:
        """Count a picture; drawn at most ten times a second."""
        self._done += 1
        now = time.monotonic()
        if self._done == 1:  # not counting how long the first one took, in which much is made ready
            self._progress.update(self._task, since=now)
        if now - self._drawn_s > 0.1:
            self._progress.update(self._task, completed=self._done, frames=self._done, refresh=True)
            self._drawn_s = now

    def _warn(self, text: str) -> None:
        self._progress.console.print(f"WARNING: {text}", markup=False, highlight=False, soft_wrap=True)
