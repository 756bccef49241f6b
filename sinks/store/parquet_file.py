"""Events as Parquet files, for programs that read columns: pandas, Polars, DuckDB, Spark.

Needs pyarrow, which comes with the extra ``parquet``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pipeline.errors import SinkError
from sinks.output_files import Claim, commit, is_stream, keep_partial, write_error
from sinks.store.schema import COLUMNS


def load_pyarrow() -> Any:
    """The ``pyarrow`` package with its Parquet part.

    Raises:
        SinkError: it is not installed.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise SinkError(
            "Parquet files need pyarrow, which is not installed: pip install 'sightline[parquet]'"
        ) from error
    return pyarrow


class ParquetFile:
    """One Parquet file of events, that appears under its name when it is complete.

    Raises:
        SinkError: it can't be written, or pyarrow is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._arrow = load_pyarrow()
        self._schema = _schema(self._arrow)
        if is_stream(path):
            raise SinkError(f"cannot write {self.path}: Parquet can't be written to a pipe or a device; name a file")
        self._claim = Claim(path)
        self._partial = self._claim.partial
        try:
            self._writer = self._arrow.parquet.ParquetWriter(self._partial, self._schema, compression="zstd")
        except OSError as error:
            self._claim.release()
            raise write_error(path, error) from error

    def write_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows with the columns of ``store_schema.COLUMNS``; ``wall`` is read as a time."""
        columns = zip(*rows, strict=True)
        arrays = [_array(self._arrow, values, field) for values, field in zip(columns, self._schema, strict=True)]
        try:
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        except OSError as error:
            raise write_error(self.path, error) from error

    def finish(self, error: BaseException | None = None) -> None:
        """Complete the file; after an error what there is stays under its partial name."""
        try:
            self._writer.close()
            if error is None or isinstance(error, KeyboardInterrupt):
                commit(self._partial, self.path)
            else:
                keep_partial(self._partial, self.path)
        except OSError as failure:
            raise failure if isinstance(failure, SinkError) else write_error(self.path, failure) from failure
        finally:
            self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.finish(error)


def _schema(arrow: Any) -> Any:
    """Arrow's schema of ``COLUMNS``: names that repeat are stored once (dictionaries), ``wall`` is a time in UTC."""
    repeating = arrow.dictionary(arrow.int32(), arrow.string())
    kinds = {str: repeating, int: arrow.int64(), float: arrow.float64()}
    special = {"wall": arrow.timestamp("ms", tz="UTC"), "data": arrow.string()}
    return arrow.schema([(name, special.get(name, kinds[kind])) for name, kind in COLUMNS])


def _array(arrow: Any, values: Sequence[Any], field: Any) -> Any:
    if arrow.types.is_timestamp(field.type):
        return arrow.array(values, arrow.string()).cast(field.type)
    if arrow.types.is_dictionary(field.type):
        return arrow.array(values, arrow.string()).dictionary_encode()
    return arrow.array(values, field.type)
