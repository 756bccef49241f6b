"""Reads YAML nobody vouches for into plain data, and remembers where each key came from.

Only what JSON could say comes out: mappings with text keys, lists, text, numbers, true, false and null. Scalars follow
YAML 1.2's core schema, so ``no`` is text, ``1:30`` is text, ``010`` is ten and ``1e-3`` is a number. Size, depth and
the growth by aliases are bounded before any data is built, so a hostile file costs no more than a read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError
from pipeline.redaction import redact_address, redact_data, redact_parameter

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 10_000
MAX_PROBLEMS = 50

KeyPath = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# A line's value that means more to YAML than its letters, as that of ``video: {stream}.mp4`` does.
_SPECIAL = re.compile(r"(?:\s*-\s+|[^:]*:\s+|\s*)([\[{*&!%@`])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_STANDARD_TAG = re.compile(r"tag:yaml\.org,2002:(?:str|seq|map)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it was given, the key path, and a sentence with what was given and is allowed."""

    origin: str
    path: KeyPath
    message: str
    line: int = 0

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, dotted(self.path), self.message) if part)


@dataclass(slots=True)
class Document:
    """Plain data with the origin and the line of every key in it.

    Attributes:
        data: nested mappings, lists and scalars.
        origins: key path -> (label such as ``file.yaml:12``, line); a path that is absent is where its parent is.
        problems: what is wrong with it so far.
        unlisted: how much more is wrong that nobody would read to the end of.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, tuple[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unlisted: int = 0

    def origin(self, path: KeyPath) -> tuple[str, int]:
        """Where the value at a key path, or the nearest section around it, was given."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return "", 0

    def add_problem(self, path: KeyPath, message: str) -> None:
        """Note something wrong with the value at a key path."""
        label, line = self.origin(path)
        self.problems.append(Problem(label, path, message, line))

    def merge(self, data: Mapping[str, Any], label: str, at: KeyPath = ()) -> None:
        """Put values over those that are there; sections are merged, anything else is replaced."""
        target = self.data
        for depth, key in enumerate(at):
            inner = target.get(str(key))
            if inner is not None and not isinstance(inner, dict):
                path = at[: depth + 1]
                message = f"{dotted(path)} is {show(inner)}, not a section with keys of its own"
                self.problems.append(Problem(label, (*at, *data), message))
                return
            if inner is None:
                target[str(key)] = inner = {}
                self.origins[at[: depth + 1]] = (label, 0)
            target = inner
        self._merge_into(target, data, label, at)

    def _merge_into(self, target: dict[str, Any], data: Mapping[str, Any], label: str, at: KeyPath) -> None:
        for key, value in data.items():
            path = (*at, key)
            old = target.get(key)
            if isinstance(value, Mapping) and isinstance(old, dict):
                self._merge_into(old, value, label, path)
                continue
            if isinstance(value, Mapping) and old is not None:
                continue  # what stands in a section's place is a mistake, which is told where it was made
            for old in [known for known in self.origins if known[: len(path)] == path]:
                del self.origins[old]
            target[key] = value
            self.origins[path] = (label, 0)

    def raise_problems(self) -> None:
        """Raise one InvalidConfigError with a line per problem, in the order of the file, if there are any."""
        if not self.problems:
            return
        lines = [str(problem) for problem in sorted(self.problems, key=lambda problem: problem.line)]
        more = self.unlisted + len(lines[MAX_PROBLEMS:])
        tail = [f"and {more} more problems"] if more else []
        raise InvalidConfigError(lines[:MAX_PROBLEMS] + tail, self.problems)


class InvalidConfigError(ConfigError):
    """A configuration with mistakes in it; the message has a line for each.

    Attributes:
        problems: what is wrong.
    """

    def __init__(self, lines: Sequence[str], problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)


def dotted(path: KeyPath) -> str:
    """``streams.door.region[2]`` from ``("streams", "door", "region", 2)``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = _UNPRINTABLE.sub("?", redact_address(part)).replace("\n", " ")
            text += f".{name}" if text else name
    return text


def show(value: object) -> str:
    """A value as YAML would write it, on one line, cut to a readable length, without a URL's credentials."""
    text = _UNPRINTABLE.sub("?", json.dumps(redact_data(value), ensure_ascii=False, default=str))
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_yaml_file(path: Path) -> Document:
    """The content of a YAML file.

    Raises:
        ConfigError: missing, unreadable, too large, not UTF-8 or not YAML. Lesser faults, such as duplicate keys, are
            collected in the document's ``problems``.
    """
    try:
        if not path.exists():
            raise ConfigError(f"{path}: there is no such config file")
        if not path.is_file():
            raise ConfigError(f"{path}: is not a file; give the path of a YAML file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: the config file can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: the config file is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the config file is not UTF-8 text (byte {error.start})") from error
    return read_yaml(text, str(path))


def read_yaml(text: str, name: str) -> Document:
    """The mapping that a YAML text holds; ``name`` is what problems call it. Raises as ``read_yaml_file``."""
    document = Document(origins={(): (name, 0)})
    node = _compose(text, name)
    if node is not None:
        builder = _Builder(document, name)
        data = builder.build(node, (), 0)
        if isinstance(data, dict):
            document.data = data
        elif data is not None:
            raise ConfigError(f"{name}: got {show(data)}, expected keys with values, such as detect_every: 1")
    return document


