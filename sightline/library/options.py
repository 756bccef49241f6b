"""Keyword arguments of the library, named as in the configuration and on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError
from sightline.config.loading import load_config
from sightline.config.schema import Config

Section = Mapping[str, Any]

# Settings that are so common that their section need not be named: where each stands in the configuration.
_SHORT: Mapping[str, tuple[str, str]] = {
    "classes": ("filters", "classes"),
    "confidence": ("model", "confidence"),
    "engine": ("model", "engine"),
    "fps": ("input", "fps"),
    "input_size": ("model", "input_size"),
    "iou": ("model", "iou"),
    "jsonl": ("output", "jsonl"),
    "precision": ("model", "precision"),
    "report": ("output", "report"),
    "tracks": ("output", "tracks"),
    "video": ("output", "video"),
    "weights": ("model", "weights"),
}
# Sections that may be given by the one setting that names the thing.
_NAMED: Mapping[str, str] = {"events": "endpoint", "mqtt": "url", "model": "name", "store": "path", "tracker": "name"}
_KNOWN = (*_SHORT, *(name for name in Config.model_fields if name not in ("source", "streams")))


class Options(TypedDict, total=False):
    """What may be set. Sections of the configuration are mappings, as in ``tracker={"name": "sort"}``, and
    docs/configuration.md has all that is in them. What is None is left to the configuration."""

    # A name, or the section.
    model: str | Section | None
    tracker: str | Section | None
    # Without their section.
    classes: Sequence[str] | None
    confidence: float | None
    engine: str | None
    fps: float | None
    input_size: int | None
    iou: float | None
    precision: str | None
    weights: str | PathLike[str] | None
    # Outputs.
    video: str | PathLike[str] | None
    tracks: str | PathLike[str] | None
    jsonl: str | PathLike[str] | None
    report: str | PathLike[str] | None
    callbacks: str | PathLike[str] | None
    events: str | Section | None
    mqtt: str | Section | None
    store: str | PathLike[str] | Section | None
    webhook: Section | None
    notify: Section | None
    output: Section | None
    # What is looked at and counted.
    detect_every: int | str | None
    detect_region: str | Sequence[float] | None
    duration_s: float | None
    filters: Section | None
    homography: Section | None
    lines: Section | None
    motion_gate: float | None
    zones: Section | None
    # The rest of the configuration.
    callback_errors: str | None
    classify: Section | None
    control: str | None
    input: Section | None
    latency_target_ms: float | None
    models: Section | None
    queues: Section | None
    threads: Section | None


def configured(
    options: Mapping[str, Any], config: str | PathLike[str] | None, streams: Mapping[str, Any] | None = None
) -> Config:
    """The configuration of a file, with keyword arguments over it.

    Args:
        options: as ``Options`` has them.
        config: the YAML file, if there is one.
        streams: ``source`` or ``streams`` as the configuration has them.

    Raises:
        ConfigError: one line per mistake.
    """
    for name in options:
        if name not in _KNOWN:
            hint = did_you_mean(name, _KNOWN) or "docs/library.md has the list"
            raise ConfigError(f"{name}: there is no such setting; {hint}")
    nested: dict[str, Any] = {}
    for name, value in options.items():
        value = str(value) if isinstance(value, PathLike) else value
        if name in _SHORT or value is None:
            continue
        nested[name] = {_NAMED[name]: value} if isinstance(value, str) and name in _NAMED else value
    for name in _SHORT.keys() & options.keys():
        section, key = _SHORT[name]
        value = options[name]
        if value is not None:
            inner = nested.setdefault(section, {})
            if not isinstance(inner, Mapping):
                raise ConfigError(f"{section}: got {inner!r}, expected a mapping of its settings")
            nested[section] = {**inner, key: str(value) if isinstance(value, PathLike) else value}
    path = None if config is None else Path(config)
    return load_config(path, options={**nested, **(streams or {})}, label="keyword arguments")
