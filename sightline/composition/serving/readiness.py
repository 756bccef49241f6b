"""What keeps a run from doing what it is for: cameras without pictures, outputs that are stuck, disks that are full."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.events import OutputCounts
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import StreamStatus
from sightline.composition.written import written_files
from sightline.config.schema import Config
from sightline.server.run_access import Readiness

# A camera may be so long without a picture, and an output in one call, in seconds.
_PATIENCE_S = 10.0
# An output that lost something is told of for so long.
_RECENT_S = 60.0
_LEAST_FREE_BYTES = 100_000_000


class ReadinessWatch:
    """Looks at a run whenever it is asked; for any thread.

    Args:
        config: what the run writes.
        pipeline: the run.
    """

    def __init__(self, config: Config, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._places = _places(config)
        self._begun_s = time.monotonic()
        self._lock = threading.Lock()
        self._lost: dict[tuple[str, str], tuple[int, float]] = {}

    def look(self) -> Readiness:
        """What is wrong now."""
        now_s = time.monotonic()
        statuses = self._pipeline.status()
        trouble = [line for status in statuses for line in self._of_stream(status, now_s)]
        failed = {name: report.error for name, report in self._pipeline.ended().items() if report.error is not None}
        trouble += [f"stream {name} has failed: {error}" for name, error in failed.items()]
        trouble += self._full_disks()
        return Readiness(ready=not trouble, trouble=sorted(set(trouble)))

    def _of_stream(self, status: StreamStatus, now_s: float) -> Iterator[str]:
        newest_s = self._begun_s if status.newest_s is None else status.newest_s
        if status.info.live and (status.state == "offline" or now_s - newest_s > _PATIENCE_S):
            yield f"stream {status.name} gives no frames"
        for output, queue in status.queues.items():
            if queue.busy_s > _PATIENCE_S:
                yield f"output {output} is stuck"
        yield from self._losses(status.name, status.outputs, now_s)

    def _losses(self, stream: str, outputs: Mapping[str, OutputCounts], now_s: float) -> Iterator[str]:
        with self._lock:
            for output, counts in outputs.items():
                lost, since_s = self._lost.get((stream, output), (0, float("-inf")))
                if counts.lost > lost:
                    since_s = now_s
                self._lost[stream, output] = counts.lost, since_s
                if now_s - since_s < _RECENT_S:
                    yield f"output {output} is losing what it is given"

    def _full_disks(self) -> Iterator[str]:
        for place in self._places:
            try:
                free = shutil.disk_usage(place).free
            except OSError as error:
                yield f"{place} can't be reached: {error.strerror}"
                continue
            if free < _LEAST_FREE_BYTES:
                yield f"the disk of {place} is full: {free / 1e6:.0f} MB are left"


def _places(config: Config) -> set[Path]:
    """The folders that the run writes in."""
    files = [*written_files(config).values(), *([config.store.path] if config.store.path is not None else [])]
    folders = {path.resolve().parent for path in files}
    folders.update(
        stream.recording.folder.resolve() for stream in config.resolved_streams() if stream.recording.folder is not None
    )
    if config.evidence.folder is not None:
        folders.add(config.evidence.folder.resolve())
    if config.webhook.url is not None:
        folders.add(config.webhook.spool.resolve())
    if config.notify.targets:
        folders.add(config.notify.spool.resolve())
    return {next(each for each in (folder, *folder.parents) if each.exists()) for folder in folders}
