"""A configuration from a file, settings and options, in that order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.rules.rule import missing_parts
from sightline.config.changes import Changes
from sightline.config.given import plain
from sightline.config.problems import describe_errors
from sightline.config.schema import Config, _refuse_undecodable
from sightline.config.yaml_reader import Document, apply_override, read_yaml_file


def load_config(
    path: str | PathLike[str] | None,
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    *,
    label: str = "command line",
    changes: Changes | None = None,
) -> Config:
    """The configuration from a YAML file, overrides and command-line options, the later over the earlier.

    Args:
        path: the YAML file, or None for the defaults.
        overrides: ``key.path=value`` each, the value as YAML: ``filters.classes=[person, car]``.
        options: nested like the file; ``None`` values were not given and change nothing. Paths and tuples may be used.
        label: where the options come from, for messages.
        changes: what was changed while a run went on, over all else.

    Raises:
        ConfigError: with one line per problem: file and line, key path, what was given, what is allowed.
    """
    document = read_yaml_file(Path(path)) if path is not None else Document()
    for override in overrides:
        apply_override(document, override)
    document.merge(plain(options or {}), label)
    if changes is not None:
        changes.locate(document)
        changes.apply(document)
    _refuse_undecodable(document)
    config: Config | None = None
    try:
        config = Config.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        describe_errors(Config, error, document)
    document.raise_problems()
    assert config is not None
    for keys, problem in (
        *_missing_for_rules(config),
        *_missing_for_notifications(config),
        *_missing_for_pictures(config),
    ):
        document.add_problem(keys, problem)
    document.raise_problems()
    return config


def _missing_for_notifications(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Rules and streams that somebody is to be told of and that there are not: the key path and what is wrong."""
    described = config.resolved_streams() if config.notify.targets else ()
    rules = {*config.rules, *(name for stream in described for name in stream.rules)}
    rules.update(name for stream in config.streams.values() for name in stream.rules or ())
    streams = {*config.streams, *(stream.name for stream in described)}
    for target, section in config.notify.targets.items():
        for kind, names, known in (("rules", section.rules, rules), ("streams", section.streams, streams)):
            for name in names or ():
                if name not in known:
                    there = f"there is {', '.join(sorted(known)) or 'none'}"
                    yield ("notify", "targets", target, kind), f"there is no {name!r}; {there}"


def _missing_for_pictures(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Outputs that are to send pictures that nobody makes."""
    wanted = {("mqtt", "pictures"): config.mqtt.pictures, ("webhook", "pictures"): config.webhook.pictures is not None}
    for keys, asked in wanted.items():
        if asked and config.evidence.folder is None:
            yield keys, "there are none without evidence.folder; name it, or leave this out"


def _missing_for_rules(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """What rules are about that there is not: the key path and what is wrong with it, of each stream."""
    if not config.rules and not any(stream.rules for stream in config.streams.values()):
        return
    described = config.resolved_streams()
    for stream in described:
        own = config.streams.get(stream.name)
        start = ("rules",) if own is None or own.rules is None else ("streams", stream.name, "rules")
        where = f" (stream {stream.name})" if len(described) > 1 else ""
        for name, section in stream.rules.items():
            missing = missing_parts(
                section.rule(name), stream.zones, stream.lines, speeds=stream.homography is not None
            )
            for problem in missing:
                key, _, text = problem.partition(": ")
                yield (*start, name, key), text + where
