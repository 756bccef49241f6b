"""The command line as a whole: its commands, what stands for ``run``, and what an error looks like."""

from __future__ import annotations

import errno
import gc
import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import CallbackError, ConfigError, PipelineError
from pipeline.printable import readable
from pipeline.redaction import redact
from sightline.commands.options import DEFAULT_WEB_ADDRESS, EXIT_INTERRUPTED
from sightline.commands.plain_log import log_to_standard_error, print_error

# The base of typer's usage errors, which has no public name of its own.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

# The command that is installed has a name of its own.
PROGRAM = "sightline" if Path(sys.argv[0]).stem == "sightline" else "run_pipeline.py"

# The module of each command. It is imported when the command is given, since others need much that a run does without.
COMMANDS = {
    "run": "run",
    "doctor": "doctor",
    "control": "control",
    "cluster": "cluster",
    "calibrate": "calibrate",
    "listen": "feed",
    "schema": "feed",
    "keys": "feed",
    "models": "models",
    "query": "store",
    "export": "store",
    "report-html": "store",
    "detect": "detect",
    "classify": "classify",
    "notify": "notify",
}


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sightline {version('sightline')}")
        raise typer.Exit


def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Sightline turns a video into tracked objects, an annotated MP4, counts and events."""


def command_line(command: str | None = None) -> typer.Typer:
    """The commands of one command's module, or all of them where that is none."""
    app = typer.Typer(
        epilog=f"{PROGRAM} VIDEO is short for {PROGRAM} run VIDEO.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    wanted = [COMMANDS[command]] if command in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    with _no_garbage_collection():
        for module in wanted:
            import_module(f"sightline.commands.{module}").register(app)
    for registered in app.registered_commands:
        # A summary that is given is told whole; what is taken from the docstring would be cut.
        assert registered.callback is not None, "a command is a function"
        registered.short_help = (registered.callback.__doc__ or "").strip().partition("\n")[0]
    return app


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """While modules are imported: what they make stays, and to go through it again and again is a tenth of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _with_default_command(arguments: Sequence[str]) -> list[str]:
    """``VIDEO --fps 10`` becomes ``run VIDEO --fps 10``."""
    known = {*COMMANDS, "--help", "--version"}
    if not arguments or arguments[0] in known:
        return list(arguments)
    word = arguments[0]
    if word.replace("-", "").isalpha() and not word.startswith("-") and not Path(word).exists():
        hint = did_you_mean(word, sorted(known)) or "check the path, or see --help for the commands"
        raise ConfigError(f"{word}: there is no such file and no such command; {hint}")
    return ["run", *arguments]


def _with_web_address(arguments: Sequence[str]) -> list[str]:
    """``--web`` alone becomes ``--web 127.0.0.1:8080``: an option either has a value or has none."""
    given: list[str] = []
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        given.append(word)
        if word == "--web" and not re.fullmatch(r"(?!webcam:)[^/]+:\d+", following):
            given.append(DEFAULT_WEB_ADDRESS)
    return given


def _usage(error: Exception) -> str:
    """What typer found wrong with the command, in one line; the help where nothing was given."""
    text: str = error.format_message() if hasattr(error, "format_message") else str(error)
    if text.startswith("Usage: "):
        return text
    return f"error: {redact(' '.join(text.split()))} (--help tells more)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Mistakes are one plain line on standard error each."""
    _open_closed_streams()
    log_to_standard_error()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8
    try:
        given = _with_web_address(_with_default_command(sys.argv[1:] if arguments is None else arguments))
        code = command_line(given[0] if given else None)(args=given, prog_name=PROGRAM, standalone_mode=False)
    except UsageError as error:
        typer.echo(_usage(error), err=True)
        return 2
    except CallbackError as error:
        if error.__cause__ is not None:
            print_error(error.__cause__)
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except PipelineError as error:
        typer.echo("\n".join(f"error: {line}" for line in str(error).splitlines()), err=True)
        return error.exit_code
    except OSError as error:
        if error.filename is None and not _written(sys.stdout, "\n"):
            return 1
        # Any file that any command is given may be called so, and nothing else is wrong then.
        if error.errno != errno.ENAMETOOLONG:
            raise
        typer.echo(
            f"error: {readable(str(error.filename))}: no file has so long a name; choose a shorter one", err=True
        )
        return 2
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _open_closed_streams() -> None:
    """Lead nowhere those standard streams that whoever started the command has closed.

    Without, Python has none, and the next file that is opened would be what libraries print into.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _written(output: TextIO, more: str = "") -> bool:
    """Whether all that was printed, and ``more``, has gone out; if not, the reason is told and the rest let go."""
    try:
        output.write(more)
        output.flush()
    except OSError as error:
        # Python tries once more at its end, and would print a traceback.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output.fileno())
        os.close(nowhere)
        if error.errno != errno.EPIPE:  # a reader such as head has what it wanted
            typer.echo(f"error: can't write to standard output: {error.strerror}", err=True)
        return False
    return True


def end_process(code: int) -> NoReturn:
    """End the process, also while what nothing can call off is under way: a read of a silent camera, a call to Ray."""
    logging.shutdown()
    if not _written(sys.stdout) and code == 0:
        code = 1
    sys.stderr.flush()
    if any(thread.name.startswith(("decode ", "await ")) for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def run_command() -> NoReturn:
    """What the installed command ``sightline`` calls."""
    end_process(main())
