"""What a run reports at its end: ``report.json`` and the summary that the command line prints."""

from __future__ import annotations

import platform
import resource
import sys
import time
from importlib import metadata

import msgspec
import psutil

from pipeline.appearance.links import LinkCounts
from pipeline.events import FrameCounts, OutputCounts
from pipeline.runtime.timing import StageReport

_LIBRARIES = ("sightline", "av", "numpy", "opencv-python", "tensorflow", "openvino")


class ObjectCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One class over a whole stream: different objects shown, and the most at once."""

    unique: int
    max: int


class StreamReport(FrameCounts, frozen=True, kw_only=True):
    """One stream: its ledger, the media time that was processed, and what was seen.

    Attributes:
        media_s: seconds of media time from the first frame to the end of the last one processed.
        outages: how often its source went away.
        offline_s: seconds for which it was away, in those outages that are over.
        objects: counts per class name.
        zones: per zone and class name, ``unique`` tracks, ``max`` at once, ``dwell_s`` of those that left.
        lines: per line and class name, crossings ``in`` and ``out``.
        sinks: per output of its own that did not see every frame, how many it missed by reason.
        missed_events: per output of its own that did not see every event, how many it missed by reason.
        outputs: per output of its own that keeps count, what became of what it was given.
        latency: of a live stream, from capture to its events.
        sink_latency: of a live stream, from capture until a sink of its own was done with the frame, per sink.
        error: what ended the stream early, or None.
        shown_from: smallest score that its outputs show.
        appearance: what a re-identification network was asked about its tracks; None where there is none.
    """

    media_s: float
    outages: int = 0
    offline_s: float = 0.0
    objects: dict[str, ObjectCounts]
    zones: dict[str, dict[str, dict[str, float]]] = {}
    lines: dict[str, dict[str, dict[str, int]]] = {}
    sinks: dict[str, dict[str, int]] = {}
    missed_events: dict[str, dict[str, int]] = {}
    outputs: dict[str, OutputCounts] = {}
    latency: StageReport | None = None
    sink_latency: dict[str, StageReport] = {}
    error: str | None = None
    shown_from: float = 0.0
    appearance: LinkCounts | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        streams: per stream name.
        stages: per stage, percentiles of the milliseconds that one frame takes in it.
        wall_s: seconds from the start of the run to its end.
        fps: frames processed per second after the first batch.
        start_s: seconds from the command to the first analysed frames.
        peak_rss_mb: largest resident memory of the process, in 10**6 bytes.
        input_shape: height and width of the network's input in pixels, or None when no frame came.
        precision: numeric type the detector computed in.
        engine: what ran the detector's network, or None where the detector doesn't tell.
        engine_reason: why that engine and precision, or None where the detector doesn't tell.
        network_threads: processor cores that the network used last, or None where the detector doesn't tell.
        sinks: per shared output that did not see every frame, how many it missed by reason.
        missed_events: per shared output that did not see every event, how many it missed by reason.
        outputs: per shared output that keeps count, what became of what it was given.
        versions: of Sightline, Python and the libraries that matter.
    """

    streams: dict[str, StreamReport]
    stages: dict[str, StageReport]
    wall_s: float
    fps: float
    start_s: float
    peak_rss_mb: float
    input_shape: tuple[int, int] | None
    precision: str
    engine: str | None = None
    engine_reason: str | None = None
    network_threads: int | None = None
    sinks: dict[str, dict[str, int]] = {}
    missed_events: dict[str, dict[str, int]] = {}
    outputs: dict[str, OutputCounts] = {}
    versions: dict[str, str]

    def to_json(self) -> bytes:
        """Indented JSON, UTF-8."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def process_started_s() -> float:
    """``time.monotonic()`` at the moment this process was started, so that ``start_s`` counts the imports too."""
    return time.monotonic() - max(0.0, time.time() - psutil.Process().create_time())


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in 10**6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _version(name: str) -> str:
    """As ``metadata.version`` gives it, which parses everything else that is said of the library too."""
    lines = (metadata.distribution(name).read_text("METADATA") or "").splitlines()
    stated = next((line for line in lines if line.startswith("Version: ")), None)
    return metadata.version(name) if stated is None else stated.removeprefix("Version: ").strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that shape the result."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = _version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
