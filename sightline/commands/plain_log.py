"""Log records and tracebacks without passwords: also those of libraries, whose words are not ours."""

from __future__ import annotations

import logging
import sys
import threading
import traceback

from pipeline.redaction import redact


class RedactingFormatter(logging.Formatter):
    """A formatter that treats the finished text, with its traceback, by ``redact``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text as it may be shown."""
        return redact(super().format(record))


def log_to_standard_error(level: int = logging.WARNING) -> None:
    """Log there, unless the program does so already."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def keep_tracebacks_plain() -> None:
    """Have the process show exceptions that nobody caught by ``print_error``."""
    sys.excepthook = lambda _, error, __: print_error(error)
    threading.excepthook = lambda raised: None if raised.exc_value is None else print_error(raised.exc_value)


def print_error(error: BaseException) -> None:
    """Print an exception with its traceback on standard error."""
    sys.stderr.write(redact("".join(traceback.format_exception(error))))
