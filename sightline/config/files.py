"""The files that a configuration makes a run read: what no output may be. See ``pipeline.files``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.classification.registry import local_classifier_weights
from pipeline.errors import ModelError
from pipeline.files import InputFiles, read_files
from pipeline.models.onnx.description import describe, is_onnx
from pipeline.models.registry import Model, local_weights
from pipeline.sources.local_files import source_files
from sightline.config.changes import Changes
from sightline.config.schema import Config, ResolvedStream


def stream_files(stream: ResolvedStream) -> tuple[InputFiles, ...]:
    """What a stream of a configuration reads: its source, the file of its filter, and its network for appearance."""
    files = list(source_files(stream.source, stream.name))
    if (predicate := stream.filters.predicate) is not None:
        files.append(InputFiles("the file of a filter", (Path(predicate.rpartition(":")[0]),)))
    network = tuple(path for path in _with_numbers(stream.tracker.appearance) if path is not None)
    if network:
        files.append(InputFiles("the network of tracker.appearance", network))
    return tuple(files)


def configured_files(config: Config, model: Model, path: Path | None = None) -> tuple[InputFiles, ...]:
    """What a run reads besides its sources: the configuration itself, user code, weights, names and keys.

    Args:
        config: what was read.
        model: the detector chosen.
        path: of the configuration.
    """
    named: list[tuple[str, Path | None]] = [
        ("the configuration", path),
        ("the changes of the configuration", config.web.changes or Changes.beside(path).path),
        ("the callbacks file", config.callbacks),
        *(("the weights of the model", path) for path in _with_numbers(config.model.weights)),
        *(("the weights of the model", path) for path in _with_numbers(local_weights(model))),
        ("the weights of the classifier", config.classify.weights),
        (
            "the weights of the classifier",
            local_classifier_weights(config.classify.model) if config.classify.model else None,
        ),
        ("the classifier's file of class names", config.classify.names),
        ("the secret key of the event feed", config.events.keys),
        *(("a client's key", key) for client in config.events.clients for key in _keys(Path(client))),
    ]
    for own in config.models.values():
        named += [
            *(("the weights of a model", path) for path in (own.weights, *_with_numbers(own.onnx))),
            ("the layers of a model", own.cfg),
            ("a model's file of class names", own.names),
        ]
    return read_files(named)


def _with_numbers(weights: Path | None) -> Iterator[Path | None]:
    """A file of weights, and the files beside it that hold an ONNX network's numbers.

    What is wrong with one is told when it is loaded, which not every model of a configuration is; it is an input still.
    """
    yield weights
    if weights is not None and is_onnx(weights) and weights.is_file():
        with contextlib.suppress(ModelError):
            yield from describe(weights).external


def _keys(client: Path) -> Iterator[Path]:
    yield from client.glob("*.key") if client.is_dir() else [client]
