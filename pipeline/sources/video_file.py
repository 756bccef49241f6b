"""Video files."""

from __future__ import annotations

import stat
from functools import partial
from os import PathLike
from pathlib import Path

import av

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.redaction import redact_missing_path
from pipeline.sources.being_written import is_being_written
from pipeline.sources.decoding.container import OPEN_OPTIONS, ContainerSource, Decoded, describe
from pipeline.sources.decoding.matroska import lacks_its_end, tagged_duration_s
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.decoding.transport import TransportPart, is_transport
from pipeline.sources.timing.file_timeline import Timed
from pipeline.sources.uri import stream_name

_OPEN_TIMEOUT_S = 60.0
_HEAD_BYTES = 1024
# Bytes of a packet: plain, with a time code (.m2ts), with error correction.
_TRANSPORT_PACKETS = (188, 192, 204)


class VideoFile(ContainerSource):
    """The frames of a video file, each exactly once, in display order, upright.

    Frames that are damaged beyond decoding are left out and counted in ``failed["decode"]``, the frames missing at
    the end of a file that was cut off among them; the first is logged as a warning. A file that is still being written
    is read up to its present end; what is incomplete there is not there yet. Cover pictures are no video. Interlaced
    video comes out with both fields woven into one picture.

    Args:
        path: the file.
        stream: name of the stream; default: the file's name without its suffix.
        threads: decoding threads; 0 takes what ``pipeline.hardware`` gives them.
        reduce_to: longer side, in pixels, of ``Frame.reduced``; None leaves it out.
        tap: gets the packets as they come; None where nobody wants them.

    Raises:
        SourceNotFoundError: there is nothing at ``path``.
        SourceError: it is a directory, can't be read, is no video, has only sound, or no picture can be decoded.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        stream: str | None = None,
        threads: int = 0,
        reduce_to: int | None = None,
        tap: PacketTap | None = None,
    ) -> None:
        self._path = Path(path)
        shown = str(path)
        self._size, head = _check(self._path, shown)
        self._file = self._path.open("rb", buffering=0) if is_transport(head) else None
        self._part = TransportPart(self._file, seekable=True, name=shown) if self._file is not None else None
        name = stream or stream_name(shown)
        try:
            container = _open(self._path, shown, self._part)
            super().__init__(container, stream=name, uri=shown, threads=threads, reduce_to=reduce_to, tap=tap)
            self._decoder.is_growing = partial(is_being_written, self._path, self._size)
        except BaseException:
            self._close_file()
            raise

    def close(self) -> None:
        """Give back the decoder and the file."""
        super().close()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def _following(self) -> av.container.InputContainer | None:
        self._part = self._part.following() if self._part is not None else None
        return _open(self._path, self._uri, self._part) if self._part is not None else None

    def _at_end(self) -> None:
        missing, cut = self._missing_frames()
        if missing and not self._decoder.grows():
            self._decoder.count_failed(missing, f"cut off: {cut}")

    def _last_duration_s(self, last: Timed[Decoded]) -> float:
        """The last picture stays on screen for as long as the file says, unless that statement can't be right."""
        duration_s = super()._last_duration_s(last)
        stated_s = self._stated_end_s()
        if stated_s is None or last.repaired or self._clock_was_set or self._missing_frames()[0]:
            return duration_s
        stated_s += last.offset_s - last.pts_s
        return stated_s if stated_s > 0 else duration_s

    def _stated_end_s(self) -> float | None:
        """When the pictures end by the file's own clock, where it says so beside the pictures themselves."""
        if "matroska" not in self._container.format.name:
            return None
        tagged_s = tagged_duration_s(self._video.metadata)
        if tagged_s is not None or len(self._container.streams) > 1 or not self._container.duration:
            return tagged_s
        return self._container.duration / 1e6

    def _missing_frames(self) -> tuple[int, str]:
        """Frames that the file promises behind its end, and how we know."""
        try:
            beyond = sum(entry.pos >= self._size for entry in self._video.index_entries)
        except AttributeError:  # PyAV before 17 does not show the index
            beyond = 0
        if beyond:
            return beyond, f"the last {beyond} frames lie beyond the end of the file"
        if self._container.format.name == "mpegts" and all(self._size % packet for packet in _TRANSPORT_PACKETS):
            return 1, "the file ends within a transport packet"
        promised_s = tagged_duration_s(self._video.metadata)
        end, tick_s = self._decoder.end_tick, self._video.time_base
        if promised_s is None or end is None or tick_s is None:
            return 0, ""
        # Matroska's tag counts from the container's zero.
        got_s = float(end * tick_s)
        frame_s = 1 / float(self._info.fps) if self._info.fps else 0.04
        if got_s > promised_s - 2.5 * frame_s or lacks_its_end(self._path) is False:
            return 0, ""
        return 1, f"the video ends after {got_s:.2f} s of the {promised_s:.2f} s that the file promises"


def _check(path: Path, shown: str) -> tuple[int, bytes]:
    """The file's size in bytes and its beginning; raises what is wrong with it in plain words."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{shown}: is a folder; give a video file, or a pattern such as {shown}/*.jpg for images")
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{redact_missing_path(shown)}: no such file; check the path") from None
    except PermissionError:
        raise SourceError(f"{shown}: no permission to read it; change its permissions or run as its owner") from None
    except SourceError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"{shown}: can't be read ({reason}); check the path and the disk") from error
    if not head:
        raise SourceError(f"{shown}: is empty (0 bytes); the copy or the recording did not finish")
    return status.st_size, head


def _open(path: Path, shown: str, part: TransportPart | None) -> av.container.InputContainer:
    size = path.stat().st_size
    try:
        # "file:" keeps a name such as "a:b.mp4" from being taken for a protocol, and the whitelist keeps a playlist
        # that calls itself a video from reaching the network.
        return av.open(
            f"file:{path}" if part is None else part,
            "r",
            options=dict(OPEN_OPTIONS),
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
            timeout=(_OPEN_TIMEOUT_S, None),
        )
    except av.FFmpegError as error:
        raise SourceError(f"{shown}: {_reason(path, size, error)}") from error


def _reason(path: Path, size: int, error: av.FFmpegError) -> str:
    if isinstance(error, av.InvalidDataError):
        with path.open("rb") as file:
            head = file.read(12)
        if is_being_written(path, size):
            return (
                "is still being written, and can't be read before it is finished; try again then, or have it "
                "recorded as Matroska, MPEG-TS or fragmented MP4, which can be read meanwhile"
            )
        if head[4:8] == b"ftyp":
            return (
                "this MP4 lacks its index, as when a recording was cut off before it was finished; "
                "record again, or repair it with a tool such as untrunc"
            )
        return "is not a video, or is damaged at its very beginning; check that it plays in a video player"
    return f"can't be opened as a video ({describe(error)}); check that it plays in a video player"
