"""The output that knows each stream's newest frame and state, and wakes who waits for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.events import Event, StreamEnded, StreamFrozen, StreamOffline, StreamOnline, StreamStarted
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame

State = Literal["opening", "online", "reconnecting", "ended", "failed"]
_STATE_EVENTS = (StreamStarted, StreamOffline, StreamOnline, StreamFrozen, StreamEnded)


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a stream is.

    Attributes:
        state: what it does now.
        reason: why it is away or has failed; None where there is nothing to say.
        frozen: whether a camera has sent the very same picture for long.
    """

    state: State = "opening"
    reason: str | None = None
    frozen: bool = False


class LiveHub(Sink):
    """Holds on to the newest frame of each stream and does no work on it: who looks at it makes what they need.

    It sees the frames that every output sees, so whatever hides a part of a picture before them hides it here, too.
    While nobody waits, a frame costs one assignment and one look at an empty dictionary.
    """

    may_stall = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, TrackedFrame] = {}
        self._states: dict[str, StreamState] = {}
        self._class_names: dict[str, tuple[str, ...]] = {}
        self._waiting: dict[str, list[Callable[[], object]]] = {}
        self._listeners: tuple[Callable[[], object], ...] = ()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts."""
        self._class_names[stream] = tuple(class_names)
        self._set_state(stream, StreamState())

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Frames, and what says how a stream is."""
        return isinstance(item, (TrackedFrame, *_STATE_EVENTS))

    def on_result(self, tracked: TrackedFrame, events: Sequence[Event]) -> None:
        """Remember a frame; wake who waits for one."""
        self.on_frame(tracked)
        for event in events:
            if isinstance(event, _STATE_EVENTS):
                self.on_event(event)

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Remember a frame; wake who waits for one."""
        self._newest[tracked.frame.stream] = tracked
        if self._waiting:
            self._wake(tracked.frame.stream)

    def on_event(self, event: Event) -> None:
        """Remember how a stream is. The last picture of one that was removed is let go; those of others stay."""
        match event:
            case StreamStarted() | StreamOnline():
                self._set_state(event.stream, StreamState("online"))
            case StreamOffline():
                self._set_state(event.stream, StreamState("reconnecting", event.reason))
            case StreamFrozen():
                self._set_state(event.stream, replace(self.state(event.stream), frozen=event.frozen))
            case StreamEnded(reason="removed"):
                self._newest.pop(event.stream, None)
                self._set_state(event.stream, None)
            case StreamEnded():
                failed = event.reason == "error"
                self._set_state(event.stream, StreamState("failed" if failed else "ended", event.error))
            case _:
                pass

    def newest(self, stream: str) -> TrackedFrame | None:
        """The newest frame of a stream; None before its first. For any thread."""
        return self._newest.get(stream)

    def class_names(self, stream: str) -> tuple[str, ...]:
        """The names that ``Tracks.class_id`` indexes. For any thread."""
        return self._class_names.get(stream, ())

    def state(self, stream: str) -> StreamState:
        """How a stream is; as one that opens where there is none. For any thread."""
        return self._states.get(stream) or StreamState()

    def states(self) -> dict[str, StreamState]:
        """How every stream is. For any thread."""
        with self._lock:
            return dict(self._states)

    def call_at_next(self, stream: str, wake: Callable[[], object]) -> None:
        """Have the run's thread call ``wake`` once, soon, when a stream's next frame is there. For any thread.

        Args:
            stream: its name; there need not be one yet.
            wake: must return at once and never raise.
        """
        with self._lock:
            self._waiting.setdefault(stream, []).append(wake)

    def forget(self, stream: str, wake: Callable[[], object]) -> None:
        """Take back ``call_at_next``, where it was not called yet. For any thread."""
        with self._lock:
            waiting = self._waiting.get(stream, [])
            if wake in waiting:
                waiting.remove(wake)
            if not waiting:
                self._waiting.pop(stream, None)

    def listen(self, changed: Callable[[], object]) -> None:
        """Have ``changed`` called whenever some stream's state changes; as ``call_at_next``, but every time."""
        with self._lock:
            self._listeners = (*self._listeners, changed)

    def unlisten(self, changed: Callable[[], object]) -> None:
        """Take back ``listen``. For any thread."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each != changed)

    def _wake(self, stream: str) -> None:
        with self._lock:
            waiting = self._waiting.pop(stream, ())
        for wake in waiting:
            wake()

    def _set_state(self, stream: str, state: StreamState | None) -> None:
        with self._lock:
            if state is None:
                self._states.pop(stream, None)
            else:
                self._states[stream] = state
            listeners = self._listeners
        for changed in listeners:
            changed()
