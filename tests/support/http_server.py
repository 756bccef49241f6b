"""A small real HTTP server for tests: files of a folder, and Motion JPEG as a network camera sends it.

    with serve_http(folder) as address:
        ...  # f"{address}/clip.mkv", f"{address}/camera.mjpeg?count=50&fps=25"

The k-th picture of ``camera.mjpeg`` shows the number k and the milliseconds of ``time.monotonic()`` when it was sent.
Without ``count`` it sends until the reader goes; ``stall_after=N`` keeps the connection open but silent behind N
pictures. Any other file is sent whole, with ``?ranges=1`` from the byte on that was asked for; ``?break_after=N`` ends
the connection behind N bytes of an answer. The ranges that are asked for are added to ``asked``. With
``serve_http(..., user=, password=)`` everything asks for basic authentication.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import cv2

from tests.support.clips import draw_number


class _Server(ThreadingHTTPServer):
    # Closing the server waits for the threads of its connections.
    daemon_threads = False
    block_on_close = True

    def __init__(self, folder: Path, authorization: str | None, asked: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.authorization = authorization
        self.stopping = threading.Event()
        self.asked = asked


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.server.authorization not in (None, self.headers.get("Authorization")):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        parts = urlsplit(self.path)
        name = unquote(parts.path).lstrip("/")
        with contextlib.suppress(ConnectionError):
            if name.endswith(".mjpeg"):
                settings = {key: float(values[0]) for key, values in parse_qs(parts.query).items()}
                self._send_pictures(**settings)
            elif (self.server.folder / name).is_file():
                settings = {key: float(values[0]) for key, values in parse_qs(parts.query).items()}
                self._send_file((self.server.folder / name).read_bytes(), **settings)
            else:
                self.send_error(404)

    def _send_file(self, data: bytes, break_after: float = float("inf"), ranges: float = 0) -> None:
        whole, start = len(data), 0
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        if asked and ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            data = data[start:]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if break_after >= len(data) else data[: int(break_after)])

    def _send_pictures(self, count: float = float("inf"), fps: float = 25, stall_after: float = float("inf")) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        begun_s = time.monotonic()
        for number in itertools.takewhile(lambda number: number < count, itertools.count()):
            if number >= stall_after:
                self.server.stopping.wait()
            if self.server.stopping.wait(max(begun_s + number / fps - time.monotonic(), 0)):
                return
            image = draw_number(number % 65_536, time_ms=round(time.monotonic() * 1000) % 2**32)
            data = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Tests print no access log."""


@contextlib.contextmanager
def serve_http(
    folder: Path, *, user: str | None = None, password: str = "", asked: list[str] | None = None
) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 while the block runs; gives ``http://127.0.0.1:PORT``."""
    authorization = None
    if user is not None:
        authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    server = _Server(folder, authorization, asked if asked is not None else [])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
