"""Changes of a run while it goes on, which outlive it: tried, taken over, then kept beside the configuration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError, PipelineError
from sightline.composition.reload import Reloader
from sightline.config.changes import Changes, StreamChanges, check_plain
from sightline.config.schema import Config, ResolvedStream
from sightline.config.sections import StreamOutputSection
from sightline.config.yaml_reader import InvalidConfigError, dotted, show
from sightline.server.run_access import InvalidError, Mistake, NotNowError, NotThereError

_FILES = sorted(set(StreamOutputSection.model_fields) - {"annotate"})
# What reaches beyond the run: files that are written or run as code, and secrets that are sent to whoever is named.
_CLOSED: dict[tuple[str, ...], str] = {
    **{("output", key): "files are named in the configuration itself" for key in _FILES},
    ("recording",): "recordings are set up in the configuration itself",
    ("filters", "predicate"): "code is named in the configuration itself",
    ("input", "username_env"): "secrets are named in the configuration itself",
    ("input", "password_env"): "secrets are named in the configuration itself",
}
# Sections of which a change may give some keys.
_MERGED = ("evidence", "filters", "input", "output", "tracker")


class RunChanges:
    """Changes the streams of a run. For any thread.

    Args:
        changes: what was changed before.
        read: the configuration with given changes.
        reloader: takes over other streams.
        class_names: what the detector tells apart.
    """

    def __init__(
        self,
        changes: Changes,
        read: Callable[[Changes], Config],
        reloader: Reloader[ResolvedStream],
        class_names: Sequence[str],
    ) -> None:
        self._changes = changes
        self._read = read
        self._reloader = reloader
        self._class_names = tuple(class_names)
        self._lock = threading.Lock()
        self._known: tuple[object, Config] | None = None  # as it was read last

    def config(self) -> Config:
        """The configuration as of now.

        Raises:
            NotNowError: it can't be read.
        """
        stamp, known = self._changes.stamp(), self._known
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            config = self._read(self._changes)
        except ConfigError as error:
            raise NotNowError(str(error)) from error
        self._known = stamp, config
        return config

    def stream(self, name: str) -> ResolvedStream:
        """A stream as it is configured, whether it is enabled or not. Raises ``NotThereError``."""
        return _stream_of(self.config(), name)

    def set(self, name: str, keys: Mapping[str, Any], *, new: bool = False) -> None:
        """Give a stream other settings. Raises as ``RunAccess.change_stream``."""
        with self._lock:
            self._take_over(name, self._proposed(name, keys, new=new))

    def remove(self, name: str) -> None:
        """End a stream for good."""
        with self._lock:
            self.stream(name)
            changes = self._changes.streams()
            changes[name] = None
            self._take_over(name, changes)

    def checked(self, name: str, keys: Mapping[str, Any]) -> ResolvedStream:
        """The stream as it would be after ``set``, which raises the same."""
        with self._lock:
            config, _ = self._try(name, self._proposed(name, keys, new=False))
            return _stream_of(config, name)

    def _proposed(self, name: str, keys: Mapping[str, Any], *, new: bool) -> StreamChanges:
        try:
            check_plain(keys, ())
        except ConfigError as error:
            raise InvalidError([Mistake("", str(error).removeprefix(": "))]) from error
        mistakes = [Mistake(dotted(path), reason) for path, reason in _CLOSED.items() if _holds(keys, path)]
        if mistakes:
            raise InvalidError(mistakes)
        known = True
        try:
            self.stream(name)
        except NotThereError:
            known = False
        if new and known:
            raise NotNowError(f"there is a stream {name} already")
        if not new and not known:
            raise NotThereError(f"there is no stream {name}")
        changes = self._changes.streams()
        before = changes.get(name) or {}
        changes[name] = {**before, **{key: _merged(before.get(key), value, key) for key, value in keys.items()}}
        return changes

    def _try(self, name: str, streams: StreamChanges) -> tuple[Config, Any]:
        mistakes: list[Mistake] = []
        try:
            proposal = self._changes.proposed(streams)
            config = self._read(proposal)
            resolved = config.resolved_streams()
        except InvalidConfigError as error:
            mistakes = [_mistake(problem.path, problem.message, name) for problem in error.problems]
        except ConfigError as error:
            mistakes = [Mistake("", line) for line in str(error).splitlines()]
        mistakes += self._unknown_classes(streams.get(name) or {})
        if mistakes:
            raise InvalidError(mistakes)
        if not resolved:
            raise NotNowError("the run would have no stream left; stop it instead")
        return config, proposal

    def _take_over(self, name: str, streams: StreamChanges) -> None:
        before = self._changes.proposed(self._changes.streams())
        config, proposal = self._try(name, streams)
        try:
            proposal.keep()
        except ConfigError as error:
            raise NotNowError(str(error)) from error
        try:
            self._reloader.take_over(config.resolved_streams())
        except PipelineError as error:
            before.keep()
            raise InvalidError([Mistake("", line) for line in str(error).splitlines()]) from error

    def _unknown_classes(self, keys: Mapping[str, Any]) -> list[Mistake]:
        """Names of classes that the model does not know; what has none where some should be is told by others."""
        given = {
            f"{kind}.{name}.classes": shape.get("classes")
            for kind in ("zones", "lines")
            for name, shape in _mapping(keys.get(kind)).items()
            if isinstance(shape, Mapping)
        }
        filters = _mapping(keys.get("filters"))
        given |= {
            "filters.classes": filters.get("classes"),
            "filters.confidence": list(_mapping(filters.get("confidence"))),
        }
        return [
            Mistake(where, f"{show(name)}: the model has no such class{_hint(name, self._class_names)}")
            for where, names in given.items()
            for name in (names if isinstance(names, list) else ())
            if isinstance(name, str) and name not in self._class_names
        ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _stream_of(config: Config, name: str) -> ResolvedStream:
    if name in config.streams:
        enabled = config.streams[name].model_copy(update={"enabled": True})
        config = config.model_copy(update={"streams": {name: enabled}})
    for stream in config.resolved_streams():
        if stream.name == name:
            return stream
    raise NotThereError(f"there is no stream {name}")


def _merged(before: Any, value: Any, key: str) -> Any:
    """What was changed of a section, with what is changed now; zones and lines, and plain values, are given whole."""
    if (
        key in ("evidence", "filters", "input", "output", "tracker")
        and isinstance(before, dict)
        and isinstance(value, Mapping)
    ):
        return {**before, **value}
    return value


def _holds(keys: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(keys, Mapping) or key not in keys:
            return False
        keys = keys[key]
    return True


def _mistake(path: Sequence[str | int], message: str, name: str) -> Mistake:
    own = tuple(path[2:]) if tuple(path[:2]) == ("streams", name) else tuple(path)
    return Mistake(dotted(own), message)


def _hint(name: str, known: Sequence[str]) -> str:
    hint = did_you_mean(name, known)
    return f"; {hint}" if hint else ""
