"""What was changed while a run went on: kept beside its configuration, so that this stays as its owner wrote it.

    streams:
      "door":
        "zones": {...}        in place of the stream's own
      "yard": null            it was removed

``cameras.yaml`` has ``cameras.changes.yaml`` beside it, unless its ``web.changes`` names another file. What it holds
wins over the file, ``--set`` and the options.
"""

from __future__ import annotations

import copy
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from pipeline.errors import ConfigError
from pipeline.sources.uri import stream_name
from sightline.config.schema import StreamSection
from sightline.config.yaml_reader import MAX_BYTES, Document, KeyPath, dotted, read_yaml, read_yaml_file

logger = logging.getLogger(__name__)

_HEADER = "# What was changed while a run went on. It wins over {config}; delete this file to go back to that.\n"

StreamChanges = dict[str, dict[str, Any] | None]


class Changes:
    """Changes of streams, by their names: the keys that a stream has in place of its own, or None for one removed.

    Args:
        path: the file that keeps them; None keeps them as long as the object lasts.
        config: the configuration that they belong to, for the head of the file.
    """

    def __init__(self, path: Path | None = None, config: Path | None = None) -> None:
        self.path = path
        self._config = config
        self._document = Document(origins={(): ("changes", 0)})

    @classmethod
    def beside(cls, config: Path | None) -> Changes:
        """What was changed of a configuration, in the file beside it."""
        if config is None or not config.name:
            return cls()
        return cls(config.with_name(f"{config.stem}.changes.yaml"), config)

    def locate(self, document: Document) -> None:
        """Be kept in the file that a configuration names as ``web.changes``, if it names one."""
        web = document.data.get("web")
        named = web.get("changes") if isinstance(web, dict) else None
        if isinstance(named, str) and named.strip():
            self.path = Path(named)

    def streams(self) -> StreamChanges:
        """A copy of what was changed.

        Raises:
            ConfigError: the file can't be used.
        """
        given = self._read().data.get("streams") or {}
        return copy.deepcopy(given) if isinstance(given, dict) else {}

    def stamp(self) -> tuple[object, ...]:
        """Differs from an earlier one where these changes, or their configuration, may have been changed since."""
        return (id(self._document), *(_stamp(path) for path in (self.path, self._config)))

    def proposed(self, streams: StreamChanges) -> Proposal:
        """Other changes in place of these, to be tried before they are kept.

        Raises:
            ConfigError: they can't be written down.
        """
        text = yaml.dump(
            {"streams": streams},
            Dumper=_Dumper,
            allow_unicode=True,
            sort_keys=False,
            width=120,
            default_flow_style=None,
        )
        if len(text.encode("utf-8", "replace")) > MAX_BYTES - 1000:
            raise ConfigError(f"the changes would take more than {MAX_BYTES // 1024} KiB")
        return Proposal(self, text)

    def apply(self, document: Document) -> None:
        """Put the changes over a configuration. Those of a stream that it does not name are left out."""
        apply_changes(self._read(), document)

    def _read(self) -> Document:
        if self.path is None or not self.path.exists():
            return self._document
        found = read_yaml_file(self.path)
        unknown = [key for key in found.data if key != "streams"]
        for key in unknown:
            found.add_problem((key,), "unknown key; there is only streams")
        if not isinstance(found.data.get("streams") or {}, dict):
            found.add_problem(("streams",), "expected a section of names, each with keys of a stream, or null")
        found.raise_problems()
        return found

    def _keep(self, text: str) -> None:
        if self.path is None:
            self._document = read_yaml(text, "changes")
            return
        header = _HEADER.format(config=self._config.name if self._config is not None else "the configuration")
        try:
            if read_yaml(text, "changes").data["streams"]:
                _replace(self.path, header + text)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot keep the changes in {self.path}: {error.strerror or error}") from error


class Proposal(Changes):
    """Changes that are not kept yet, as they would be read when they were."""

    def __init__(self, kept: Changes, text: str) -> None:
        super().__init__()
        self._kept = kept
        self._text = text
        self._document = read_yaml(text, "changes")

    def locate(self, document: Document) -> None:
        """Nothing: they are in no file yet."""

    def keep(self) -> None:
        """Keep them from now on.

        Raises:
            ConfigError: they can't be written.
        """
        self._kept._keep(self._text)


def apply_changes(changes: Document, document: Document) -> None:
    """Put changes over a configuration's plain data, where ``source`` becomes the only one of ``streams``.

    Sections of a stream are merged key by key, anything else is replaced.
    """
    document.problems.extend(changes.problems)
    given = changes.data.get("streams") or {}
    if not isinstance(given, dict) or not given:
        return
    streams = document.data.get("streams")
    source = document.data.get("source")
    if isinstance(source, str) and not streams:
        streams = document.data["streams"] = {stream_name(source): {"source": source}}
        _move_origin(document, ("source",), ("streams", stream_name(source), "source"))
        del document.data["source"]
    if not isinstance(streams, dict):
        if streams is not None:
            return  # a mistake, which is told where it was made
        streams = document.data["streams"] = {}
    for name, keys in given.items():
        if keys is None:
            streams.pop(name, None)
        elif name in streams or (isinstance(keys, dict) and "source" in keys):
            path = ("streams", name)
            streams[name] = _over(streams.get(name), keys, StreamSection)
            document.origins.update({at: where for at, where in changes.origins.items() if at[:2] == path})
        else:
            logger.info(
                "%s: the changes of stream %s are left out: there is no such stream", changes.origin(())[0], name
            )


def _over(base: Any, keys: Any, schema: type[BaseModel] | None) -> Any:
    """A value over another: of sections key by key, of anything else whole."""
    if schema is None or not isinstance(base, dict) or not isinstance(keys, dict):
        return keys
    return base | {key: _over(base.get(key), value, _section_of(schema, key)) for key, value in keys.items()}


def _section_of(schema: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = schema.model_fields.get(key)
    options = () if field is None else (field.annotation, *get_args(field.annotation))
    return next((each for each in options if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _move_origin(document: Document, old: KeyPath, new: KeyPath) -> None:
    document.origins[new] = document.origin(old)


def check_plain(value: object, path: KeyPath, *, depth: int = 12, most: int = 5000) -> None:
    """Raise ``ConfigError`` for data that is nested deeper, or has more values, than a configuration may have."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    seen = 0
    while waiting:
        item, level = waiting.pop()
        seen += 1
        if level > depth or seen > most:
            raise ConfigError(f"{dotted(path)}: holds more than {most} values, or is nested deeper than {depth} levels")
        if isinstance(item, Mapping):
            waiting.extend((inner, level + 1) for inner in item.values())
        elif isinstance(item, list | tuple):
            waiting.extend((inner, level + 1) for inner in item)


class _Dumper(yaml.SafeDumper):
    """Quotes all text, so that none is read as a number or a word with a meaning."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _stamp(path: Path | None) -> tuple[int, ...]:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return ()
    return () if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one at any time; only its owner may read it."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
