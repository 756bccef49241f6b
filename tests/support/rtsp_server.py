"""A real RTSP server for tests, benchmarks and for trying out settings: GStreamer's, as a process of its own.

    with RtspServer(LivePicture(640, 480, fps=25)) as server:
        source = open_source(server.url)
        server.kill()      # the camera loses power
        server.restart()   # and is back at the same address

    with RtspServer({"street": FileLoop(clip), "numbers": LivePicture()}, user="admin", password="x") as server:
        server.url_of("street")

It needs packages of the system (Debian's names in ``PACKAGES``); ``missing_packages()`` says what is not there.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import pytest

from tests.support.free_ports import free_port

PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-rtsp",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-libav",
    "python3-gi",
)
# GStreamer's bindings belong to the system's Python, not to a virtual environment.
_PYTHON = "/usr/bin/python3"
_PROGRAM = Path(__file__).with_name("rtsp_server_main.py")
_CHECK = """
import gi
for name in ("Gst", "GstApp", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst, GstApp, GstRtspServer
Gst.init(None)
needed = ("appsrc", "rtph264pay", "rtpjpegpay", "x264enc", "x265enc", "h264parse", "qtdemux", "avdec_h264", "jpegenc")
missing = [name for name in needed if Gst.ElementFactory.find(name) is None]
raise SystemExit("no element " + ", ".join(missing) if missing else 0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """Attributes: keyframe_every: frames; kbps: thousands of bits per second."""

    keyframe_every: int = 25
    kbps: int = 1500


@dataclass(frozen=True, slots=True)
class LivePicture(_Coded):
    """A camera whose k-th picture shows k (16 bits) and ``time.monotonic()`` in ms (32 bits) when it was drawn.

    ``tests.support.clips.read_number`` and ``read_time_ms`` read them. All readers see the same pictures; counting
    starts again when the last one has left. (``time.monotonic`` is one clock for all processes of a Linux machine.)

    Attributes:
        width, height: pixels; even.
        fps: frames per second.
        codec: ``"h264"``, ``"h265"`` or ``"mjpeg"``.
        sound: a tone beside the pictures, ``"aac"`` or ``"pcma"`` (G.711); None for none.
        given: a file that gets the coded pictures as they are given to the server, for ``given_pictures``.
    """

    width: int = 320
    height: int = 240
    fps: int = 25
    codec: Literal["h264", "h265", "mjpeg"] = "h264"
    sound: Literal["aac", "pcma"] | None = None
    given: Path | None = None


@dataclass(frozen=True, slots=True)
class FileLoop(_Coded):
    """Any video file, over and over, as a camera would send it; coded once when the server starts.

    Attributes:
        path: the file.
        fps: frames per second to send.
        width, height: pixels to scale to; None for the file's own.
    """

    path: Path
    fps: int = 25
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class FileOnce:
    """An MP4 with H.264 as it is, from its beginning for each reader, in real time; then the server ends the stream."""

    path: Path


Content = LivePicture | FileLoop | FileOnce


class RtspServer:
    """Serves on 127.0.0.1 while its context is entered.

    Args:
        content: what to serve, or several by name; a single one is called ``"live"``.
        user, password: ask for them.
        digest: ask by the digest method, which doesn't show the password on the wire; else by the basic one.
        transports: what readers may choose from.
        port: where to listen; 0 for a free one. ``restart`` keeps it.
    """

    def __init__(
        self,
        content: Content | Mapping[str, Content],
        *,
        user: str | None = None,
        password: str = "",
        digest: bool = False,
        transports: Sequence[Literal["tcp", "udp"]] = ("tcp", "udp"),
        port: int = 0,
    ) -> None:
        self.content: Mapping[str, Content] = content if isinstance(content, Mapping) else {"live": content}
        self.user = user
        self.password = password
        self.port = port or free_port()
        self._settings = {"user": user, "password": password, "digest": digest, "transports": list(transports)}
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Address of the first content, with user name and password where it asks for them."""
        return self.url_of(next(iter(self.content)))

    def url_of(self, name: str, *, credentials: bool = True, port: int | None = None) -> str:
        """Address of the content called ``name``; with another ``port`` for a proxy in between."""
        user_info = ""
        if credentials and self.user is not None:
            user_info = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return f"rtsp://{user_info}127.0.0.1:{port or self.port}/{name}"

    @property
    def pid(self) -> int | None:
        """Of the server's process, or None while it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start; returns once it listens.

        Raises:
            RuntimeError: it can't; with what it printed.
        """
        if self._process is not None:
            raise RuntimeError("the server is running already")
        self._process = subprocess.Popen(
            [_PYTHON, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        mounts = [_mount(name, content) for name, content in self.content.items()]
        self._process.stdin.write(json.dumps({**self._settings, "mounts": mounts, "port": self.port}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._end()
            raise RuntimeError("the RTSP server did not start; what it said is above")
        self.port = int(json.loads(answer)["port"])

    def stop(self) -> None:
        """Let it end in order: readers are told."""
        self._end()

    def kill(self) -> None:
        """End it as a loss of power does. The kernel still closes its connections."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def restart(self, content: Content | Mapping[str, Content] | None = None) -> None:
        """Start again at the same address, after ``kill`` if it still runs; with other ``content`` if given."""
        self.kill()
        if content is not None:
            self.content = content if isinstance(content, Mapping) else {"live": content}
        self.start()

    def freeze(self) -> None:
        """Stop the process in its tracks: connections stay open and silent, new ones are accepted by the kernel."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo ``freeze``."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@functools.cache
def missing_packages() -> str | None:
    """Why the server can't run here and how to change that; None if it can."""
    try:
        check = subprocess.run([_PYTHON, "-c", _CHECK], capture_output=True, text=True, check=False)
    except OSError as error:
        problem = str(error)
    else:
        if check.returncode == 0:
            return None
        problem = (check.stderr.strip().splitlines() or ["the check failed"])[-1]
    return f"no RTSP server ({problem}): apt-get install {' '.join(PACKAGES)}"


def require_rtsp_server() -> None:
    """Skip the test that calls this where the server can't run."""
    if problem := missing_packages():
        pytest.skip(problem)


def _mount(name: str, content: Content) -> dict[str, object]:
    if isinstance(content, FileOnce):
        return {"name": name, "kind": "file", "file": str(content.path.resolve(strict=True))}
    settings = asdict(content)
    settings["gop"] = settings.pop("keyframe_every")
    if isinstance(content, FileLoop):
        return {"name": name, "kind": "loop", **settings, "path": None, "file": str(content.path.resolve(strict=True))}
    settings["given"] = None if settings["given"] is None else str(settings["given"])
    return {"name": name, "kind": "picture", **settings}


def given_pictures(path: Path) -> list[bytes]:
    """The coded pictures that the server was given, in their order, of what has been written of them so far."""
    data, pictures = path.read_bytes(), []
    while len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        pictures.append(data[4 : 4 + length])
        data = data[4 + length :]
    return pictures
