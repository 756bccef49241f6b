"""Tracking, one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from os import PathLike, fspath
from typing import Any, Unpack, cast

from pipeline.errors import ConfigError
from pipeline.types import Detections, Tracks
from sightline.library.analysis import analyze
from sightline.library.frames import FRAMES_PER_S, FrameLike
from sightline.library.options import Options
from trackers.factory import DEFAULT_TRACKER, create_tracker


def track(
    frames: Iterable[FrameLike] | Iterable[Detections | tuple[float, Detections]],
    **options: Unpack[Options],
) -> Iterator[Tracks]:
    """The tracks of one frame after the other.

    Args:
        frames: pictures as ``analyze`` takes them from memory; or what another detector found in each, as `Detections`
            or pairs of a time in seconds and `Detections`: these are tracked without looking at pictures.
        options: as ``analyze`` has them, ``fps`` among them for frames that bring no time; for `Detections` only
            ``tracker``, ``confidence`` and ``fps``.

    Raises:
        ConfigError: a setting that can't be used.

    >>> import numpy as np
    >>> def found(left):
    ...     box = np.array([[left, 20, left + 50, 120]], np.float32)
    ...     return Detections(box, np.array([0.9], np.float32), np.array([0], np.int32), class_names=["person"])
    >>> for tracks in track(found(10 + 2 * number) for number in range(3)):
    ...     print(tracks, tracks.track_id)
    Tracks(1: 1 person) [1]
    Tracks(1: 1 person) [1]
    Tracks(1: 1 person) [1]
    """
    if isinstance(frames, str | PathLike):
        raise ConfigError(f"track: got {fspath(frames)!r}, expected frames; analyze takes a file or an address")
    given = iter(cast("Iterable[Any]", frames))
    first = next(given, None)
    if first is None:
        return iter(())
    every = chain([first], given)
    if isinstance(first[1] if isinstance(first, tuple) else first, Detections):
        return _track_detections(every, dict(options))
    return (result.tracks for result in analyze(every, **options))


def _track_detections(found: Iterator[Any], options: dict[str, Any]) -> Iterator[Tracks]:
    tracker, confidence, fps = (options.pop(name, None) for name in ("tracker", "confidence", "fps"))
    if options:
        raise ConfigError(f"{', '.join(options)}: detections are given; only tracker, confidence and fps can be set")
    fps = FRAMES_PER_S if fps is None else fps
    section: dict[str, Any] = {"name": tracker} if isinstance(tracker, str) else dict(tracker or {})
    settings = {**section.get("settings", {}), **({} if confidence is None else {"confidence": confidence})}
    chosen = create_tracker(
        section.get("name") or DEFAULT_TRACKER, show_weak=bool(section.get("show_weak")), **settings
    )
    return (
        chosen.update(detections, pts_s).named(detections.class_names)
        for pts_s, detections in (
            item if isinstance(item, tuple) else (number / fps, item) for number, item in enumerate(found)
        )
    )
