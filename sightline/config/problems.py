"""Says in plain words what is wrong with a value, and what would be right, from the schema itself."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.did_you_mean import did_you_mean, similar_words
from sightline.config.yaml_reader import MAX_PROBLEMS, Document, KeyPath, dotted, show

_NUMBERS = {int: "a whole number", float: "a number"}


def describe_errors(schema: type[BaseModel], error: ValidationError, document: Document) -> None:
    """Add to the document one problem for each thing that the validation found."""
    found = error.errors(include_url=False)
    document.unlisted += len(found[MAX_PROBLEMS:])
    items = [(*_locate(schema, item["loc"]), item) for item in found[:MAX_PROBLEMS]]
    paths = [path for path, _, _ in items]
    for number, (path, annotation, item) in enumerate(items):
        # A list with a bad item is also reported as too short, and a point once per bad coordinate.
        if path in paths[:number] or any(other[: len(path)] == path != other for other in paths):
            continue
        kind = item["type"]
        if kind == "extra_forbidden":
            document.add_problem(path, _unknown_key(schema, path))
        elif kind == "missing" and len(path) == len(item["loc"]):
            document.add_problem(path, f"is missing; expected {allowed(annotation)}")
        elif kind == "value_error":
            reason = str(item["ctx"]["error"])
            given = item["input"]
            document.add_problem(path, reason if isinstance(given, dict) else f"got {show(given)}, {reason}")
        else:
            given = _given(document, path)
            hint = near(str(given), _choices(annotation))
            document.add_problem(path, f"got {show(given)}, expected {allowed(annotation)}{hint}")


def near(word: str, known: Iterable[str]) -> str:
    """``"; did you mean X?"`` with the nearest of the known words, or nothing when none is near."""
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""


def key_paths(schema: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every key of the schema with its field, sections before what is in them; ``NAME`` stands for a free name."""
    for name, field in schema.model_fields.items():
        path = (*prefix, name)
        yield path, field
        annotation = _strip(field.annotation)[0]
        if get_origin(annotation) is dict:
            annotation, path = _strip(get_args(annotation)[1])[0], (*path, "NAME")
        if _is_section(annotation):
            yield from key_paths(annotation, path)


def allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What a value of that type may be, in words: ``a number from 0 to 1``, ``one of stop, continue``."""
    core, optional, own = _strip(annotation)
    words = _words(core, (*metadata, *own))
    return f"{words}, or null" if optional else words


def _words(core: Any, metadata: Sequence[Any]) -> str:
    origin, arguments = get_origin(core), get_args(core)
    if core is bool:
        return "true or false"
    if core in _NUMBERS:
        return _NUMBERS[core] + _range(metadata)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if core is Path:
        return "the path of a file"
    if origin is tuple and arguments[-1] is Ellipsis:
        length = _limit(metadata, "min_length")
        return f"a list{f' of at least {length}' if length else ''}, each {_words(*_core_and_metadata(arguments[0]))}"
    if origin is tuple:
        inner = _words(*_core_and_metadata(arguments[0]))
        return f"a list of exactly {len(arguments)}, each {inner}"
    if origin is dict:
        return f"a section of names, each with {allowed(arguments[1])}"
    if _is_section(core):
        return f"a section with the keys {', '.join(core.model_fields)}"
    if origin in (Union, types.UnionType) and not {float, int, bool}.issuperset(arguments):
        return ", or ".join(_words(*_core_and_metadata(each)) for each in arguments)
    if origin in (Union, types.UnionType):
        return "a number, true or false"
    return "text"


def _range(metadata: Sequence[Any]) -> str:
    low, high, above = (_limit(metadata, name) for name in ("ge", "le", "gt"))
    text = ""
    if low is not None and high is not None:
        text = f" from {low} to {high}"
    elif above is not None:
        text = f" above {above}" + (f" and at most {high}" if high is not None else "")
    elif low is not None:
        text = f" of at least {low}"
    step = _limit(metadata, "multiple_of")
    return text + (f" that is a multiple of {step}" if step else "")


def _limit(metadata: Sequence[Any], name: str) -> Any:
    for item in metadata:
        # A Field() inside Annotated keeps its constraints in a metadata list of its own.
        for constraint in (item, *getattr(item, "metadata", ())):
            if getattr(constraint, name, None) is not None:
                return getattr(constraint, name)
    return None


def _strip(annotation: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """The type without Annotated and ``| None``, whether None is allowed, and the Annotated metadata."""
    optional = False
    metadata: tuple[Any, ...] = ()
    while True:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation, metadata = arguments[0], (*metadata, *arguments[1:])
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in arguments and len(arguments) == 2:
            annotation, optional = next(item for item in arguments if item is not type(None)), True
        else:
            return annotation, optional, metadata


def _core_and_metadata(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    core, _, metadata = _strip(annotation)
    return core, metadata


def _is_section(core: Any) -> bool:
    return isinstance(core, type) and issubclass(core, BaseModel)


def _locate(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[KeyPath, Any]:
    """The key path to report and its type. Inside a point, the point is what to report."""
    annotation: Any = schema
    path: list[int | str] = []
    for part in location:
        core, _, _ = _strip(annotation)
        if part == "[key]":
            break
        if _is_section(core):
            path.append(part)
            field = core.model_fields.get(str(part))
            if field is None:
                return tuple(path), str
            annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        elif get_origin(core) is dict:
            path.append(part)
            annotation = get_args(core)[1]
        elif get_origin(core) is tuple and get_args(core)[-1] is Ellipsis:
            path.append(part)
            annotation = get_args(core)[0]
        else:
            break
    return tuple(path), annotation


def _given(document: Document, path: KeyPath) -> Any:
    value: Any = document.data
    for part in path:
        value = value[part]
    return value


def _choices(annotation: Any) -> tuple[str, ...]:
    core, _, _ = _strip(annotation)
    return tuple(map(str, get_args(core))) if get_origin(core) is Literal else ()


def _unknown_key(schema: type[BaseModel], path: KeyPath) -> str:
    section, annotation = _locate(schema, path[:-1])
    core = _strip(annotation)[0]
    known = tuple(core.model_fields)
    word = str(path[-1])
    everywhere = [keys for keys, _ in key_paths(schema) if "NAME" not in keys]
    words = dict.fromkeys(keys[-1] for keys in everywhere)
    hint = "" if word in words else near(word, known)
    if not hint:
        like = similar_words(word, words, similarity=0.8)[:1]
        elsewhere = [dotted(keys) for keys in everywhere if keys[-1] in like]
        hint = f"; did you mean {' or '.join(elsewhere)}?" if elsewhere else ""
    if word == "<<":
        hint = "; merge keys are not supported, write the keys out"
    where = f"in {dotted(section)}" if section else "at the top level"
    return f"unknown key{hint} (allowed {where}: {', '.join(known)})"
