"""Events of a store as files for other programs: CSV, Parquet, JSON Lines."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pipeline.event_codec import event_kinds
from pipeline.files import InputFiles, refuse_conflicts
from sinks.csv_text import csv_text
from sinks.output_files import OutputFile, check_output, written_file
from sinks.store.parquet_file import ParquetFile
from sinks.store.queries import check_stream, connect, find_run, select_events
from sinks.store.schema import COLUMN_NAMES, store_files

Format = Literal["csv", "parquet", "jsonl"]
_ROWS_AT_A_TIME = 5000


def export(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format: Format,  # noqa: A002 - as the option is called
    run: str | None = None,
    stream: str | None = None,
    types: Collection[str] | None = None,
) -> int:
    """Write events of a store to a file, in the order they were stored; returns how many.

    CSV (see ``sinks.csv_text``) and Parquet have the columns of ``store_schema.COLUMNS``; in JSON Lines each event is
    what ``JsonlSink`` would have written, byte for byte. The file appears under its name when it is complete.

    Args:
        path: the store.
        output: the file; for CSV and JSON Lines a pipe or ``/dev/stdout`` too.
        format: ``csv``, ``parquet`` or ``jsonl``.
        run: only this run; the beginning of its name is enough.
        stream: only this stream.
        types: only these event types.

    Raises:
        ConfigError: there is no such run, stream or event type, or the output is the store itself.
        SourceError: the store can't be read.
        SinkError: the file can't be written, or Parquet's library is not installed.
    """
    event_kinds(types)  # names what is unknown
    refuse_conflicts([InputFiles("the store", store_files(Path(path)))], [written_file("the events", output)])
    check_output(output)
    with connect(path) as connection:
        chosen = None if run is None else find_run(connection, run)
        if stream is not None:
            check_stream(connection, stream, chosen)
        columns = ("data",) if format == "jsonl" else COLUMN_NAMES
        cursor = select_events(connection, run=chosen, stream=stream, types=types, columns=columns)
        cursor.arraysize = _ROWS_AT_A_TIME
        count = 0
        with _open(Path(output), format) as file:
            while rows := cursor.fetchmany():
                file.write_rows(rows)
                count += len(rows)
        return count


class _JsonLines(OutputFile):
    def write_rows(self, rows: list[tuple[str]]) -> None:
        self.write("".join(f"{data}\n" for (data,) in rows).encode())


class _Csv(OutputFile):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.write_rows([COLUMN_NAMES])

    def write_rows(self, rows: list[tuple[object, ...]]) -> None:
        self.write(csv_text(rows).encode())


def _open(path: Path, format: Format) -> _JsonLines | _Csv | ParquetFile:  # noqa: A002
    if format == "jsonl":
        return _JsonLines(path)
    if format == "csv":
        return _Csv(path)
    return ParquetFile(path)
