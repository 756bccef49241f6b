"""The commands that read a store of events: query, export and report-html."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table

from pipeline.errors import ConfigError
from sightline.commands.images import count_of
from sightline.commands.options import some_names
from sinks.csv_text import csv_text
from sinks.html_report.page import report_html
from sinks.store.exports import Format, export
from sinks.store.queries import Rows, query

DEFAULT_STORE = Path("events.db")
StorePath = Annotated[
    Path, typer.Option("--store", "-s", metavar="X.db", help="The store of events, as store.path of the run names it.")
]


class Shape(StrEnum):
    """How the answer to a query is printed."""

    table = "table"
    csv = "csv"
    json = "json"


class FileFormat(StrEnum):
    """What export can write."""

    csv = "csv"
    parquet = "parquet"
    jsonl = "jsonl"


def query_command(
    sql: Annotated[str, typer.Argument(metavar="SELECT", help="What to ask; the views are in docs/store.md.")],
    store: StorePath = DEFAULT_STORE,
    shape: Annotated[
        Shape | None, typer.Option("--format", help="How to print it. [default: table at a terminal, else csv]")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most rows to print; 0 for all.")] = 1000,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Stop a query that takes longer.")] = 30.0,
) -> None:
    """Ask a store of events with SQL. Nothing can be changed by it."""
    rows = query(store, sql, limit=limit or None, timeout_s=timeout)
    shape = shape or (Shape.table if sys.stdout.isatty() else Shape.csv)
    if shape is Shape.table:
        _print_table(rows)
    elif shape is Shape.csv:
        typer.echo(_as_csv(rows), nl=False)
    else:
        names = _different(rows.columns)
        for row in rows.rows:
            data = {name: _json_value(value) for name, value in zip(names, row, strict=True)}
            typer.echo(json.dumps(data, ensure_ascii=False, allow_nan=False))
    if not rows.complete:
        typer.echo(f"only the first {limit} rows; --limit 0 prints all", err=True)


def export_command(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    store: StorePath = DEFAULT_STORE,
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", help="What to write. [default: as the file's name ends]")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Only this run; the beginning of its name is enough.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    types: Annotated[
        str | None, typer.Option("--types", help="Only these types, such as line.crossed,zone.left.")
    ] = None,
) -> None:
    """Write events of a store to a CSV, Parquet or JSON Lines file."""
    chosen = some_names(types, "--types", "type", "line.crossed")
    events = export(store, output, format=_format(output, file_format), run=run, stream=stream, types=chosen)
    typer.echo(f"{count_of(events, 'event')} written to {output}", err=True)


def report_html_command(
    output: Annotated[Path, typer.Argument(metavar="X.html", help="The page to write.")] = Path("report.html"),
    store: StorePath = DEFAULT_STORE,
    run: Annotated[
        str | None, typer.Option(help="The run; the beginning of its name is enough. [default: the newest]")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="X.jpg", help="Draw the heat map over this. [default: the first frame]")
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Put pictures of events into it, from evidence.folder of the run."),
    ] = None,
) -> None:
    """Make one self-contained page about a run: counts over time, lines, dwell times, a heat map, evidence."""
    report_html(store, output, run=run, stream=stream, picture=picture, evidence=evidence)
    typer.echo(f"{output} written", err=True)


def _format(output: Path, given: FileFormat | None) -> Format:
    if given is not None:
        return given.value
    try:
        return FileFormat(output.suffix.lower().removeprefix(".")).value
    except ValueError:
        raise ConfigError(f"{output}: its name says no format; add --format csv, parquet or jsonl") from None


def _print_table(rows: Rows) -> None:
    table = Table(*(Column(escape(name), overflow="fold") for name in rows.columns))
    for row in rows.rows:
        table.add_row(*("" if value is None else escape(_shown(value)) for value in row))
    console = Console()
    if not console.is_terminal:  # a program reads it, which needs every letter in its line
        endless = console.options.update(max_width=10**6)
        console.width = max(console.width, Measurement.get(console, endless, table).maximum)
    console.print(table)


def _shown(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def _as_csv(rows: Rows) -> str:
    told = ([_shown(value) if isinstance(value, bytes) else value for value in row] for row in rows.rows)
    return csv_text([rows.columns, *told])


def _different(columns: Sequence[str]) -> list[str]:
    """The names of the columns, of which JSON keeps one of each: the second ``run`` is called ``run_2``."""
    names: list[str] = []
    for name in columns:
        numbered = (f"{name}_{number}" for number in count(2))
        names.append(name if name not in names else next(each for each in numbered if each not in {*columns, *names}))
    return names


def _json_value(value: object) -> object:
    """What JSON has for it: SQL's infinity becomes null, as in JavaScript, and bytes are told by their number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _shown(value) if isinstance(value, bytes) else value


def register(app: typer.Typer) -> None:
    """Add these commands to a command line."""
    # SQL may begin with a comment, which looks like an option.
    app.command("query", no_args_is_help=True, context_settings={"ignore_unknown_options": True})(query_command)
    app.command("export", no_args_is_help=True)(export_command)
    app.command("report-html")(report_html_command)
