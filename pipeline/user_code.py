"""Loads the user's own Python files and checks the functions in them before anything runs.

A file is run afresh each time it is loaded, from its path; modules beside it can be imported while it runs (so at its
top, not inside its functions), and the import path is as before afterwards.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from pipeline.errors import CallbackError, ConfigError

_LOADING = threading.Lock()


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time: a bytecode cache could be that of an edit made within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def load_user_file(path: str | Path) -> ModuleType:
    """Run a Python file and return it as a module.

    Raises:
        ConfigError: it is missing, can't be read, or is not valid Python.
        CallbackError: it raised while it ran; the original exception is the cause.
    """
    file = Path(path)
    if not file.exists():
        raise ConfigError(f"{file}: there is no such Python file")
    if not file.is_file():
        raise ConfigError(f"{file}: is not a file; give the path of a Python file")
    name = f"user_{file.stem}"
    loader = _FreshLoader(name, str(file.resolve()))
    spec = importlib.util.spec_from_file_location(name, file.resolve(), loader=loader)
    if spec is None:
        raise ConfigError(f"{file}: can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    with _LOADING, _importable(file.resolve().parent):
        # Dataclasses, among others, look their module up while it runs.
        sys.modules[name] = module
        try:
            loader.get_code(name)  # Apart from running it: a SyntaxError from there may be another file's.
        except SyntaxError as error:
            where = f":{error.lineno}" if error.lineno else ""
            raise ConfigError(f"{file}{where}: is not valid Python: {error.msg}") from error
        except ValueError as error:
            raise ConfigError(f"{file}: is not valid Python: {error}") from error
        except OSError as error:
            raise ConfigError(f"{file}: can't be read: {error.strerror}") from error
        try:
            loader.exec_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything; it is the cause
            message = f"{user_line(error, file)}: raised {summary(error)} while it was being loaded"
            raise CallbackError(message) from trimmed(error, file)
    return module


def check_callable(function: object, name: str, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """The function, if it can be called with these positional arguments and does its work when called.

    Args:
        function: what the user gave.
        name: what messages call it.
        arguments: what each argument is, for messages.

    Raises:
        ConfigError: it can't be called, takes another number of arguments, is async or a generator.
    """
    listed = ", ".join(arguments)
    if not callable(function):
        raise ConfigError(f"{name} is {type(function).__name__}, not a function; expected def ...({listed})")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"{name} is async, which would never run; make it a plain def ...({listed})")
    if inspect.isgeneratorfunction(function):
        raise ConfigError(f"{name} holds a yield, so calling it would do nothing; make it a plain def ...({listed})")
    try:
        signature = inspect.signature(function)
    except ValueError:  # Some built-in functions do not tell.
        return function
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise ConfigError(f"{name}{signature} can't be called with ({listed}): {error}") from error
    return function


def trimmed(error: BaseException, file: Path | None = None) -> BaseException:
    """The error with a traceback that begins in the user's code, not in what called it from here.

    Call it where the error was caught; ``file`` says where the user's code begins, else it is one call further in.
    """
    own = error.__traceback__.tb_next if error.__traceback__ is not None else None
    trace = own
    while file is not None and trace is not None and trace.tb_frame.f_code.co_filename != str(file.resolve()):
        trace = trace.tb_next
    return error.with_traceback(trace or own)


def user_line(error: BaseException, file: Path | None = None) -> str:
    """``my_file.py:12``: the innermost line of the user's code that an error passed.

    The user's code is ``file``, else the file of the first call in the traceback.
    """
    entries: list[tuple[str, int]] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        entries.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    resolved = str(file.resolve()) if file is not None else ""
    lines = [line for name, line in entries if name == resolved]
    if file is not None and lines:
        return f"{file}:{lines[-1]}"
    if not entries:
        return str(file) if file is not None else "built-in function"
    first = entries[0][0]
    return f"{first}:{[line for name, line in entries if name == first][-1]}"


def is_interrupt(error: BaseException) -> bool:
    """Whether it is Ctrl-C, which only the main thread hears; elsewhere the user's code has raised it itself."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def summary(error: BaseException) -> str:
    """``ZeroDivisionError: division by zero``, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        # The file itself may have changed the path; only the entry made here is taken away.
        if entry in sys.path:
            sys.path.remove(entry)
