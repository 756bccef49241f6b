"""What the tests of the picture sinks share: tracked frames from a few numbers, and MP4 files read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Detections, Frame, Image, TrackedFrame, Tracks

Box = tuple[float, float, float, float]


def tracks(
    boxes: Sequence[Box],
    *,
    ids: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    class_ids: Sequence[int] | None = None,
    unseen_s: Sequence[float] | None = None,
) -> Tracks:
    """Tracks of the given boxes: ids from 1, score 0.5, class 0, all seen, unless told otherwise."""
    count = len(boxes)
    return Tracks(
        xyxy=np.array(boxes, np.float32).reshape(count, 4),
        score=np.array([0.5] * count if scores is None else scores, np.float32),
        class_id=np.array([0] * count if class_ids is None else class_ids, np.int32),
        track_id=np.array(range(1, count + 1) if ids is None else ids, np.int64),
        age_s=np.ones(count, np.float32),
        unseen_s=np.array([0] * count if unseen_s is None else unseen_s, np.float32),
    )


def tracked(
    image: Image,
    index: int = 0,
    pts_s: float | None = None,
    shown: Tracks | None = None,
    *,
    stream: str = "camera",
    ended: Sequence[int] = (),
) -> TrackedFrame:
    """A frame at ``pts_s`` (default: 25 frames per second) whose image can't be written to."""
    image = image.copy()
    image.flags.writeable = False
    frame = Frame(image, index, index / 25 if pts_s is None else pts_s, 0.0, stream)
    return TrackedFrame(
        frame, Detections.empty(), Tracks.empty() if shown is None else shown, np.array(ended, np.int64)
    )


@dataclass(frozen=True, eq=False)
class Video:
    """A video file, read back.

    Attributes:
        images: of each frame, BGR, in display order.
        pts_s: of each frame, seconds.
        fps: average rate that the file states.
        duration_s: of the picture track.
        codec: name of the picture codec, and ``pixel_format``.
        audio: name of the sound's codec, or None.
        samples: the sound, float32 ``(N,)``, first channel, with ``sample_rate`` and the time of the first sample.
    """

    images: list[Image]
    pts_s: list[Fraction]
    fps: Fraction | None
    duration_s: Fraction
    codec: str
    pixel_format: str | None
    audio: str | None
    samples: NDArray[np.float32]
    sample_rate: int
    sound_start_s: float

    @property
    def sound_s(self) -> float:
        """Length of the sound in seconds."""
        return len(self.samples) / self.sample_rate if self.sample_rate else 0.0


def read_video(path: Path, *, pictures: bool = True) -> Video:
    """Decode a whole file; ``pictures=False`` leaves the images out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images: list[Image] = []
        pts_s: list[Fraction] = []
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert frame.time_base is not None
            pts_s.append(frame.pts * frame.time_base)
            if pictures:
                images.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
        codec = stream.codec_context
        # Some containers do not say; 0 then.
        duration_s = (stream.duration or 0) * (stream.time_base or Fraction(1))
        samples, rate, start_s, name = _sound(path)
        return Video(
            images, pts_s, stream.average_rate, duration_s, codec.name, codec.pix_fmt, name, samples, rate, start_s
        )


def _sound(path: Path) -> tuple[NDArray[np.float32], int, float, str | None]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32), 0, 0.0, None
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        parts: list[NDArray[np.float32]] = []
        start_s = None
        for decoded in container.decode(stream):
            if start_s is None:
                start_s = float(decoded.time or 0.0)
            parts.extend(np.asarray(frame.to_ndarray()[0], np.float32) for frame in resampler.resample(decoded))
        parts.extend(np.asarray(frame.to_ndarray()[0], np.float32) for frame in resampler.resample(None))
        return np.concatenate(parts), rate, start_s or 0.0, stream.codec_context.codec.canonical_name


def box_names(path: Path) -> list[str]:
    """The names of an MP4's outermost boxes, in order; stops at one that is cut off."""
    data = path.read_bytes()
    names, position = [], 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        names.append(data[position + 4 : position + 8].decode("latin-1"))
        if length < 8:
            break
        position += length
    if position > len(data):
        names.append("(cut off)")
    return names
