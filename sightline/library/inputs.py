"""What may be given as a source: addresses, frames, sources, and lists of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from numbers import Integral
from os import PathLike, fspath
from typing import Any, TypeAlias, cast

import numpy as np

from pipeline.errors import ConfigError
from pipeline.interfaces import Source
from pipeline.sources.uri import stream_name
from sightline.library.frames import FRAMES_PER_S, FrameLike, FrameSource, is_frame

OneSource: TypeAlias = "str | PathLike[str] | int | Source | FrameLike | Iterable[FrameLike]"
Sources: TypeAlias = "OneSource | Sequence[OneSource] | Mapping[str, OneSource]"
"""An address, path, or number of a webcam; a frame, or what gives frames; a source; a list of these, or a mapping of
streams' names to them."""


def streams_of(given: Sources | None, fps: float | None) -> tuple[dict[str, Any], dict[str, Source]]:
    """What the configuration says of the sources, and by their names those sources that have no address.

    Args:
        given: as ``analyze`` takes it.
        fps: of frames from memory that have no time.

    Raises:
        ConfigError: something that is no source.
    """
    if given is None:
        return {}, {}
    if isinstance(given, Mapping):
        named = {str(name): source for name, source in given.items()}
    elif _is_list(given):
        named = _named(cast("Sequence[OneSource]", given))
    elif _is_address(given):
        return {"source": _address(given)}, {}
    else:
        source = _source(given, "frames", fps)
        return {"source": f"memory://{source.stream}"}, {source.stream: source}
    described: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name, item in named.items():
        if _is_address(item):
            described[name] = {"source": _address(item)}
            continue
        source = _source(item, name, fps)
        described[source.stream] = {"source": f"memory://{source.stream}"}
        sources[source.stream] = source
    return {"streams": described}, sources


def _is_list(given: object) -> bool:
    """Whether this is a list of sources, and not frames of one."""
    if not isinstance(given, list | tuple) or is_frame(given):
        return False
    if not given:
        raise ConfigError("nothing to analyze: the list of sources is empty")
    frames = sum(map(is_frame, given))
    if 0 < frames < len(given):
        raise ConfigError("the list holds frames and other things: give either the frames of one source, or sources")
    return not frames


def _named(sources: Sequence[OneSource]) -> dict[str, OneSource]:
    named: dict[str, OneSource] = {}
    for source in sources:
        base = stream_name(_address(source)) if _is_address(source) else getattr(source, "stream", "frames")
        name = next(each for n in count(1) if (each := base if n == 1 else f"{base}-{n}") not in named)
        named[name] = source
    return named


def _is_address(source: object) -> bool:
    return isinstance(source, str | PathLike | Integral) and not isinstance(source, bool)


def _address(source: object) -> str:
    return f"webcam:{source}" if isinstance(source, Integral) else str(fspath(cast("str | PathLike[str]", source)))


def _source(given: object, name: str, fps: float | None) -> Source:
    """A source over frames, or the source that this is."""
    if isinstance(given, Source):
        return given
    frames: object = [given] if is_frame(given) else given
    if not isinstance(frames, Iterable | np.ndarray):
        raise ConfigError(
            f"{name}: got {type(given).__name__}, expected an address, a path, the number of a webcam, a frame, or "
            "what gives frames one after the other"
        )
    return FrameSource(cast("Iterable[FrameLike]", frames), fps=FRAMES_PER_S if fps is None else fps, stream=name)
