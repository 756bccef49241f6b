"""Calls a script's functions with what was detected, in ImageAI's form: per frame, per second and per minute.

Seconds and minutes are the pipeline's own windows of media time, the last, partial one included. In strict mode they
are ImageAI's: so many frames, whatever the time, and a rest at the end is not reported.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from pipeline.errors import CallbackError
from pipeline.events import Event, WindowMinute, WindowSecond
from pipeline.interfaces import Sink
from pipeline.types import Image, SourceInfo, TrackedFrame
from pipeline.user_code import check_callable, summary, trimmed, user_line
from sightline.imageai.drawing import DisplayOptions
from sightline.imageai.results import (
    AnalysedFrame,
    above,
    averages,
    counted,
    object_list,
    track_ids,
    truncated_averages,
)

Function = Callable[..., object]

_FRAME_ARGUMENTS = ("frame_number", "output_array", "output_count")
_PERIOD_ARGUMENTS = ("number", "output_arrays", "count_arrays", "average_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """The script's functions, under the names of ImageAI's parameters.

    Raises:
        ConfigError: one that can't be called with the arguments it will be given.
    """

    per_frame_function: Function | None = None
    per_second_function: Function | None = None
    per_minute_function: Function | None = None
    video_complete_function: Function | None = None
    return_detected_frame: bool = False

    def __post_init__(self) -> None:
        picture = ("returned_frame",) if self.return_detected_frame else ()
        expected = {
            "per_frame_function": (*_FRAME_ARGUMENTS, *picture),
            "per_second_function": (*_PERIOD_ARGUMENTS, *picture),
            "per_minute_function": (*_PERIOD_ARGUMENTS, *picture),
            "video_complete_function": _PERIOD_ARGUMENTS[1:],
        }
        for name, arguments in expected.items():
            if getattr(self, name) is not None:
                check_callable(getattr(self, name), name, arguments)

    @property
    def given(self) -> bool:
        """Whether any function was given."""
        return any(getattr(self, entry.name) is not None for entry in fields(self) if entry.name.endswith("function"))


@dataclass(slots=True, eq=False)
class _Period:
    """One of the functions that are called at intervals, and the frames that its next call is about.

    Attributes:
        name: of the parameter.
        function: the script's.
        length: strict mode's length in frames; None takes the pipeline's windows.
        frames: in order, with their numbers.
    """

    name: str
    function: Function
    length: float | None
    frames: deque[tuple[int, AnalysedFrame]]

    def take(self, belongs: Callable[[int, AnalysedFrame], bool]) -> list[AnalysedFrame]:
        """The frames of the period that is over, which are kept no longer; they come before all others."""
        taken = []
        while self.frames and belongs(*self.frames[0]):
            taken.append(self.frames.popleft()[1])
        return taken


class AnalysisSink(Sink):
    """Calls the functions in the thread that called ``detectObjectsFromVideo``, where windows may be opened.

    Keeps the frames of a second, a minute or the whole video only where the function that is given them is there.

    Args:
        functions: what to call.
        display: what is drawn on returned frames, how classes are spelled and which objects count.
        fps: frames per second of strict mode's seconds.
        log_progress: write a line per frame to standard output.
    """

    may_stall = False

    def __init__(self, functions: Functions, display: DisplayOptions, *, fps: float, log_progress: bool) -> None:
        self._functions = functions
        self._display = display
        self._annotator = display.annotator()
        self._log_progress = log_progress
        self._count = 0
        self._latest: TrackedFrame | None = None
        self._previous: TrackedFrame | None = None
        self._whole: list[AnalysedFrame] | None = [] if functions.video_complete_function is not None else None
        self._second = self._period("per_second_function", functions.per_second_function, fps)
        self._minute = self._period("per_minute_function", functions.per_minute_function, 60 * fps)

    def _period(self, name: str, function: Function | None, length: float) -> _Period | None:
        if function is None:
            return None
        if not self._display.strict:
            return _Period(name, function, None, deque())
        return _Period(name, function, length, deque(maxlen=max(1, int(length))))

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """The stream starts."""
        self._count = 0

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a frame in, and call what is due.

        Raises:
            CallbackError: a function of the script raised.
        """
        self._count += 1
        number = self._count if self._display.strict else tracked.frame.index + 1
        if self._log_progress:
            sys.stdout.write(f"Processing Frame :  {number}\n")
        if not self._functions.given:
            return
        self._previous, self._latest = self._latest, tracked
        analysed = self._analysed(tracked)
        if self._whole is not None:
            self._whole.append(analysed)
        if analysed.looked and self._functions.per_frame_function is not None:
            picture = self._picture(tracked)
            self._call("per_frame_function", number, analysed.objects, analysed.counts, *picture)
        for period in (self._second, self._minute):
            if period is not None:
                period.frames.append((number, analysed))
                self._count_frames(period, number, tracked)

    def on_event(self, event: Event) -> None:
        """Call the function of a second or minute that is over.

        Raises:
            CallbackError: a function of the script raised.
        """
        if isinstance(event, WindowSecond):
            self._end_window(self._second, event)
        elif isinstance(event, WindowMinute):
            self._end_window(self._minute, event)

    def complete(self) -> None:
        """Call ``video_complete_function`` with the whole video, if there is one.

        Raises:
            CallbackError: it raised.
        """
        frames = self._whole
        if frames is not None:
            strict = self._display.strict
            average = truncated_averages(frames, len(frames)) if strict else averages(frames)
            self._call("video_complete_function", *_lists(frames), average)

    def _analysed(self, tracked: TrackedFrame) -> AnalysedFrame:
        display, found = self._display, tracked.detections
        if found is None:
            return AnalysedFrame(tracked.frame.pts_s, [], {}, looked=False)
        found = above(found, display.minimum_percentage)
        ids = None if display.strict else track_ids(found, tracked.tracks)
        objects = object_list(found, display.class_names, strict=display.strict, ids=ids)
        return AnalysedFrame(tracked.frame.pts_s, objects, counted(objects), looked=True)

    def _end_window(self, period: _Period | None, window: WindowSecond | WindowMinute) -> None:
        if period is None or period.length is not None:
            return
        frames = period.take(lambda _, frame: frame.pts_s < window.end_s)
        if not frames:
            return  # frames further apart than that: what was seen belongs to the window of the frame itself
        last = self._latest
        if last is not None and last.frame.pts_s >= window.end_s:
            last = self._previous  # windows end when the first frame behind them comes
        assert last is not None
        self._call(period.name, window.index + 1, *_lists(frames), averages(frames), *self._picture(last))

    def _count_frames(self, period: _Period, number: int, tracked: TrackedFrame) -> None:
        """Strict mode's end of a period. ImageAI never ends one with the first frame."""
        length = period.length
        if length is None or number == 1 or number % length:
            return
        frames = period.take(lambda frame_number, _: frame_number <= number)
        average = truncated_averages(frames, length)
        self._call(period.name, int(number / length), *_lists(frames), average, *self._picture(tracked))

    def _picture(self, tracked: TrackedFrame) -> tuple[Image, ...]:
        return (self._annotator.draw(tracked),) if self._functions.return_detected_frame else ()

    def _call(self, name: str, *arguments: object) -> None:
        try:
            getattr(self._functions, name)(*arguments)
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything; it is the cause
            cause = trimmed(error)
            raise CallbackError(f"{name} raised {summary(cause)} ({user_line(cause)}; frame {self._count})") from cause


def _lists(frames: Sequence[AnalysedFrame]) -> tuple[list[object], list[object]]:
    return [frame.objects for frame in frames], [frame.counts for frame in frames]
