"""The user's own code, called as frames, seconds, minutes and events come by.

    CallbacksSink("my_file.py")                          # functions found in the file by their names
    CallbacksSink(on_second=lambda second: print(second.objects))

The names are ``on_frame``, ``on_second``, ``on_minute``, ``on_event`` and ``on_end``; each takes one argument. For one
stream the calls come in the order things happened: a frame, then the events it gave rise to, each first to ``on_event``
and then to the function made for it; ``on_end`` is the stream's last call.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.did_you_mean import similar_words
from pipeline.errors import CallbackError, ConfigError
from pipeline.events import Event, OutputCounts, StreamEnded, WindowMinute, WindowSecond
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from pipeline.user_code import check_callable, is_interrupt, load_user_file, summary, trimmed, user_line
from sinks.callback_results import FrameAnnotator, FrameResult, TrackedObject
from sinks.drawing.annotator import Annotator

__all__ = ["CALLBACKS", "CallbacksSink", "FrameAnnotator", "FrameResult", "TrackedObject"]

logger = logging.getLogger(__name__)

# Name of each function -> what its argument is called in messages.
CALLBACKS: Mapping[str, str] = {
    "on_frame": "frame",
    "on_second": "second",
    "on_minute": "minute",
    "on_event": "event",
    "on_end": "end",
}
_CALLBACK_OF: Mapping[type[Event], str] = {
    WindowSecond: "on_second",
    WindowMinute: "on_minute",
    StreamEnded: "on_end",
}


OnFrame = Callable[[FrameResult], object]
OnSecond = Callable[[WindowSecond], object]
OnMinute = Callable[[WindowMinute], object]
OnEvent = Callable[[Event], object]
OnEnd = Callable[[StreamEnded], object]


@dataclass(slots=True, eq=False)
class _Stream:
    class_names: Sequence[str]
    annotator: FrameAnnotator
    frame_index: int | None = None


class CallbacksSink(Sink):
    """Calls the user's functions. What they return is ignored.

    Args:
        file: Python file that defines some of the five functions.
        on_frame, on_second, on_minute, on_event, on_end: functions given directly, instead of or beside the file's.
        errors: ``"stop"``: a function that raises ends the run with ``CallbackError``; ``"continue"``: it is logged
            with its traceback the first time that it raises that kind of exception, counted every time, and called
            again for what comes next.
        annotator: makes what draws ``FrameResult.annotated()`` for one stream, from the model's class names.

    Raises:
        ConfigError: the file is missing or not valid Python; no function was given; one can't be called with its one
            argument, or is named almost but not quite as one of the five. One line per problem.
        CallbackError: the file raised while it was being loaded.
    """

    def __init__(
        self,
        file: str | Path | None = None,
        *,
        on_frame: OnFrame | None = None,
        on_second: OnSecond | None = None,
        on_minute: OnMinute | None = None,
        on_event: OnEvent | None = None,
        on_end: OnEnd | None = None,
        errors: Literal["stop", "continue"] = "stop",
        annotator: Callable[[Sequence[str]], FrameAnnotator] = Annotator,
    ) -> None:
        given: dict[str, object] = {"on_frame": on_frame, "on_second": on_second, "on_minute": on_minute}
        given |= {"on_event": on_event, "on_end": on_end}
        if errors not in ("stop", "continue"):
            raise ConfigError(f"callback_errors: got {errors!r}, expected stop or continue")
        self._file = Path(file) if file is not None else None
        self._functions = _collect(self._file, {name: item for name, item in given.items() if item is not None})
        self._stops = errors == "stop"
        self._annotator = annotator
        self._streams: dict[str, _Stream] = {}
        self._errors: Counter[str] = Counter()
        self._counts = OutputCounts()
        self._raised = False
        self._logged: set[tuple[str, type[BaseException]]] = set()

    @property
    def errors(self) -> dict[str, int]:
        """How often each function raised; only those that did."""
        return dict(self._errors)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """What there is a function for."""
        if isinstance(item, TrackedFrame):
            return "on_frame" in self._functions
        return "on_event" in self._functions or _CALLBACK_OF.get(type(item)) in self._functions

    def counts(self) -> OutputCounts:
        """Frames and events so far that there is a function for; lost are those at which one raised."""
        return self._counts

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts."""
        self._streams[stream] = _Stream(class_names, self._annotator(class_names))

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Call the user's ``on_frame``."""
        frame, state = tracked.frame, self._streams[tracked.frame.stream]
        state.frame_index = frame.index
        if self.takes(tracked):
            with self._counted():
                self._show(tracked, state)

    def _show(self, tracked: TrackedFrame, state: _Stream) -> None:
        frame = tracked.frame
        result = FrameResult(tracked, state.class_names, state.annotator)
        self._call("on_frame", result, frame.stream, frame.pts_s)

    def on_event(self, event: Event) -> None:
        """Call the user's ``on_event``, and the function made for this type of event, if there is one."""
        if self.takes(event):
            with self._counted():
                self._call("on_event", event, event.stream, event.pts_s)
                if (name := _CALLBACK_OF.get(type(event))) is not None:
                    self._call(name, event, event.stream, event.pts_s)
        if isinstance(event, StreamEnded):
            self._streams.pop(event.stream, None)

    def close(self, error: BaseException | None = None) -> None:
        """Say how often functions raised."""
        for name, count in self._errors.items():
            if not self._stops:
                logger.warning("%s raised %d times", name, count)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._raised = False
        try:
            yield
        except BaseException:
            self._raised = True
            raise
        finally:
            self._counts += OutputCounts(given=1, written=int(not self._raised), lost=int(self._raised))

    def _call(self, name: str, argument: object, stream: str, pts_s: float) -> None:
        function = self._functions.get(name)
        if function is None:
            return
        try:
            function(argument)
        except BaseException as error:
            if is_interrupt(error):
                raise
            self._errors[name] += 1
            self._raised = True
            cause = trimmed(error)
            message = self._message(name, cause, stream, pts_s)
            if self._stops:
                raise CallbackError(message) from cause
            kind = (name, type(error))
            if kind not in self._logged:
                self._logged.add(kind)
                logger.error("%s; later ones of this kind are only counted", message, exc_info=cause)

    def _message(self, name: str, error: BaseException, stream: str, pts_s: float) -> str:
        state = self._streams.get(stream)
        index = state.frame_index if state is not None else None
        frame = f", frame {index}" if index is not None else ""
        where = user_line(error, self._file)
        return f"{name} raised {summary(error)} ({where}; stream {stream}{frame}, {pts_s:.3f} s)"


