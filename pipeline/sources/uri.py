"""The stream names that are made from addresses and paths."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote

from pipeline.redaction import has_scheme, redact, redact_address
from pipeline.stream_names import plain_name

__all__ = ["clean_name", "has_scheme", "local_path", "redact", "stream_name"]

_CAMERA = re.compile(r"webcam:\d+|/dev/video\d+")


def stream_name(source: str) -> str:
    """A name for a stream that was given none: letters and digits of any script, "_" and "-", and no password.

    Of a file it is the name without its ending; of an address the last part of the path, where that is a plain word, or
    the host and what may be shown of the last part.

    >>> stream_name("clips/traffic mini.mp4"), stream_name("rtsp://admin:secret@10.0.0.7:554/stream1?x=1")
    ('traffic-mini', 'stream1')
    >>> stream_name("rtsp://10.0.0.7/user=admin&password=secret&channel=2")
    '10-0-0-7-channel-2'
    """
    if not has_scheme(source):
        return _name(PurePath(redact(source)).stem)
    place = redact_address(source).partition("://")[2]
    host, _, path = place.partition("/")
    host = re.split(r"[?#]", re.sub(r":\d*$", "", host))[0]
    path = path.rstrip("/")
    if "=" in path.partition("?")[0]:
        shown = [part for part in re.split(r"[/&;?]", path) if "=" in part and "***" not in part]
        return _name("-".join([host, *shown]))
    last = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    return _name(PurePath(last).stem if last and "***" not in last else host)


def _name(text: str) -> str:
    return plain_name(text) or "stream"


def local_path(uri: str) -> str | None:
    """The path that a source's address means on this machine; None for cameras and the network.

    >>> local_path("file:///clips/two%20bikes.mp4")
    '/clips/two bikes.mp4'
    """
    if _CAMERA.fullmatch(uri):
        return None
    if not has_scheme(uri):
        return uri
    scheme, _, path = uri.partition("://")
    return unquote(path) if scheme.lower() == "file" else None


def clean_name(text: str) -> str:
    """``text`` with what a stream's name can't hold ("/", white space, what can't be printed) turned into "-".

    >>> clean_name("gate / north\u200b")
    'gate-north'
    """
    printable = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"[\s/\\]+", "-", printable).strip("-")
