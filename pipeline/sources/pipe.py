"""Video that another program writes into a pipe."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from dataclasses import dataclass
from os import PathLike

import av

from pipeline.errors import ConfigError, SourceError, SourceNotFoundError
from pipeline.images.limits import MAX_SIDE
from pipeline.sources.decoding.container import OPEN_OPTIONS, ContainerSource, describe
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.decoding.transport import TransportPart
from pipeline.sources.uri import stream_name

_WITHOUT_SEEKING = "give the file itself, or send MPEG-TS, Matroska or MP4 with its index in front (+faststart)"
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class RawVideo:
    """Pictures one after the other, without a container.

    Attributes:
        width, height: pixels.
        fps: frames per second; nothing else tells the time.
        pixel_format: FFmpeg's name, such as ``bgr24``, ``rgb24``, ``yuv420p`` or ``gray``.

    Raises:
        ConfigError: a size or rate that can't be, or an unknown pixel format.
    """

    width: int
    height: int
    fps: float
    pixel_format: str = "bgr24"

    def __post_init__(self) -> None:
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE and 0 < self.fps <= 1000):
            raise ConfigError(
                f"raw video: expected sides of 1 to {MAX_SIDE} pixels and up to 1000 fps, "
                f"got {self.width}x{self.height} at {self.fps:g}"
            )
        try:
            av.VideoFormat(self.pixel_format)
        except ValueError:
            raise ConfigError(
                f"raw video: unknown pixel format {self.pixel_format!r}; try bgr24, rgb24, yuv420p or gray"
            ) from None

    def options(self) -> dict[str, str]:
        """FFmpeg's options for raw video of this form."""
        size = f"{self.width}x{self.height}"
        return {"video_size": size, "pixel_format": self.pixel_format, "framerate": f"{self.fps:g}"}


class PipeSource(ContainerSource):
    """The frames of a video that comes through a pipe: standard input, a named pipe, or a socket's descriptor.

    The container must say what it is and need no way back: MPEG-TS, Matroska, WebM, FLV, AVI, fragmented MP4, Y4M. Raw
    pictures say nothing of themselves, so ``raw`` must.
    A pipe waits for its reader, so nothing is lost: it is no live source. Its end is the end of the stream.

    Args:
        pipe: ``"-"`` for standard input, a path, or an open descriptor, which stays open.
        stream: name of the stream; default: ``"stdin"`` or the path's stem.
        read_timeout_s: longest wait for the next bytes, in seconds.
        raw: how the pictures lie in a pipe without a container; None where there is one.
        threads: decoding threads; 0 takes what ``pipeline.hardware`` gives them.
        reduce_to: longer side, in pixels, of ``Frame.reduced``; None leaves it out.
        tap: gets the packets as they come; None where nobody wants them.

    Raises:
        SourceNotFoundError: there is nothing at that path.
        SourceError: it is a terminal, carries no video that can be decoded, or nothing comes in time. Waiting too long
            for later bytes raises it from the iteration.
    """

    def __init__(
        self,
        pipe: str | PathLike[str] | int = "-",
        *,
        stream: str | None = None,
        read_timeout_s: float = 30.0,
        raw: RawVideo | None = None,
        threads: int = 0,
        reduce_to: int | None = None,
        tap: PacketTap | None = None,
    ) -> None:
        shown = "standard input" if pipe == "-" else os.fspath(pipe) if not isinstance(pipe, int) else f"pipe {pipe}"
        self._reader = _PipeReader(pipe, shown, read_timeout_s)
        self._part = TransportPart(self._reader)
        try:
            container = self._open(shown, raw)
            name = stream or ("stdin" if pipe == "-" else stream_name(shown))
            super().__init__(
                container, stream=name, uri=shown, threads=threads, network=True, reduce_to=reduce_to, tap=tap
            )
        except BaseException as error:
            self._reader.close()
            if self._reader.timed_out and isinstance(error, SourceError):
                raise self._reader.timeout_error() from None
            if self._reader.index_is_behind and isinstance(error, SourceError):
                raise SourceError(
                    f"{shown}: this MP4 has its index at its end, and a pipe can't go back for the pictures; "
                    f"{_WITHOUT_SEEKING}"
                ) from None
            raise

    def close(self) -> None:
        """Give back the decoder, and the pipe where this object opened it."""
        super().close()
        self._reader.close()

    def _open(self, shown: str, raw: RawVideo | None) -> av.container.InputContainer:
        try:
            return av.open(
                self._part,
                "r",
                format="rawvideo" if raw else None,
                options={**OPEN_OPTIONS, **(raw.options() if raw else {})},
                container_options={"protocol_whitelist": "pipe"},
                metadata_errors="replace",
            )
        except av.FFmpegError as error:
            if not self._reader.received:
                raise SourceError(f"{shown}: nothing came through the pipe; check the program that writes it") from None
            raise SourceError(
                f"{shown}: what comes through it is not a video that can be read without seeking ({describe(error)}); "
                f"{_WITHOUT_SEEKING}"
            ) from error

    def _following(self) -> av.container.InputContainer | None:
        part = self._part.following()
        if part is None:
            return None
        self._part = part
        return self._open(self._uri, None)

    def _at_end(self) -> None:
        if self._reader.timed_out:
            raise self._reader.timeout_error()