def _collect(file: Path | None, given: Mapping[str, object]) -> dict[str, Callable[[Any], object]]:
    """The functions to call, by name, checked; every problem at once."""
    module = load_user_file(file) if file is not None else None
    names = vars(module) if module is not None else {}
    found = {name: names[name] for name in CALLBACKS if name in names}
    prefix = f"{file}: " if file is not None else ""
    problems = [f"{prefix}{name} is also given directly; keep one of them" for name in found if name in given]
    similarity = 0.8 if found or given else 0.6
    for name, item in names.items():
        near = similar_words(name, CALLBACKS, similarity=similarity)
        # Beside functions that are called, only what looks like one of them: in_frame() may well be a helper.
        alike = name.lower().startswith("on") or not (found or given)
        if near and alike and name not in CALLBACKS and callable(item):
            problems.append(f"{prefix}defines {name}, which nothing calls; did you mean {near[0]}?")
    functions: dict[str, Callable[[Any], object]] = {}
    for name, item in {**found, **given}.items():
        try:
            functions[name] = check_callable(item, f"{prefix}{name}", (CALLBACKS[name],))
        except ConfigError as error:
            problems.append(str(error))
    if not functions and not problems:
        problems.append(f"{prefix}has none of the functions that are called: {', '.join(CALLBACKS)}")
    if problems:
        raise ConfigError("\n".join(problems))
    return functions
