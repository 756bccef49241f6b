"""Where frames come from. ``open_source`` chooses by the address; each source can also be made by itself.

Every source keeps the promises of ``pipeline.interfaces.Source``. None of them connects again by itself.
"""

from __future__ import annotations

import os
import re
from fractions import Fraction
from os import PathLike, fspath
from urllib.parse import unquote

from pipeline.errors import ConfigError, SourceNotFoundError
from pipeline.interfaces import Source
from pipeline.redaction import redact_address
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.image_folder import ImageFolder, is_images
from pipeline.sources.network import NETWORK_SCHEMES, NetworkStream, Transport
from pipeline.sources.pipe import PipeSource, RawVideo, is_pipe
from pipeline.sources.uri import clean_name, has_scheme, redact, stream_name
from pipeline.sources.video_file import VideoFile
from pipeline.sources.webcam import Webcam

__all__ = [
    "ImageFolder",
    "NetworkStream",
    "PipeSource",
    "RawVideo",
    "VideoFile",
    "Webcam",
    "clean_name",
    "is_camera",
    "is_network",
    "open_source",
    "redact",
    "stream_name",
]


def is_camera(uri: str) -> bool:
    """Whether the address says that it is a camera: RTSP and webcams. What HTTP serves shows when it is open."""
    if re.fullmatch(r"webcam:\d+|/dev/video\d+", uri):
        return True
    return is_network(uri) and uri.lower().startswith("rtsp")


def is_network(uri: str) -> bool:
    """Whether the address is read over the network."""
    return has_scheme(uri) and uri.partition("://")[0].lower() in NETWORK_SCHEMES


def open_source(
    uri: str | PathLike[str],
    *,
    stream: str | None = None,
    threads: int = 0,
    fps: float | Fraction | None = None,
    width: int | None = None,
    height: int | None = None,
    transport: Transport = "tcp",
    open_timeout_s: float = 5.0,
    read_timeout_s: float | None = None,
    username_env: str | None = None,
    password_env: str | None = None,
    pixel_format: str | None = None,
    reduce_to: int | None = None,
    tap: PacketTap | None = None,
) -> Source:
    """Open the source at ``uri``. Settings that do not concern its kind are ignored.

    Args:
        uri: the path of a video file; a folder of images, an image, or a pattern such as ``shots/*.jpg``; ``-`` for
            standard input, or a named pipe; ``webcam:0`` or ``/dev/video0``; ``rtsp://``, ``rtsps://``, ``http://``,
            ``https://``.
        stream: name of the stream; default: made from the address. White space and "/" in it become "-".
        threads: decoding threads; 0 takes what ``pipeline.hardware`` gives them.
        fps: images per second of media time (default 1), the frame rate to ask of a webcam, or that of raw pictures.
        width, height: pixels to ask of a webcam, or of raw pictures in a pipe.
        transport: how RTSP carries video: ``"tcp"`` or ``"udp"``.
        open_timeout_s: longest wait for a network stream to open, in seconds.
        read_timeout_s: longest wait for the next data of a network stream (default 5) or a pipe (default 30).
        username_env, password_env: environment variables with the user name and password for a network stream.
        pixel_format: of raw pictures in a pipe, such as ``bgr24``; they need ``width``, ``height`` and ``fps`` too.
        reduce_to: longer side, in pixels, of ``Frame.reduced``, which spares a detector of that input size most of each
            picture; None leaves it out. Images and webcams come without.
        tap: gets the packets as they come; None where nobody wants them.

    Raises:
        SourceNotFoundError: there is nothing at that path.
        SourceError: it can't be opened or holds no picture that can be decoded.
        ConfigError: an address of a kind that is not known, a stream name that is empty, a variable that is not set, a
            tap on what has no packets: images, webcams.
    """
    uri = fspath(uri)
    name = clean_name(stream) if stream is not None else None
    if name == "":
        raise ConfigError(f"stream name {stream!r}: expected at least one character besides spaces and '/'")
    if camera := re.fullmatch(r"webcam:(\d+)|(/dev/video\d+)", uri):
        device = int(camera[1]) if camera[1] else camera[2]
        _refuse_tap(uri, tap)
        return Webcam(device, width=width, height=height, fps=None if fps is None else float(fps), stream=name)
    scheme = uri.partition("://")[0].lower() if has_scheme(uri) else ""
    if scheme in NETWORK_SCHEMES:
        return NetworkStream(
            uri,
            stream=name,
            transport=transport,
            open_timeout_s=open_timeout_s,
            read_timeout_s=5.0 if read_timeout_s is None else read_timeout_s,
            username_env=username_env,
            password_env=password_env,
            threads=threads,
            reduce_to=reduce_to,
            tap=tap,
        )
    if scheme and scheme != "file":
        raise ConfigError(
            f"{redact_address(uri)}: can't read {scheme}:// addresses; give a file, a folder, '-', webcam:0, rtsp:// or http://"
        )
    path = unquote(uri.partition("://")[2]) if scheme else uri
    if not path:
        raise ConfigError(f"source {uri!r}: expected an address, or the path of a file or folder")
    if path == "-" or is_pipe(path):
        patience_s = 30.0 if read_timeout_s is None else read_timeout_s
        raw = None
        if pixel_format is not None:
            if width is None or height is None or fps is None:
                raise ConfigError(f"{uri}: raw pictures ({pixel_format}) need their width, height and fps too")
            raw = RawVideo(width, height, float(fps), pixel_format)
        return PipeSource(
            path, stream=name, read_timeout_s=patience_s, raw=raw, threads=threads, reduce_to=reduce_to, tap=tap
        )
    if is_images(path):
        _refuse_tap(path, tap)
        return ImageFolder(path, fps=1 if fps is None else fps, stream=name)
    if path.isascii() and path.isdecimal() and not os.path.lexists(path):
        raise SourceNotFoundError(f"{path}: no such file; this machine's camera of that number is webcam:{path}")
    return VideoFile(path, stream=name, threads=threads, reduce_to=reduce_to, tap=tap)


def _refuse_tap(uri: str, tap: PacketTap | None) -> None:
    if tap is not None:
        raise ConfigError(f"{uri}: images and webcams have no packets to record; record the annotated video instead")