class _PipeReader:
    """The file object that FFmpeg reads from. It never waits longer than the time limit: then the data end."""

    name = "pipe"

    def __init__(self, pipe: str | PathLike[str] | int, shown: str, timeout_s: float) -> None:
        self._shown = shown
        self._timeout_s = timeout_s
        self._owned = False
        self.received = 0
        self._head = b""
        self.timed_out = False
        if isinstance(pipe, int):
            self._descriptor = pipe
        elif pipe == "-":
            self._descriptor = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
        else:
            self._descriptor = _open_named(shown)
            self._owned = True
        if os.isatty(self._descriptor):
            self.close()
            raise SourceError(f"{shown}: is a terminal; pipe a video into it, such as MPEG-TS from another program")

    def read(self, size: int) -> bytes:
        deadline_s = time.monotonic() + self._timeout_s
        while not self.timed_out:
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(left_s, 0))
            if not ready:
                self.timed_out = True
                break
            try:
                data = os.read(self._descriptor, size)
            except BlockingIOError:
                continue
            self.received += len(data)
            if len(self._head) < _HEAD_BYTES:
                self._head += data[:_HEAD_BYTES]
            return data
        return b""

    @property
    def index_is_behind(self) -> bool:
        """Whether it is an MP4 or MOV whose pictures come before its index."""
        position = 0
        while (box := self._head[position + 4 : position + 8]) in (
            b"ftyp",
            b"free",
            b"skip",
            b"wide",
            b"uuid",
            b"pnot",
        ):
            position += max(8, int.from_bytes(self._head[position : position + 4], "big"))
        return box == b"mdat"

    def timeout_error(self) -> SourceError:
        return SourceError(
            f"{self._shown}: nothing came through the pipe for {self._timeout_s:g} s; check the program that writes it"
        )

    def close(self) -> None:
        if self._owned:
            self._owned = False
            os.close(self._descriptor)


def _open_named(shown: str) -> int:
    try:
        # Without O_NONBLOCK opening a named pipe would wait for its writer without a limit.
        return os.open(shown, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{shown}: no such pipe; check the path") from None
    except OSError as error:
        raise SourceError(f"{shown}: can't be opened ({error.strerror}); check its permissions") from error


def is_pipe(path: str) -> bool:
    """Whether there is a named pipe at ``path``, or another stream that only comes once, such as ``/dev/stdin``."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a descriptor's path such as /dev/fd/63 has no parent to resolve
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
