"""What flows through Sightline, and the protocols of its stages.

    Source --Frame--> Channel --batch--> Detector --Detections--> Tracker --Tracks--> analytics --Event--> Sink

Coordinates are pixels of the source image as displayed, x to the right and y down; boxes are ``xyxy``: left, top,
right, bottom. Images are uint8 ``(height, width, 3)`` in BGR order and treated as read-only once they are in a Frame.
Media time (``pts_s``) is in seconds from the start of the stream. All types pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.frame import Frame as Frame
from pipeline.frame import Image as Image

if TYPE_CHECKING:
    from pipeline.events import Event, OutputCounts
    from pipeline.files import OutputFiles

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source when it opens.

    Attributes:
        width, height: pixels as displayed (after rotation); 0 for a camera that has not been reached yet.
        fps: nominal frames per second, or None where the source does not say.
        frame_count: frames the container promises, or None; a hint for progress bars, never relied on.
        live: True for cameras and live streams, which can't wait for a slow reader.
        duration_s: seconds the container promises, or None; a hint likewise.
        uri: where the frames come from, with any credentials removed.
    """

    width: int
    height: int
    fps: Fraction | None = None
    frame_count: int | None = None
    live: bool = False
    duration_s: float | None = None
    uri: str = ""


def _check_rows(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The objects found in one image, as a structure of arrays.

    Attributes:
        xyxy: float32 ``(N, 4)``, pixels of the source image; right >= left and bottom >= top.
        score: float32 ``(N,)`` in [0, 1].
        class_id: int32 ``(N,)``, index into the model's class names.

    Raises:
        ValueError: wrong shape or dtype, or a box that is not finite or inverted; the message names the row.
    """

    xyxy: Float32Array
    score: Float32Array
    class_id: Int32Array

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        _check_rows("xyxy", self.xyxy, np.float32, (count, 4))
        _check_rows("score", self.score, np.float32, (count,))
        _check_rows("class_id", self.class_id, np.int32, (count,))
        if not count:
            return
        bad = ~(np.isfinite(self.xyxy).all(axis=1) & (self.xyxy[:, 2:] >= self.xyxy[:, :2]).all(axis=1))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"xyxy row {row}: expected finite left <= right and top <= bottom, got {self.xyxy[row].tolist()}"
            )
        bad = ~((self.score >= 0) & (self.score <= 1))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"score row {row}: expected a number in [0, 1], got {float(self.score[row])}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def select(self, rows: BoolArray | NDArray[np.intp]) -> Self:
        """The rows chosen by a boolean mask ``(N,)`` or by indices, in that order."""
        arrays = {name: getattr(self, name)[rows] for name in _array_names(type(self))}
        return type(self)(**arrays)

    @classmethod
    def empty(cls) -> Self:
        """No objects."""
        return cls(
            **{name: np.zeros(shape, dtype) for name, (dtype, shape) in _EMPTY.items() if name in _array_names(cls)}
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tracks(Detections):
    """The tracked objects shown at one frame: ``Detections`` plus identity.

    Attributes:
        track_id: int64 ``(N,)``, from 1 within a run and stream, never reused, each at most once.
        age_s: float32 ``(N,)``, seconds of media time since the track's first detection.
        unseen_s: float32 ``(N,)``, seconds since its last detection; 0 where it was detected in this very frame.
    """

    track_id: Int64Array
    age_s: Float32Array
    unseen_s: Float32Array

    def __post_init__(self) -> None:
        Detections.__post_init__(self)
        count = len(self.xyxy)
        _check_rows("track_id", self.track_id, np.int64, (count,))
        _check_rows("age_s", self.age_s, np.float32, (count,))
        _check_rows("unseen_s", self.unseen_s, np.float32, (count,))


_EMPTY: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "xyxy": (np.float32, (0, 4)),
    "score": (np.float32, (0,)),
    "class_id": (np.int32, (0,)),
    "track_id": (np.int64, (0,)),
    "age_s": (np.float32, (0,)),
    "unseen_s": (np.float32, (0,)),
}


def _array_names(cls: type[Detections]) -> tuple[str, ...]:
    return tuple(cls.__dataclass_fields__)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """One frame with all that was found in it.

    Attributes:
        frame: the picture and its time.
        detections: what the detector found and the filters kept, or None where the detector did not look at this frame.
        tracks: the confirmed tracks at this frame's time.
        ended: int64 ``(M,)``, ids shown earlier that the tracker has now let go.
    """

    frame: Frame
    detections: Detections | None
    tracks: Tracks
    ended: Int64Array


@runtime_checkable
class Source(Protocol):
    """An iterator of frames that owns a decoder. One thread reads it; the same thread closes it.

    Iterating yields each frame exactly once, in display order, with strictly increasing ``pts_s``, and ends at the end
    of the stream. ``SourceError`` is raised for a source that can't be opened or holds no frame that can be decoded.
    Damage after the first frame is logged and counted in ``failed`` and does not raise.
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

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


@runtime_checkable
class ClockedSource(Protocol):
    """A live source whose timestamps are checked against the arrival of its pictures."""

    @property
    def clock_steps(self) -> int:
        """How often they had lost touch with it so far."""
        ...


@runtime_checkable
class ReconnectingSource(Source, Protocol):
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


@runtime_checkable
class Detector(Protocol):
    """Finds objects in images. One thread uses it at a time, not always the same one."""

    @property
    def class_names(self) -> Sequence[str]:
        """The model's classes; ``Detections.class_id`` indexes it."""
        ...

    @property
    def precision(self) -> str:
        """The numeric type the network computes in, such as ``"float32"``."""
        ...

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detections of each image, in the same order; images may differ in size. An empty list gives an empty list.

        Args:
            images: uint8 ``(height, width, 3)``, BGR.
        """
        ...

    def warm_up(self, height: int, width: int) -> tuple[int, int]:
        """Build what images of that size in pixels need; returns the network's input shape ``(height, width)``."""
        ...


@runtime_checkable
class ReducedDetector(Detector, Protocol):
    """A detector that scales pictures, and can be spared that."""

    @property
    def input_size(self) -> int:
        """The longer side, in pixels, at which it sees a whole picture."""
        ...

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detections in pictures, or parts of pictures, that have been scaled to its ``input_size`` already.

        Args:
            images: uint8 BGR of any size, which is left as it is.
            sizes: per image the ``(height, width)`` it had before it was scaled; boxes are in its pixels.
        """
        ...


@runtime_checkable
class ParallelDetector(Detector, Protocol):
    """A detector that several threads may use at a time."""

    @property
    def calls_at_once(self) -> int:
        """How many threads; 1 or more."""
        ...


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
        detections gives the same tracks. ``image`` is given where ``needs_image`` says so, for trackers that estimate
        the camera's motion, say.
        """
        ...

    @property
    def ended(self) -> Int64Array:
        """int64 ``(M,)``: ids returned by earlier updates that the last ``update`` let go for good."""
        ...

    def reset(self) -> Int64Array:
        """Let go of every track (end of stream, or a gap) and return the ids; they are not used again."""
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
    """

    may_stall: bool = True

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

    def counts(self) -> OutputCounts | None:
        """What became of what it was given, for any thread; None for a sink that keeps no count."""
        return None

    def close(self, error: BaseException | None = None) -> None:
        """The run is over; with ``error`` when it failed. What was processed must be kept, under the final name when
        the run ended cleanly or was interrupted (``KeyboardInterrupt``)."""
