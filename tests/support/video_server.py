"""A small real HTTP server for tests that serves videos as strange servers do: any name and type, with or without a
length, broken off midway; and playlists that grow, stall and end.

    with VideoServer() as server:
        server.serve("/download?id=3", path.read_bytes(), Answer(length=False))
        playlist = server.playlist("/live", segments, duration_s=0.4)
        playlist.show(3)  # the list holds the first three pieces now
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.support.clips import write_clip


@dataclass(slots=True)
class Answer:
    """How a file is served.

    Attributes:
        content_type: what the server calls it.
        length: whether it says how long it is; without, the connection is closed at the end.
        chunked: in chunks, with an end that is marked.
        ranges: whether it serves parts.
        break_after: the connection breaks behind so many bytes ...
        breaks: ... so many times.
    """

    content_type: str = "video/mp4"
    length: bool = True
    chunked: bool = False
    ranges: bool = False
    break_after: int = 0
    breaks: int = 0


class Playlist:
    """An HLS list of pieces that a test lets grow."""

    def __init__(self, name: str, count: int, duration_s: float, window: int) -> None:
        self._name, self._count, self._duration_s, self._window = name, count, duration_s, window
        self.shown = 0
        self.ended = False

    def show(self, count: int, *, ended: bool = False) -> None:
        """Hold the first ``count`` pieces, or the last of them where the list has a window."""
        self.shown, self.ended = count, ended

    def text(self) -> str:
        """The list as it is now."""
        first = max(0, self.shown - self._window) if not self.ended else 0
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for number in range(first, self.shown):
            lines += [f"#EXTINF:{self._duration_s},", f"{self._name}/{number}"]
        return "\n".join([*lines, "#EXT-X-ENDLIST" if self.ended else "", ""])


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, tuple[bytes, Answer]] = {}
        self.playlists: dict[str, Playlist] = {}
        self.asked: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        with contextlib.suppress(ConnectionError):
            if self.path in self.server.playlists:
                self._send(self.server.playlists[self.path].text().encode(), Answer(content_type="text/plain"))
            elif self.path in self.server.files:
                self._send(*self.server.files[self.path])
            else:
                self.send_error(404)

    def _send(self, data: bytes, answer: Answer) -> None:
        whole, start = len(data), 0
        asked = self.headers.get("Range", "")
        if asked and answer.ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Connection", "close")
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.length:
            self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        body = data[start:]
        if answer.breaks:
            answer.breaks -= 1
            body = body[: answer.break_after]
        if answer.chunked:
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Tests print no access log."""


class VideoServer:
    """Serves on a free port of 127.0.0.1 while the block runs.

    Attributes:
        asked: ``(path, range)`` of each request.
    """

    def __enter__(self) -> Self:
        self._server = _Server()
        self.asked = self._server.asked
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, data: bytes, answer: Answer | None = None) -> str:
        """Serve ``data`` at ``path``, which may hold a query; returns its address."""
        self._server.files[path] = (data, answer or Answer())
        return self.address + path

    def playlist(self, path: str, pieces: Sequence[bytes], *, duration_s: float, window: int = 1000) -> Playlist:
        """Serve a list of pieces at ``path``; it holds none of them yet."""
        for number, piece in enumerate(pieces):
            self._server.files[f"{path}-pieces/{number}"] = (piece, Answer(content_type="application/octet-stream"))
        playlist = Playlist(f"{path.lstrip('/')}-pieces", len(pieces), duration_s, window)
        self._server.playlists[path] = playlist
        return playlist


def write_pieces(folder: Path, *, count: int, frames: int = 10, fps: int = 25) -> list[bytes]:
    """``count`` pieces of an HLS stream with ``frames`` numbered frames each; timestamps go on from one to the next.

    Each is a transport stream of its own, whose packets are counted from 0, as many servers write them.
    """
    pieces = []
    for first in range(0, count * frames, frames):
        path = write_clip(
            folder / f"{first}.ts",
            count=frames,
            first_number=first,
            fps=fps,
            keyframe_every=frames,
            pts_s=[(first + number) / fps for number in range(frames)],
        )
        pieces.append(path.read_bytes())
    return pieces
