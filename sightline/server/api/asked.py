"""What a query names is looked at: what there is not would be answered with nothing, as if nothing had happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from fastapi import Query, Request

from pipeline.did_you_mean import did_you_mean
from pipeline.event_codec import EVENT_TYPES_BY_NAME
from sightline.server.run_access import InvalidError, Mistake, NotThereError, RunAccess, Shapes

EventTypes = Annotated[
    list[str] | None,
    Query(max_length=100, json_schema_extra={"items": {"type": "string", "enum": [*EVENT_TYPES_BY_NAME]}}),
]


def known_parameters(request: Request) -> None:
    """Refuse a query with a parameter that the route does not have: a dependency of every route.

    Raises:
        InvalidError: there is one.
    """
    known = [str(field.alias) for field in request.scope["route"].dependant.query_params]
    _refuse(
        Mistake(name, f"there is no such parameter; {_there_is(name, known)}")
        for name in dict.fromkeys(request.query_params)
        if name not in known
    )


def check_types(types: Collection[str] | None) -> None:
    """Raise ``InvalidError`` for types of events that there are not."""
    _refuse(
        Mistake("type", f"there is no event type {name!r}; {_there_is(name, EVENT_TYPES_BY_NAME)}")
        for name in types or ()
        if name not in EVENT_TYPES_BY_NAME
    )


def check_streams(run: RunAccess, names: Collection[str] | None) -> None:
    """Raise ``InvalidError`` for streams that the run does not have."""
    known = _of_run(run, "stream")
    _refuse(_missing("stream", name, known) for name in names or () if not _is_of_run(run, "stream", name))


def check_names(run: RunAccess, connection: sqlite3.Connection, given: Mapping[str, str | None]) -> None:
    """Raise ``InvalidError`` for what neither the run has nor an event in its store names.

    Args:
        run: knows its streams, their zones and lines, and what its detector tells apart.
        connection: to the store.
        given: names by what they are of: ``stream``, ``class``, ``zone``, ``line``; None for those not given.
    """
    mistakes = []
    for kind, name in given.items():
        if name is None or _is_of_run(run, kind, name):
            continue
        known = _of_run(run, kind)
        rows = connection.execute(f'SELECT DISTINCT "{kind}" FROM events WHERE "{kind}" IS NOT NULL').fetchall()
        known |= {str(stored): None for (stored,) in rows if stored}
        if name not in known:
            mistakes.append(_missing(kind, name, known))
    _refuse(mistakes)


def _is_of_run(run: RunAccess, kind: str, name: str) -> bool:
    # A stream that is about to begin is configured, and not among those of the run yet.
    return name in _of_run(run, kind) or (kind == "stream" and _shapes(run, name) is not None)


def _of_run(run: RunAccess, kind: str) -> dict[str, None]:
    names = [view.name for view in run.streams()]
    if kind == "stream":
        return dict.fromkeys(names)
    if kind == "class":
        return dict.fromkeys(run.class_names)
    shapes = [each for name in names if (each := _shapes(run, name)) is not None]
    return dict.fromkeys(name for each in shapes for name in (each.zones if kind == "zone" else each.lines))


def _shapes(run: RunAccess, stream: str) -> Shapes | None:
    try:
        return run.shapes(stream)
    except NotThereError:  # it has ended, and is not configured any more
        return None


def _missing(kind: str, name: str, known: Collection[str]) -> Mistake:
    return Mistake(kind, f"there is no {kind} {name!r}; {_there_is(name, known)}")


def _there_is(name: str, known: Collection[str]) -> str:
    verb = "is" if len(known) < 2 else "are"
    return did_you_mean(name, known) or f"there {verb} {', '.join(known) or 'none'}"


def _refuse(mistakes: Iterator[Mistake] | list[Mistake]) -> None:
    found = list(mistakes)
    if found:
        raise InvalidError(found)
