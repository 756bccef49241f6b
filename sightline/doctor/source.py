"""What a source gives: how many frames, when, and how evenly."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

from pipeline.errors import PipelineError
from pipeline.interfaces import Source
from pipeline.sources.uri import redact
from pipeline.types import Image
from sightline.doctor.diagnosis import Check, Reading

# Pictures of the source that the detector and the encoder are timed with.
_SAMPLES = 16


def _examine_source(uri: str, connect: Callable[[str], Source], seconds: float, checks: list[Check]) -> Reading | None:
    try:
        reading = _read(uri, connect, seconds)
    except PipelineError as error:
        checks.append(Check("problem", f"source: {redact(str(error))}"))
        return None
    info = reading.info
    promised = f"{float(info.fps):.4g}" if info.fps else "an unknown number of"
    checks.append(
        Check("ok", f"source: {info.uri or redact(uri)}: {info.width}x{info.height}, {promised} frames per second")
    )
    if info.live:
        checks.extend(_hints(reading))
    return reading


def _read(uri: str, connect: Callable[[str], Source], seconds: float) -> Reading:
    begun_s = time.monotonic()
    times: list[float] = []
    images: list[Image] = []
    with connect(uri) as source:
        cpu_s = 0.0
        for frame in source:
            times.append(time.monotonic())
            images = [*images[1 - _SAMPLES :], frame.image]
            if len(times) == 1:
                cpu_s = time.process_time()
            if times[-1] - times[0] >= seconds:
                break
        info = source.info
    used_s = (time.process_time() - cpu_s) / max(1, len(times) - 1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Reading(
        info, len(times), times[-1] - times[0], times[0] - begun_s, max(gaps, default=0.0), used_s, tuple(images)
    )


def _hints(reading: Reading) -> list[Check]:
    """What to say of a camera's rate and freshness."""
    info, fps = reading.info, reading.fps
    text = (
        f"camera: {fps:.1f} frames per second in {reading.seconds:.1f} s, the first one after {reading.first_s:.1f} s"
    )
    promised = float(info.fps) if info.fps else None
    checks = []
    if promised and fps < 0.8 * promised:
        advice = "; the network or the camera is too slow for it: ask the camera for less"
        checks.append(Check("warning", f"{text}, but it promises {promised:.4g}{advice}"))
    else:
        checks.append(Check("ok", text))
    if fps > 0 and reading.longest_gap_s > max(0.3, 4 / fps):
        checks.append(
            Check(
                "warning",
                f"latency: up to {reading.longest_gap_s:.2f} s between two frames, and all that follow come as late; "
                "look at the network, or try transport: udp",
            )
        )
    if reading.first_s > 3:
        checks.append(
            Check(
                "warning",
                f"latency: {reading.first_s:.1f} s to the first frame, and so after each loss of the camera; ask it "
                "for a keyframe every second or two",
            )
        )
    return checks
