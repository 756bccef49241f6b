"""Downloads a file whose size and SHA-256 are known; what broke off goes on where it stopped.

What has come lies beside the target as ``NAME.part``. It gets its name only when it is complete and its hash is right,
so nothing half-written is ever found there. Whatever a server sends, no more than the known size is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.redaction import redact_address

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_CONNECT_S, _READ_S = 10.0, 60.0
_CHUNK_BYTES = 1 << 16  # so much is lost when a connection breaks
_MOST_ATTEMPTS = 100  # at one address
_LARGEST_UNKNOWN = 2 << 30  # bytes of a file whose size only the server knows
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")

Progress = Callable[[int], None]
"""Called with how many bytes there are."""


class _NotTheFileError(Exception):
    """What the server has is another file."""


def download(
    urls: Sequence[str], target: Path, *, size: int | None, sha256: str, progress: Progress = lambda _: None
) -> None:
    """Get a file from the first of the addresses that has it.

    An address that breaks off is asked again for the rest as long as that brings more, then the next one is; the rest
    is the same everywhere. Several processes may do so at once: one downloads, the others wait for it.

    Args:
        urls: http or https, first choice first.
        target: where to put it; its folder is made.
        size: bytes; None where only the server knows.
        sha256: hexadecimal, or its first digits.
        progress: told how far it is.

    Raises:
        ModelError: none of them had it; with the reason for each host. What has come is kept for the next attempt.
    """
    part = target.with_name(f"{target.name}.part")
    reasons: list[str] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as file:
            if _is_complete(target, size, sha256):  # another process was faster
                part.unlink(missing_ok=True)
                return
            for url in urls:
                try:
                    _fetch(url, file, _announced_size(url) if size is None else size, sha256, progress)
                except _failures() as error:
                    reasons.append(f"{url.split('/')[2]}: {_reason(error, file)}")
                    continue
                os.fsync(file.fileno())
                part.replace(target)
                return
            if not file.seek(0, os.SEEK_END):
                part.unlink(missing_ok=True)
    except OSError as error:
        reasons.append(f"{target.parent}: {error.strerror or error}")
    raise ModelError("; ".join(reasons))


def _failures() -> tuple[type[Exception], ...]:
    import requests

    return (requests.RequestException, _NotTheFileError)


def _fetch(url: str, file: IO[bytes], size: int, sha256: str, progress: Progress) -> None:
    """Bring the file to its full size, and check it."""
    import requests

    if file.seek(0, os.SEEK_END) > size:
        file.truncate(0)
    resumed = file.seek(0, os.SEEK_END) > 0
    for attempt in range(_MOST_ATTEMPTS):
        had = file.seek(0, os.SEEK_END)
        if had == size:
            break
        try:
            _fetch_rest(url, file, size, progress)
        except requests.RequestException:
            if file.tell() <= had or attempt == _MOST_ATTEMPTS - 1:
                raise
            logger.info("%s: broke off at %d of %d bytes; going on", redact_address(url), file.tell(), size)
    if file.seek(0, os.SEEK_END) != size:
        raise _NotTheFileError  # it ends early, and not because a connection broke
    if _digest(file).startswith(sha256):
        return
    file.truncate(0)
    if not resumed:
        raise _NotTheFileError
    # What was there may have been of another file; this server's own may be right.
    _fetch(url, file, size, sha256, progress)


def _announced_size(url: str) -> int:
    """How large the server says that the file is."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_S, _READ_S)) as response:
        response.raise_for_status()
        announced = response.headers.get("Content-Length", "")
    if not announced.isdecimal() or int(announced) > _LARGEST_UNKNOWN:
        raise _NotTheFileError
    return int(announced)


def _fetch_rest(url: str, file: IO[bytes], size: int, progress: Progress) -> None:
    import requests

    had = file.seek(0, os.SEEK_END)
    # Not compressed: the ranges count what is sent.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={had}-"} if had else {})}
    with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_S, _READ_S)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            raise _NotTheFileError
        response.raise_for_status()
        if had and not _continues(response, had, size):
            had = 0  # the server sends all of it
        _check_length(response, size - had)
        file.truncate(had)
        file.seek(had)
        progress(had)
        for chunk in response.iter_content(_CHUNK_BYTES):
            if file.tell() + len(chunk) > size:
                raise _NotTheFileError
            file.write(chunk)
            progress(file.tell())
    file.flush()


def _continues(response: requests.Response, had: int, size: int) -> bool:
    """Whether the server sends the rest of a file of that size, and not all of it."""
    if response.status_code != 206:
        return False
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != had or match[2] not in ("*", str(size)):
        raise _NotTheFileError
    return True


def _check_length(response: requests.Response, expected: int) -> None:
    """Refuse another file before it costs what is there already: most are a page that says there is no such file."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) != expected and not response.headers.get("Content-Encoding"):
        raise _NotTheFileError


def _digest(file: IO[bytes]) -> str:
    if file.writable():
        file.flush()
    with Path(file.name).open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def _is_complete(target: Path, size: int | None, sha256: str) -> bool:
    try:
        with target.open("rb") as file:
            return size in (None, file.seek(0, os.SEEK_END)) and _digest(file).startswith(sha256)
    except FileNotFoundError:
        return False


def _reason(error: Exception, file: IO[bytes]) -> str:
    """Why it failed: the end of the chain that a failed connection is wrapped in, on one line."""
    if isinstance(error, _NotTheFileError):
        return "what came is not the published file"
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    said = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
    said = " ".join(said.split())
    have = file.seek(0, os.SEEK_END)
    return f"{said} ({have / 1e6:.1f} MB have come, and are kept)" if have else said


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """Open the file to append to, once no other process downloads into it."""
    while True:
        with part.open("ab") as file:
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
                # The one that had it before may have given it its final name, or removed it.
                if not part.exists() or not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    continue
            yield file
            return


@contextlib.contextmanager
def showing_progress(name: str, size: int | None) -> Iterator[Progress]:
    """A progress bar on standard error, while it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn()]
    columns += [TransferSpeedColumn(), TimeRemainingColumn()]
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=size)
        yield lambda done: bars.update(task, completed=done)
