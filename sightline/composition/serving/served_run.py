"""A run as the server sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.redaction import redact_address, redact_data
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report, StreamReport
from pipeline.runtime.streams.stream import StreamStatus
from pipeline.runtime.timing import Durations
from sightline.composition.serving.readiness import ReadinessWatch
from sightline.composition.serving.run_changes import RunChanges
from sightline.config.schema import Config
from sightline.server.run_access import Readiness, Shapes, StreamState, StreamView

_STATES: dict[str, StreamState] = {"waiting": "opening", "online": "online", "offline": "reconnecting"}


class ServedRun:
    """A pipeline as ``RunAccess`` has it.

    Args:
        config: the configuration with which it began.
        pipeline: what runs.
        changes: what changes it.
    """

    def __init__(self, config: Config, pipeline: Pipeline, changes: RunChanges) -> None:
        self._pipeline = pipeline
        self._changes = changes
        self._readiness = ReadinessWatch(config, pipeline)
        self._sources = {stream.name: stream.source for stream in config.resolved_streams()}
        self.model = config.model.name
        self.class_names = tuple(pipeline.class_names)
        self.store: Path | None = config.store.path if config.store.format == "sqlite" else None

    def streams(self) -> Sequence[StreamView]:
        """Every stream of the run."""
        views = {status.name: _running(status) for status in self.statuses()}
        for name, source in self._changes.config().disabled_streams().items():
            views.setdefault(name, _resting(name, source, "disabled"))
        for name, report in self._pipeline.ended().items():
            state: StreamState = "ended" if report.error is None else "failed"
            views.setdefault(name, _resting(name, self._sources.get(name, ""), state, report))
        return list(views.values())

    def add_stream(self, name: str, keys: Mapping[str, Any]) -> None:
        """Begin a further stream."""
        self._changes.set(name, keys, new=True)
        self._sources[name] = str(keys.get("source", ""))

    def change_stream(self, name: str, keys: Mapping[str, Any]) -> None:
        """Give a stream other settings."""
        self._changes.set(name, keys)

    def remove_stream(self, name: str) -> None:
        """End a stream for good."""
        self._changes.remove(name)

    def shapes(self, name: str) -> Shapes:
        """The zones and lines of a stream."""
        stream = self._changes.stream(name)
        return Shapes(stream.zones, stream.lines)

    def checked_shapes(self, name: str, keys: Mapping[str, Any]) -> Shapes:
        """The zones and lines of a stream after such a change."""
        stream = self._changes.checked(name, keys)
        return Shapes(stream.zones, stream.lines)

    def config(self) -> Mapping[str, Any]:
        """The configuration without secrets."""
        shown = redact_data(_without_variables(json.loads(self._changes.config().model_dump_json())))
        assert isinstance(shown, dict)
        return shown

    def report(self, timeout_s: float = 5.0) -> Report:
        """What the run's report would say now."""
        return self._pipeline.report_so_far(timeout_s)

    def statuses(self) -> Sequence[StreamStatus]:
        """How each running stream is doing."""
        return self._pipeline.status()

    def latencies(self) -> Mapping[str, Durations]:
        """From capture to the outputs."""
        return self._pipeline.latencies()

    def readiness(self) -> Readiness:
        """Whether all that the run is for is being done."""
        return self._readiness.look()


def _without_variables(value: Any) -> Any:
    """A configuration without the names of variables, which may be the secret itself, given in its place."""
    if isinstance(value, dict):
        return {
            key: "***" if key.endswith("_env") and isinstance(inner, str) else _without_variables(inner)
            for key, inner in value.items()
        }
    return [_without_variables(inner) for inner in value] if isinstance(value, list) else value


def _running(status: StreamStatus) -> StreamView:
    newest_s = status.newest_s
    return StreamView(
        name=status.name,
        source=redact_address(status.info.uri),
        live=status.info.live,
        state=_STATES[status.state],
        width=status.info.width,
        height=status.info.height,
        fps=round(status.rates.processed, 2),
        dropped=sum(status.ledger.dropped.values()),
        latency_ms=round(status.p50_ms, 1),
        objects=status.objects,
        last_picture_age_s=None if newest_s is None else round(max(0.0, time.monotonic() - newest_s), 3),
    )


def _resting(name: str, source: str, state: StreamState, report: StreamReport | None = None) -> StreamView:
    return StreamView(
        name=name,
        source=redact_address(source),
        live=report is not None and report.latency is not None,
        state=state,
        dropped=0 if report is None else sum(report.dropped.values()),
    )
