"""The store of a run's events, as the API asks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.errors import ConfigError, SourceError
from pipeline.event_codec import wall_time
from sightline.server.run_access import InvalidError, Mistake, NotNowError, RunAccess
from sinks.store.queries import connect

TIMEOUT_S = 10.0


@contextmanager
def asked(run: RunAccess, timeout_s: float = TIMEOUT_S) -> Iterator[sqlite3.Connection]:
    """A connection to the store that can only read.

    Raises:
        NotNowError: there is no store, or it takes too long to answer.
    """
    if run.store is None:
        raise NotNowError("this run keeps no events in an SQLite store; set store.path in its configuration")
    try:
        with connect(run.store, timeout_s=timeout_s) as connection:
            yield connection
    except (ConfigError, SourceError) as error:
        raise NotNowError(str(error)) from error


def moment(name: str, text: str | None) -> str | None:
    """A time as the store has it: UTC, from ISO 8601 or seconds since 1970.

    Raises:
        InvalidError: it is neither.
    """
    if text is None:
        return None
    try:
        seconds = float(text) if _numeric(text) else _seconds(datetime.fromisoformat(text))
        return wall_time(seconds)
    except (ValueError, OverflowError, OSError) as error:
        message = "expected a time such as 2026-11-30T08:00:00Z, or seconds since 1970"
        raise InvalidError([Mistake(name, message)]) from error


def unix_seconds(wall: str) -> float:
    """Seconds since 1970 of a time as the store has it."""
    return _seconds(datetime.fromisoformat(wall))


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def _numeric(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()
