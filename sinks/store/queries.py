"""Reading a store of events: SQL queries, and whole events in order. Nothing here can change the store."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError, SourceError, SourceNotFoundError
from sinks.store.schema import APPLICATION_ID, COLUMN_NAMES, SCHEMA_VERSION

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# What the view `events` of older stores has no column for.
_OF_DATA = {name: f"json_extract(data, '$.{name}')" for name in ("evidence", "path")}
_MAX_VALUE_BYTES = 50_000_000
_STEPS_BETWEEN_LOOKS = 20_000


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a query.

    Attributes:
        columns: their names.
        rows: one tuple each.
        complete: False when there were more rows than the limit.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    complete: bool


def query(
    path: str | os.PathLike[str],
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    limit: int | None = 1000,
    timeout_s: float | None = 30.0,
) -> Rows:
    """Run one SELECT over a store. The tables to ask are the views of docs/store.md, such as ``events``.

    Args:
        path: the store.
        sql: a single statement that only reads; ``?`` in it stand for ``parameters``.
        parameters: their values.
        limit: most rows to return; None for all.
        timeout_s: the query is stopped after this many seconds; None lets it take any time.

    Raises:
        ConfigError: a statement that is wrong, takes too long, or does more than read.
        SourceError: there is no store at ``path``, or it can't be read.
    """
    with connect(path, timeout_s=timeout_s) as connection:
        cursor = connection.execute(sql, tuple(parameters))
        if cursor.description is None:
            raise ConfigError("query: expected a SELECT")
        columns = tuple(str(column[0]) for column in cursor.description)
        if limit is None:
            return Rows(columns, cursor.fetchall(), complete=True)
        rows = cursor.fetchmany(limit + 1)
        return Rows(columns, rows[:limit], complete=len(rows) <= limit)


@contextmanager
def connect(path: str | os.PathLike[str], *, timeout_s: float | None = None) -> Iterator[sqlite3.Connection]:
    """A connection to a store that can only read, for one reader's use.

    What SQLite raises inside is raised as ``ConfigError`` for a mistake in the statement, else as ``SourceError``.
    """
    path = Path(path)
    connection = _open(path)
    try:
        if timeout_s is not None:
            until_s = time.monotonic() + timeout_s
            connection.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS_BETWEEN_LOOKS)
        yield connection
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _explained(path, error, timeout_s) from error
    finally:
        connection.close()


def select_events(
    connection: sqlite3.Connection,
    *,
    run: str | None = None,
    stream: str | None = None,
    types: Collection[str] | None = None,
    columns: Sequence[str] = COLUMN_NAMES,
) -> sqlite3.Cursor:
    """A cursor over events in the order they were stored, with the given columns of the view ``events``."""
    conditions, parameters = ["TRUE"], list[str]()
    for column, value in (("run", run), ("stream", stream)):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    if types is not None:
        conditions.append(f"type IN ({', '.join('?' * len(types))})")
        parameters.extend(types)
    names = ", ".join(_OF_DATA.get(name, f'"{name}"') for name in columns)
    return connection.execute(
        f"SELECT {names} FROM events WHERE {' AND '.join(conditions)} ORDER BY id", tuple(parameters)
    )


def stored_evidence(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """The ``evidence.ready`` events of some evidence, by its name and in the order in which they were stored.

    Args:
        connection: to the store.
        names: what events have in their ``evidence``; at most some thousand.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    if not names:
        return found
    # SQLite would rather look at all of that type. A store of an earlier version has no such index.
    (indexed,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'stored_evidence'").fetchone()
    sql = (
        "SELECT json_extract(data, '$.evidence'), data FROM stored_events "
        f"{'INDEXED BY stored_evidence ' if indexed else ''}WHERE type = 'evidence.ready' "
        f"AND json_extract(data, '$.evidence') IN ({', '.join('?' * len(names))}) ORDER BY id"
    )
    for name, data in connection.execute(sql, tuple(names)):
        found.setdefault(name, []).append(json.loads(data))
    return found


def find_run(connection: sqlite3.Connection, run: str | None) -> str:
    """The run whose name begins so; the newest for None.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if run is None:
        found = connection.execute("SELECT run FROM runs ORDER BY id DESC LIMIT 1").fetchall()
        if not found:
            raise ConfigError("the store holds no run yet")
    else:
        found = connection.execute("SELECT run FROM runs WHERE substr(run, 1, ?) = ?", (len(run), run)).fetchall()
        if len(found) != 1:
            raise ConfigError(f"run {run!r}: {'more than one begins so' if found else 'there is none in the store'}")
    return str(found[0][0])


def check_stream(connection: sqlite3.Connection, stream: str, run: str | None = None) -> None:
    """Raise ``ConfigError`` if the store holds no event of that stream; the message says which streams there are.

    Args:
        connection: to the store.
        stream: its whole name.
        run: whose streams count; None for those of all runs.
    """
    streams = [
        str(name)
        for (name,) in connection.execute(
            "SELECT DISTINCT stream FROM events WHERE ?1 IS NULL OR run = ?1 ORDER BY stream", (run,)
        )
    ]
    if stream not in streams:
        hint = did_you_mean(stream, streams) or f"there {'is' if len(streams) == 1 else 'are'} {', '.join(streams)}"
        raise ConfigError(f"stream {stream!r}: is not in the store; {hint if streams else 'it holds no event yet'}")


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise SourceNotFoundError(f"there is no store of events at {path}: name the file that a run has written")
    if path.is_dir():
        raise SourceNotFoundError(f"{path} is a folder and no store of events: name the SQLite file")
    try:
        connection = _connect(path, "mode=ro")
        try:
            application, version = _versions(connection)
        except sqlite3.OperationalError:
            # In a folder where nothing can be written, a write-ahead log can't be shared; without one, none is needed.
            connection.close()
            if path.with_name(f"{path.name}-wal").exists():
                raise
            connection = _connect(path, "mode=ro&immutable=1")
            application, version = _versions(connection)
    except sqlite3.Error as error:
        raise SourceError(f"cannot read {path}: {error}; is it a store of events?") from error
    if application != APPLICATION_ID or version != SCHEMA_VERSION:
        connection.close()
        kind = "no store of events" if application != APPLICATION_ID else f"a store of version {version}"
        raise SourceError(f"cannot read {path}: it is {kind}; name the file that a run has written")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    connection.set_authorizer(_authorize)
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True, timeout=10.0, isolation_level=None)


def _versions(connection: sqlite3.Connection) -> tuple[int, int]:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    return int(application), int(connection.execute("PRAGMA user_version").fetchone()[0])


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _explained(path: Path, error: Exception, timeout_s: float | None) -> Exception:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    text = " ".join(str(error).split())
    if code == sqlite3.SQLITE_INTERRUPT:
        return ConfigError(f"query: stopped after {timeout_s:g} s; ask for less, or give it more time")
    if code == sqlite3.SQLITE_AUTH:
        return ConfigError(f"query: {text}: only SELECT is possible here")
    # What remains of SQLite's own codes concerns the file: damaged, busy, unreadable.
    statement = code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISMATCH}
    if statement or not isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError):
        return ConfigError(f"query: {text}")
    return SourceError(f"cannot read {path}: {text}")
