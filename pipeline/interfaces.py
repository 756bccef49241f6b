"""The protocols and base classes of the stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from pipeline.types import (
    BoolArray,
    Detections,
    Float64Array,
    Frame,
    Image,
    Int64Array,
    Sightings,
    SourceInfo,
    TrackedFrame,
    Tracks,
)

if TYPE_CHECKING:
    from pipeline.events import Event, OutputCounts
    from pipeline.files import OutputFiles


@runtime_checkable
class Source(Protocol):
    """An iterator of frames that owns a decoder. One thread reads it; the same thread closes it.

    Iterating yields each frame exactly once, in display order, with strictly increasing ``pts_s``, and ends at the end
    of the stream. ``SourceError`` is raised for a source that can't be opened or holds no frame that can be decoded.
    Damage after the first frame is logged and counted in ``failed`` and does not raise. What derives from this class is
    a context manager; any object that has its methods will do.
    """

    @property
    def stream(self) -> str:
        """Name of the stream, used in frames, events and reports."""
        ...

    @property
    def info(self) -> SourceInfo:
        """What the source said of itself when it opened."""
        ...

    @property
    def failed(self) -> Mapping[str, int]:
        """Frames that were there but could not be decoded, by reason."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Give back the decoder. May be called more than once."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@runtime_checkable
class RecoveringSource(Source, Protocol):
    """A source that outlives its connection. What it is may show only once it is open; until then it counts as live."""

    @property
    def known(self) -> bool:
        """Whether the first attempt has shown what the source is; until then ``info`` is only supposed."""
        ...

    def listen(
        self,
        on_offline: Callable[[str], object],
        on_online: Callable[[float], object],
        on_known: Callable[[SourceInfo], object] | None = None,
    ) -> None:
        """Have the reading thread call these between frames. Call before iterating.

        Args:
            on_offline: called with the reason of each outage when it begins.
            on_online: called with its length in seconds when it is over.
            on_known: called when it shows what the source is, before anything else is told and before the first frame.
        """
        ...

    def request_stop(self) -> None:
        """End the iteration soon, also while it waits or reads. For any thread."""
        ...


class DetectorLike(Protocol):
    """The least that an object must have to be used as a detector; what a `Detector` has besides may be left out."""

    @property
    def class_names(self) -> Sequence[str]:
        """The model's classes; ``Detections.class_id`` indexes it."""
        ...

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """As `Detector.detect`."""
        ...


class Detector(ABC):
    """Finds objects in images. A subclass sets ``class_names``, has a ``detect``, and overrides what else it can do.

    Attributes:
        class_names: the model's classes; ``Detections.class_id`` indexes it.
        precision: the numeric type the network computes in, such as ``float32``.
        engine_name: what runs the network, such as ``openvino``; None where that has no name.
        engine_reason: why it is that engine and precision, in words; None where nothing was chosen.
        network_threads: processor cores that the network uses; None where that is not known.
        calls_at_once: how many threads may be in ``detect``, ``detect_reduced`` and ``warm_up`` at a time to make the
            most of it; 1 or more. With 1 they are one at a time, though not always the same.
        reduced_side: the longer side, in pixels, at which it sees a whole picture, which it can then be given at that
            size, to ``detect_reduced``; None for a detector that wants pictures as they are.
    """

    class_names: Sequence[str]
    precision: str = "unknown"
    engine_name: str | None = None
    engine_reason: str | None = None
    network_threads: int | None = None
    calls_at_once: int = 1
    reduced_side: int | None = None

    @abstractmethod
    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detections of each image, in the same order; images may differ in size. An empty list gives an empty list.

        Args:
            images: uint8 ``(height, width, 3)``, BGR.
        """

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detections in pictures, or parts of pictures, that have been scaled to its ``reduced_side`` already.

        Args:
            images: uint8 BGR of any size, which is left as it is.
            sizes: per image the ``(height, width)`` it had before it was scaled; boxes are in its pixels.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no reduced pictures: its reduced_side is None")

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        """The network's input ``(height, width)`` for images of that size; those that share one make one batch."""
        return height, width

    def warm_up(self, height: int, width: int) -> tuple[int, int]:
        """Build what images of that size in pixels need; returns the network's input shape ``(height, width)``."""
        return self.input_shape(height, width)


