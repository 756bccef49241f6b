"""Where frames come from. ``open_source`` chooses by the address; each source can also be made by itself.

Every source keeps the promises of ``pipeline.types.Source``.
"""

from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.sources.file import VideoFile
from pipeline.sources.uri import clean_name, has_scheme, redact, stream_name
from pipeline.types import Source

__all__ = ["VideoFile", "clean_name", "open_source", "redact", "stream_name"]


def open_source(uri: str, *, stream: str | None = None, threads: int = 0) -> Source:
    """Open the source at ``uri``.

    Args:
        uri: path of a video file.
        stream: name of the stream; default: made from the address. White space and "/" in it become "-".
        threads: decoding threads; 0 lets FFmpeg choose from the number of cores.

    Raises:
        SourceNotFoundError: there is nothing at that path.
        SourceError: it can't be opened or holds no picture that can be decoded.
        ConfigError: an address of a kind that is not known, or a stream name that is empty.
    """
    name = clean_name(stream) if stream is not None else stream_name(uri)
    if not name:
        raise ConfigError(f"stream name {stream!r}: expected at least one character besides spaces and '/'")
    if has_scheme(uri) and not uri.startswith("file://"):
        scheme = uri.split("://", 1)[0]
        raise ConfigError(f"{redact(uri)}: can't read {scheme}:// addresses; give the path of a video file")
    return VideoFile(uri.removeprefix("file://"), stream=name, threads=threads)
