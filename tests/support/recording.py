"""Recording of frames whose pixels say their number by the MP4 output."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.types import SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator
from sinks.video.mp4 import Mp4Sink
from tests.support.clips import draw_number
from tests.support.video_files import tracked

INFO = SourceInfo(160, 120, fps=Fraction(25))


def record(
    path: Path,
    frames: Sequence[TrackedFrame],
    info: SourceInfo = INFO,
    *,
    error: BaseException | None = None,
    fps: Fraction | float | None = None,
    plain: bool = True,
    audio_from: Path | None = None,
) -> None:
    """Write frames by the output, as a run does that ends with ``error``."""
    sink = Mp4Sink(path, fps=fps, annotate=None if plain else Annotator, audio_from=audio_from)
    sink.check()
    sink.open("camera", info, ["car"])
    for frame in frames:
        sink.on_frame(frame)
    sink.close(error)


def numbered(pts_s: Sequence[float], size: tuple[int, int] = (160, 120)) -> list[TrackedFrame]:
    """Frames whose pixels say their number."""
    return [
        tracked(draw_number(number, width=size[0], height=size[1]), number, moment)
        for number, moment in enumerate(pts_s)
    ]


def every_40_ms(count: int) -> list[TrackedFrame]:
    return numbered([number / 25 for number in range(count)])
