"""The HTTP server, in a thread of the run."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from typing import Any, Self

import uvicorn

from pipeline.errors import SinkError
from sightline.server.http_connection import HttpConnection

logger = logging.getLogger(__name__)

# What requests that are under way get when the server ends.
_GRACE_S = 1
_MOST_CONNECTIONS = 200
_MAX_MESSAGE_BYTES = 64 * 1024


class HttpServer:
    """Listens from the moment it is made, answers from ``start`` until ``close``.

    Args:
        host: name or address to listen on.
        port: 0 lets the system choose one.

    Attributes:
        address: where it listens, such as ``127.0.0.1:8080``.

    Raises:
        SinkError: the address can't be listened on.
    """

    def __init__(self, host: str, port: int) -> None:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._socket = _listening(host, port)
        except OSError as error:
            raise SinkError(f"web {shown}: {_problem(error)}") from error
        self.address = shown if port else f"{shown.rpartition(':')[0]}:{self._socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host, _, port = self.address.rpartition(":")
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}/"

    def start(self, app: Any) -> None:
        """Answer with an ASGI application."""
        config = uvicorn.Config(
            app,
            http=HttpConnection,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
            ws_max_size=_MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web")
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and wait for what is under way. May be called again."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; a run that ended a moment ago does not keep its port."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def _problem(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such host; use 127.0.0.1 for this machine alone, or 0.0.0.0 for all that reach it"
    advice = {
        errno.EADDRINUSE: "the port is in use; choose another, or end the program that has it",
        errno.EACCES: "this port needs rights that the program does not have; choose one above 1023",
        errno.EADDRNOTAVAIL: "this machine has no such address; use 127.0.0.1 or 0.0.0.0",
    }
    return advice.get(error.errno or 0, os.strerror(error.errno or 0))