def apply_override(document: Document, text: str) -> None:
    """Put the value of ``key.path=value``, read as YAML, over the document's; what is wrong joins its problems."""
    key, separator, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    label = f"--set {show(key)[1:-1]}{separator}{show(redact_parameter(key, value))[1:-1]}"
    try:
        if not separator or not all(path):
            raise ConfigError(f"{label}: expected key.path=value, such as model.confidence=0.4")
        if len(path) > MAX_DEPTH or len(value) > MAX_BYTES:
            raise ConfigError(f"{label}: is too long")
        override = Document(origins={(): (label, 0)})
        node = _compose(value, label, with_lines=False)
        data = None if node is None else _Builder(override, label, with_lines=False).build(node, (), len(path))
    except ConfigError as error:
        document.problems.append(Problem("", (), str(error)))
        return
    # A comment, or a name for nothing. To take it for null would leave out what was asked for.
    if data is None and (first := value.strip()[:1]) and first in "#&":
        override.problems.append(Problem("", (), f"{label}: is nothing to YAML; {_quote(first)}"))
    if override.problems:
        document.problems.extend(override.problems)
        return
    document.merge({path[-1]: data}, "--set", path[:-1])


class _Loader(yaml.SafeLoader):
    """The safe loader's parser; it resolves no plain scalar, so ``_scalar`` alone decides what they mean."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # A class variable in PyYAML.


def _compose(text: str, name: str, *, with_lines: bool = True) -> yaml.Node | None:
    try:
        _check_limits(yaml.parse(text, Loader=_Loader), name)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark and with_lines else ""
        column = f" (column {mark.column + 1})" if mark else ""
        begun = _SPECIAL.match(text.split("\n")[mark.line]) if mark else None
        hint = f"; {_quote(begun[1])}" if begun else ""
        raise ConfigError(
            f"{name}{where}: is not valid YAML: {error.problem or error.context}{column}{hint}"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: is not valid YAML: {str(error).splitlines()[0]}") from error
    return node


def _quote(first: str) -> str:
    return f"text that begins with {first} needs quotes: '{first}...'"


def _check_limits(events: Iterator[yaml.Event], name: str) -> None:
    """Depth and length before composing, which recurses and keeps everything."""
    depth = 0
    for count, event in enumerate(events):
        if count > 2 * MAX_NODES:
            raise ConfigError(f"{name}: holds more than {MAX_NODES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise ConfigError(f"{name}:{line}: is nested deeper than {MAX_DEPTH} levels")


class _Builder:
    """Turns composed nodes into data, following aliases as if they had been written out."""

    def __init__(self, document: Document, name: str, *, with_lines: bool = True) -> None:
        self._document = document
        self._name = name
        self._with_lines = with_lines
        self._nodes = 0

    def build(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ConfigError(f"{self._name}: grows to more than {MAX_NODES} values when its aliases are followed")
        if depth > MAX_DEPTH:
            raise ConfigError(f"{self._name}:{line}: is nested deeper than {MAX_DEPTH} levels")
        if path and path not in self._document.origins:
            self._note(path, line)
        if not _STANDARD_TAG.fullmatch(node.tag):
            self._document.add_problem(path, f"the tag {show(node.tag)} is not allowed; write plain values")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, row), depth + 1) for row, item in enumerate(node.value)]
        is_plain = getattr(node, "style", None) is None
        return self._scalar(str(node.value), is_plain, path)

    def _note(self, path: KeyPath, line: int) -> None:
        self._document.origins[path] = (f"{self._name}:{line}" if self._with_lines else self._name, line)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or _UNPRINTABLE.search(key_node.value):
                self._document.problems.append(
                    Problem(f"{self._name}:{line}", path, "expected a plain word as key", line)
                )
                continue
            key = str(key_node.value)
            if key in data:
                first = self._document.origin((*path, key))[1]
                message = f"is given twice, first in line {first}; keep one of them"
                self._document.problems.append(Problem(f"{self._name}:{line}", (*path, key), message, line))
                continue
            self._note((*path, key), line)
            data[key] = self.build(value_node, (*path, key), depth + 1)
        return data

    def _scalar(self, text: str, is_plain: bool, path: KeyPath) -> Any:
        value: Any = text
        if not is_plain:
            pass  # Quoted or a block: always text.
        elif text in _WORDS:
            value = _WORDS[text]
        elif _INT.fullmatch(text):
            value = int(text, 0) if text[:2] in ("0o", "0x") else (int(text) if len(text) < 20 else 2**63)
            if abs(value) >= 2**63:
                self._document.add_problem(path, f"{show(text)} is too large a number")
                return None
        elif _FLOAT.fullmatch(text):
            value = float(text)
        elif _INFINITE.fullmatch(text):
            value = float(text.replace(".", ""))
        if isinstance(value, str) and _UNPRINTABLE.search(value):
            self._document.add_problem(path, f"got {show(value)}, expected text without control characters")
            return None
        return value
