"""A whole file from a web server, for those that must be read from the end to the beginning and a server that can't."""

from __future__ import annotations

import base64
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from typing import IO

from pipeline.addresses import Address
from pipeline.errors import SourceError

# What stays free on the disk.
_LEFT_FREE_BYTES = 1_000_000_000
_PART_BYTES = 1_000_000


def fetch(address: Address, shown: str, timeout_s: float) -> IO[bytes]:
    """The file at an ``http`` or ``https`` address, as a temporary one that is gone when it is closed.

    User name and password (basic authentication) are not sent on to where the server redirects.

    Args:
        address: what to connect to.
        shown: the address without credentials, for messages.
        timeout_s: longest wait for the answer and for each further part.

    Raises:
        SourceError: it can't be fetched whole, or there is no room for it.
    """
    request = urllib.request.Request(replace(address, user=None, password=None).encoded)
    if address.login:
        login = base64.b64encode(b"%b:%b" % (address.user or b"", address.password or b"")).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(prefix="sightline-"))
        problems: list[SourceError] = []
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                _copy(answer, file, shown)
        except SourceError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            problems.append(SourceError(f"{shown}: can't be fetched ({reason}); check the server"))
        if problems:
            raise problems.pop()
        file.seek(0)
        stack.pop_all()
    return file


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], shown: str) -> None:
    """All that was announced, and no more: who sends without an end would fill the disk."""
    length = int(answer.headers.get("Content-Length") or 0)
    if length > shutil.disk_usage(tempfile.gettempdir()).free - _LEFT_FREE_BYTES:
        raise SourceError(
            f"{shown}: its {length // 1_000_000} MB don't fit on the disk of {tempfile.gettempdir()}; "
            "download it to where there is room"
        )
    for first in range(0, length, _PART_BYTES):
        wanted = min(_PART_BYTES, length - first)
        part = answer.read(wanted)
        file.write(part)
        if len(part) < wanted:
            raise SourceError(f"{shown}: the connection ended after {file.tell()} of {length} bytes; check the server")
