"""Small real video files whose pixels say which frame they are, and the reader of those pixels.

The whole picture is a grid of 8 x 8 black and white cells: a sync row, 16 bits of frame number, 32 bits of time in
milliseconds and a checksum. It survives lossy codecs, scaling to any size and shape, grayscale and a wrong colour
matrix. A picture that is turned, mirrored, torn or mixed from two frames fails the sync row or the checksum, so
``read_number`` never guesses.

    path = write_clip(folder / "a.mp4", count=50, fps=25)
    image = ...  # decode the k-th frame to (height, width, 3) or (height, width)
    assert read_number(image) == k
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

Image = NDArray[np.uint8]
VideoPacket: TypeAlias = "Packet[av.VideoStream]"

GRID = 8
_SYNC = (1, 0, 1, 1, 0, 0, 1, 0)
_TIME_BASE = Fraction(1, 90_000)


class UnreadableNumberError(ValueError):
    """The picture does not show exactly one upright number."""


def draw_number(number: int, *, width: int = 160, height: int = 120, time_ms: int = 0) -> Image:
    """A picture that shows ``number`` (16 bits) and ``time_ms`` (32 bits): uint8 ``(height, width, 3)``.

    Each side needs at least 32 pixels.
    """
    if not 0 <= number < 1 << 16 or not 0 <= time_ms < 1 << 32:
        raise ValueError(f"expected a number in 16 bits and a time in 32 bits, got {number} and {time_ms}")
    payload = number.to_bytes(2, "big") + time_ms.to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(payload + bytes([zlib.crc32(payload) & 0xFF]), np.uint8))
    cells = np.concatenate([np.array(_SYNC, np.uint8), bits]).reshape(GRID, GRID) * np.uint8(255)
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    return np.repeat(cells[rows][:, columns, np.newaxis], 3, axis=2)


def read_number(image: NDArray[np.uint8]) -> int:
    """The number shown by ``image``, uint8 ``(height, width[, 3])``.

    Raises:
        UnreadableNumberError: the picture shows none, or not upright, or parts of two.
    """
    return _read(image)[0]


def is_whole(image: NDArray[np.uint8]) -> bool:
    """Whether ``image`` shows one upright number. Over UDP a busy machine may lose a packet, and with it a picture."""
    try:
        read_number(image)
    except UnreadableNumberError:
        return False
    return True


def read_time_ms(image: NDArray[np.uint8]) -> int:
    """The time in milliseconds shown by ``image``; errors as in ``read_number``."""
    return _read(image)[1]


def _read(image: NDArray[np.uint8]) -> tuple[int, int]:
    gray = image if image.ndim == 2 else image.mean(axis=2)
    cells = np.empty((GRID, GRID))
    for row in range(GRID):
        for column in range(GRID):
            # The middle of the cell: edges are blurred by compression and scaling.
            top, bottom = (int((row + offset) * gray.shape[0] / GRID) for offset in (0.3, 0.7))
            left, right = (int((column + offset) * gray.shape[1] / GRID) for offset in (0.3, 0.7))
            cells[row, column] = np.median(gray[top : bottom + 1, left : right + 1])
    dark, light = float(cells[0, 1]), float(cells[0, 0])
    if light - dark < 60:
        raise UnreadableNumberError(f"no number: the sync row's cells are {cells[0].round().tolist()}")
    bits = (cells > (dark + light) / 2).astype(np.uint8)
    if tuple(bits[0].tolist()) != _SYNC:
        raise UnreadableNumberError(f"no upright number: the sync row reads {bits[0].tolist()}")
    data = np.packbits(bits[1:]).tobytes()
    if data[6] != zlib.crc32(data[:6]) & 0xFF:
        raise UnreadableNumberError(f"the checksum does not fit: the cells read {data.hex()}")
    return int.from_bytes(data[:2], "big"), int.from_bytes(data[2:6], "big")


def write_clip(
    path: Path,
    *,
    count: int = 30,
    first_number: int = 0,
    fps: int | Fraction = 25,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    pts_s: Sequence[float] | None = None,
    b_frames: int = 0,
    keyframe_every: int = 12,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    audio: bool = False,
    options: dict[str, str] | None = None,
    draw: Callable[[int], Image] | None = None,
    on_packet: Callable[[int, VideoPacket], VideoPacket | None] | None = None,
) -> Path:
    """Encode ``count`` frames that show the numbers ``first_number``, ``first_number + 1``, ... and return ``path``.

    The time shown in the k-th frame is its presentation time in milliseconds, rounded.

    Args:
        path: the file to write; its suffix chooses the container unless ``container`` names one.
        fps: frames per second; the k-th frame is shown at ``k / fps`` unless ``pts_s`` says otherwise.
        size: width and height in pixels as displayed, after ``rotation``.
        codec, pixel_format, options: of the encoder, such as ``"mpeg4"``, ``"yuv420p10le"``, ``{"crf": "30"}``.
        container_options: of the muxer, such as ``{"movflags": "+faststart"}``.
        pts_s: presentation time of each frame in seconds (variable frame rate), rising; sets ``count``.
        b_frames: consecutive B-frames between the others; 0 for none.
        keyframe_every: frames from one keyframe to the next.
        rotation: 0, 90, 180 or 270. The picture is stored turned counter-clockwise by this many degrees, and the file
            says that a player must turn it clockwise by as many, as phones do.
        mirrored: likewise: stored mirrored left to right, with a display matrix that undoes it after the rotation.
        pixel_aspect: width of a pixel divided by its height, which the file states.
        audio: add a track of mono AAC, a quiet tone, as long as the video.
        draw: makes the picture of frame k, ``(height, width, 3)`` BGR of ``size``, in place of ``draw_number``.
        on_packet: sees the k-th video packet (in decoding order) before it is written; returns it, changed or not, or
            None to leave it out. For files with damage.
    """
    rate = Fraction(fps)
    time_base = 1 / rate if pts_s is None else _TIME_BASE
    ticks = list(range(count)) if pts_s is None else [round(moment / float(time_base)) for moment in pts_s]
    nominal = max(1, round(1 / rate / time_base))
    durations = dict(zip(ticks, [*np.diff(ticks).tolist(), nominal], strict=True))

    def picture(position: int) -> Image:
        if draw is not None:
            return draw(position)
        time_ms = round(ticks[position] * time_base * 1000)
        return draw_number(first_number + position, width=size[0], height=size[1], time_ms=time_ms)

    with av.open(str(path), "w", format=container, container_options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options={**_encoder_options(codec, b_frames), **(options or {})})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size[::-1] if rotation in (90, 270) else size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        stream.codec_context.max_b_frames = b_frames
        stream.gop_size = keyframe_every
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation or mirrored:
            stream.set_display_rotation(-rotation, hflip=mirrored)
        if audio:
            _add_tone(output, seconds=float((ticks[-1] + nominal) * time_base))
        written = 0
        for position in range(len(ticks) + 1):
            frame = None
            if position < len(ticks):
                stored = np.rot90(picture(position)[:, :: -1 if mirrored else 1], rotation // 90)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="bgr24")
                frame.pts, frame.time_base = ticks[position], time_base
            for encoded in stream.encode(frame):
                encoded.duration = durations[encoded.pts or 0]
                packet = encoded if on_packet is None else on_packet(written, encoded)
                written += 1
                if packet is not None:
                    output.mux(packet)
    return path


def _encoder_options(codec: str, b_frames: int) -> dict[str, str]:
    if codec == "libx264":
        # Adaptive placement would leave B-frames out where the picture jumps, as it does in every frame here.
        return {"preset": "ultrafast", "crf": "20", "bf": str(b_frames), "b_strategy": "0"}
    if codec == "libx265":
        return {"preset": "ultrafast", "x265-params": f"bframes={b_frames}:b-adapt=0:log-level=none"}
    if codec in ("mpeg4", "mpeg2video"):
        return {"qmin": "2", "qmax": "6"}
    return {}


def _add_tone(output: av.container.OutputContainer, seconds: float) -> None:
    """A 440 Hz tone, written before the video: the muxer interleaves."""
    rate = 16_000
    stream = output.add_stream("aac", rate=rate, layout="mono")
    assert isinstance(stream, av.AudioStream)
    samples = (0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate = rate
        frame.pts = start
        output.mux(list(stream.encode(frame)))
    output.mux(list(stream.encode(None)))


def truncate(path: Path, keep: float) -> Path:
    """Cut the file at the fraction ``keep`` of its bytes.

    The container should need no index at its end: mkv, ts, avi, or MP4 written with ``+faststart``.
    """
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    return path
