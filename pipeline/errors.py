"""The errors Sightline raises on purpose.

    PipelineError                  exit code 1
    ├── ConfigError   (ValueError)         2   a config file, option, class or model name that can't be used
    ├── SourceError   (OSError)            1   a video or camera that can't be opened or decoded
    │   ├── SourceNotFoundError            2   there is nothing at that path
    │   └── SourceRefusedError             1   asking again would bring nothing else
    ├── ModelError    (ValueError)         1   weights that are missing, damaged or of another network
    ├── SinkError     (OSError)            1   an output that can't be written
    │   └── SinkPathError                  2   its path or address is one that no such output can have
    └── CallbackError (RuntimeError)       1   the user's own code raised

Each is also a built-in kind, so that code which knows nothing of Sightline can catch it. Each message is one line that
says what was wrong, where, and what to do, and holds no user name and no password. Anything else that escapes is a bug
in Sightline.
"""

from __future__ import annotations

from typing import ClassVar

from pipeline.printable import readable_lines
from pipeline.redaction import redact


class PipelineError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line exits with."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(redact(each) if isinstance(each, str) else each for each in args))

    def __str__(self) -> str:
        """The message as any terminal, log and event can take it, whatever the names in it are made of."""
        return readable_lines(super().__str__())


class ConfigError(PipelineError, ValueError):
    """A config file, option, class name or model name that can't be used."""

    exit_code = 2


class SourceError(PipelineError, OSError):
    """A video file, stream or camera that can't be opened or decoded."""


class SourceNotFoundError(SourceError):
    """There is no input at the given path."""

    exit_code = 2


class SourceRefusedError(SourceError):
    """A server has no video there, or none for us; asking again would bring nothing else."""


class ModelError(PipelineError, ValueError):
    """Weights that are missing, damaged, or belong to another network."""


class SinkError(PipelineError, OSError):
    """An output that can't be opened or written."""


class SinkPathError(SinkError):
    """A path or address that no output of this kind can have: that of a folder, say, or one with the wrong ending."""

    exit_code = 2


class CallbackError(PipelineError, RuntimeError):
    """The user's own code raised; the original exception is the ``__cause__``."""