@runtime_checkable
class Tracker(Protocol):
    """Gives detections of one stream their identities. State is per instance; one instance per stream.

    Attributes:
        needs_image: whether ``update`` makes use of the picture, which need not be made otherwise.
    """

    needs_image: bool

    @property
    def lowest_score(self) -> float:
        """Weaker detections are of no use to it, so the detector need not report them."""
        ...

    def update(self, detections: Detections | None, pts_s: float, image: Image | None = None) -> Tracks:
        """The confirmed tracks at ``pts_s``, which must be later than at the last call.

        ``None`` says that nobody looked at this frame: tracks coast on their motion model and none is let go for being
        unseen merely because nobody looked. Empty ``Detections`` say that there was nothing. Any permutation of the
        detections gives the same tracks. ``image`` is given where ``needs_image`` says so.
        """
        ...

    @property
    def ended(self) -> Int64Array:
        """int64 ``(M,)``: ids returned by earlier updates that the last ``update`` let go for good."""
        ...

    def reset(self) -> Int64Array:
        """Let go of every track (end of stream, or a gap) and return the ids; they are not used again."""
        ...


@runtime_checkable
class SightingTracker(Tracker, Protocol):
    """A tracker that also tells of tracks that it does not show yet, so that they can be shown from the beginning."""

    @property
    def sighted(self) -> Sightings:
        """What the last ``update`` took for its tracks; empty where nobody looked."""
        ...


@runtime_checkable
class MovableTracker(Tracker, Protocol):
    """A tracker that can be told that the camera moved."""

    def move(self, motion: Float64Array) -> None:
        """Have all tracks where ``motion`` takes what stands still; called before the ``update`` of the next frame.

        Args:
            motion: ``(2, 3)``: turns, scales and shifts the picture, see `pipeline.geometry.similarity`.
        """
        ...


# Which detections to keep: bool (N,).
DetectionFilter = Callable[[Detections, Frame], BoolArray]


class Sink:
    """An output. Every method has a default that does nothing, so a sink overrides only what it uses.

    All calls come from one thread, in the order ``open``, then ``on_frame`` and ``on_event`` in the order things
    happened, then ``close`` exactly once, also when ``open`` or a later call failed. For one frame, ``on_frame`` comes
    first and the events that it gave rise to follow. A sink that serves several streams sees ``open`` once per stream.

    Attributes:
        may_stall: True for a sink whose methods may take long (an encoder, user code); it then gets its own thread.
        name: what reports and metrics call it; None for the name of its class.
    """

    may_stall: bool = True
    name: str | None = None

    def check(self) -> None:
        """Raise ``SinkError`` if this output can't work (folder missing, no permission, port in use, ...).

        Called for every sink, perhaps more than once, before the first frame is read and before anything is written.
        """

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """What it writes, replaces or deletes on behalf of a stream of that name; asked before ``open``.

        Whatever is left out here may destroy a file that the run reads: see ``pipeline.files``.
        """
        return ()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts."""

    def on_frame(self, tracked: TrackedFrame) -> None:
        """A frame was processed. The image must not be changed."""

    def on_event(self, event: Event) -> None:
        """Something happened."""

    def on_result(self, tracked: TrackedFrame, events: Sequence[Event]) -> None:
        """A frame was processed, and gave rise to these events: ``on_frame``, then ``on_event`` of each.

        For a sink without a thread of its own that wants them at once; one that has a thread gets them one by one.
        """
        self.on_frame(tracked)
        for event in events:
            self.on_event(event)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Whether it has a use for this frame or event, which then counts as given; for any thread."""
        return _overrides(self, "on_frame" if isinstance(item, TrackedFrame) else "on_event")

    def counts(self) -> OutputCounts | None:
        """What became of what it was given, for any thread, also before ``open`` and after ``close``.

        None for a sink that keeps no count; where it has a thread of its own, that counts for it.
        """
        return None

    def close(self, error: BaseException | None = None) -> None:
        """The run is over; with ``error`` when it failed. What was processed must be kept, under the final name when
        the run ended cleanly or was interrupted (``KeyboardInterrupt``)."""


def _overrides(sink: Sink, method: str) -> bool:
    return getattr(type(sink), method) is not getattr(Sink, method)
