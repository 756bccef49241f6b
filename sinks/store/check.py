"""Whether a file is a store of events that this program can write to."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import SinkError
from sinks.store.schema import APPLICATION_ID, SCHEMA_VERSION


def check_store(path: Path) -> None:
    """Raise ``SinkError`` unless the file is a store of events of this version. Writes nothing."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise SinkError(f"cannot read {path}: {error.strerror}; choose another name") from error
    if header[:16] != b"SQLite format 3\0":
        raise SinkError(f"cannot keep events in {path}: it is there and no store of events; choose another name")
    log = path.with_name(f"{path.name}-wal")
    # What is in a write-ahead log may not have reached the header yet; opening tells.
    if not log.exists() or not log.stat().st_size:
        check_version(path, int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big"))


def check_version(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise SinkError(f"cannot keep events in {path}: it is a database of something else; choose another name")
    if version != SCHEMA_VERSION:
        raise SinkError(
            f"cannot keep events in {path}: it is of version {version} and this program writes {SCHEMA_VERSION}; "
            "choose another name"
        )
