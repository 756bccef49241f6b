"""What links a stream's tracks that look alike, as a configuration describes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.schema import Config, ResolvedStream

if TYPE_CHECKING:
    from pipeline.appearance.embedder import Embedder
    from pipeline.appearance.links import TrackLinks


def build_links(config: Config, stream: ResolvedStream, class_names: Sequence[str]) -> TrackLinks | None:
    """What links a stream's tracks, if that is wanted; streams with the same network share it.

    Raises:
        PipelineError: of the kind that describes what can't be used.
    """
    wanted = stream.tracker
    if wanted.appearance is None:
        return None
    from pipeline.appearance.links import TrackLinks

    embedder = _load_embedder(wanted.appearance, config.threads.network or None)
    return TrackLinks(embedder, class_names, classes=wanted.appearance_classes)


@lru_cache(maxsize=2)
def _load_embedder(path: Path, threads: int | None) -> Embedder:
    """A re-identification network; the same again where the same is asked for."""
    from pipeline.appearance.embedder import Embedder

    return Embedder(path, threads=threads)
