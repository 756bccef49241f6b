"""Which of a container's streams is shown, and what the container says of it: its size, its rate, whether it ends."""

from __future__ import annotations

from fractions import Fraction

import av
from av.stream import Disposition

from pipeline.errors import SourceError
from pipeline.images.limits import MAX_PIXELS, MAX_SIDE, too_large
from pipeline.types import SourceInfo

_HIGHEST_FPS = 1000
# Lists of pieces: what they hold is not theirs, and of a live one the pictures come in bursts.
PLAYLISTS = frozenset({"hls", "dash"})


def choose_stream(container: av.container.InputContainer, uri: str) -> av.VideoStream:
    """The video stream that a player would show; a cover picture is none.

    Args:
        container: open for reading.
        uri: the address without credentials, for messages.

    Raises:
        SourceError: there is no video, no decoder for it, or its pictures are of an absurd size.
    """
    videos = [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]
    if not videos:
        others = sorted({other.type for other in container.streams})
        # Of a camera's tracks no others than video are asked for.
        held = ", only " + " and ".join(others) if others else ""
        if container.streams.video:
            held = ", only a cover picture and sound"
        raise SourceError(f"{uri}: there is no video in it{held}; give a file or stream with video")
    best = container.streams.best("video")
    video = next((video for video in videos if best is not None and video.index == best.index), videos[0])
    if video.codec_context is None:
        raise SourceError(f"{uri}: this FFmpeg has no decoder for its video; convert it to H.264 first")
    refuse_absurd_size(video.codec_context.width, video.codec_context.height, uri)
    return video


def refuse_absurd_size(width: int, height: int, uri: str) -> None:
    """Raise ``SourceError`` where pictures of that size in pixels would take more memory than there may be."""
    if too_large(width, height):
        raise SourceError(
            f"{uri}: pictures of {width}x{height} px are refused (at most {MAX_SIDE} px a side and "
            f"{MAX_PIXELS // 1_000_000} megapixels); scale the video down first"
        )


def source_info(
    container: av.container.InputContainer,
    video: av.VideoStream,
    size: tuple[int, int],
    fps: Fraction | None,
    *,
    live: bool,
    uri: str,
) -> SourceInfo:
    """What the source is, as the container states it; ``size`` is the displayed width and height in pixels."""
    width, height = size
    duration_s = None
    if video.duration and video.time_base:
        duration_s = float(video.duration * video.time_base)
    elif container.duration:
        duration_s = container.duration / 1e6
    return SourceInfo(
        width=width,
        height=height,
        fps=fps,
        frame_count=(video.frames or None) if not live else None,
        live=live,
        duration_s=duration_s if not live else None,
        uri=uri,
    )


def has_end(container: av.container.InputContainer) -> bool:
    """Whether its duration or its size is known.

    The size of a playlist says nothing of the stream. Motion JPEG in parts is a camera's, whatever length it claims.
    """
    name = container.format.name
    return name != "mpjpeg" and (bool(container.duration) or (name not in PLAYLISTS and container.size > 0))


def is_opaque(container: av.container.InputContainer, video: av.VideoStream) -> bool:
    """Whether a fourth channel is padding: FFmpeg takes that of uncompressed 32-bit AVI for transparency."""
    return container.format.name == "avi" and video.codec_context.name == "rawvideo"


def frame_rate(video: av.VideoStream) -> Fraction | None:
    """Frames per second: the average the container states, else FFmpeg's guess, else None."""
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate and 0 < rate <= _HIGHEST_FPS:
            return Fraction(rate)
    return None
