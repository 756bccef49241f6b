"""A configuration from a file, settings and options, in that order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sightline.config.changes import Changes
from sightline.config.problems import describe_errors
from sightline.config.schema import Config, _refuse_undecodable
from sightline.config.yaml_reader import Document, apply_override, plain, read_yaml_file


def load_config(
    path: Path | None,
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
    document = read_yaml_file(path) if path is not None else Document()
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
    return config
