"""Log records and tracebacks without passwords: also those of libraries, whose words are not ours."""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Literal, TextIO

from pipeline.redaction import redact

LogFormat = Literal["text", "json"]

# What a person waits for, or has asked for, is told without being asked.
_TOLD = (
    "pipeline.classification.registry",
    "pipeline.detection.onnx.detector",
    "pipeline.models.downloader",
    "pipeline.models.registry",
    "pipeline.sources.reconnect",
    "sightline.composition.reload",
)
_PACKAGES = ("pipeline", "sightline", "sinks", "trackers")


class RedactingFormatter(logging.Formatter):
    """A formatter that treats the finished text, with its traceback, by ``redact``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text as it may be shown."""
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """A record as one JSON object in a line: ``time`` (UTC), ``level``, ``logger``, ``message`` and ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record without passwords."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            told["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


class _StandardErrorHandler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now: while rich shows something live, that is what prints above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # the base class has an attribute
        return sys.stderr


def log_to_standard_error() -> None:
    """Log warnings there, and what a person waits for, unless the program logs already."""
    handler = _StandardErrorHandler()
    handler.setFormatter(RedactingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _TOLD:
        logging.getLogger(name).setLevel(logging.INFO)


def set_log(*, log_format: LogFormat, verbose: int, quiet: bool) -> None:
    """Change how ``log_to_standard_error`` logs.

    Args:
        log_format: ``text``, or ``json`` for an object a line.
        verbose: 1 tells what goes on, 2 and more what is of use to who looks for a fault.
        quiet: warnings and errors alone.
    """
    for handler in logging.getLogger().handlers:
        if log_format == "json" and isinstance(handler, _StandardErrorHandler):
            handler.setFormatter(JsonFormatter())
    if verbose:
        for name in _PACKAGES:
            logging.getLogger(name).setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    if quiet and not verbose:
        for name in _TOLD:
            logging.getLogger(name).setLevel(logging.WARNING)


def keep_tracebacks_plain() -> None:
    """Have the process show exceptions that nobody caught by ``print_error``."""
    sys.excepthook = lambda _, error, __: print_error(error)
    threading.excepthook = lambda raised: None if raised.exc_value is None else print_error(raised.exc_value)


def print_error(error: BaseException) -> None:
    """Print an exception with its traceback on standard error."""
    sys.stderr.write(redact("".join(traceback.format_exception(error))))
