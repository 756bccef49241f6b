"""What Matroska and WebM say of their own length, where FFmpeg does not pass it on."""

from __future__ import annotations

import re
from pathlib import Path

_HEADER, _SEGMENT = 0x1A45DFA3, 0x18538067
_HEAD_BYTES = 4096


def lacks_its_end(path: Path) -> bool | None:
    """Whether the file is shorter than its segment; None where it does not say how long that is.

    A segment whose size is unknown was written to a pipe, or its recording was killed.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    header = _element(head, 0)
    if header is None or header[0] != _HEADER or header[2] is None:
        return None
    segment = _element(head, header[1] + header[2])
    if segment is None or segment[0] != _SEGMENT or segment[2] is None:
        return None
    return path.stat().st_size < segment[1] + segment[2]


def tagged_duration_s(metadata: dict[str, str]) -> float | None:
    """The statement of when one stream ends, such as ``00:01:02.345000000``, counted from the container's zero."""
    tag = next((value for key, value in metadata.items() if key.upper().startswith("DURATION")), "")
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag.strip().strip("\0"))
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _element(data: bytes, position: int) -> tuple[int, int, int | None] | None:
    """Id, where the content begins, and its size (None: unknown), of the EBML element (RFC 8794) there."""
    ident = _number(data, position, keep_marker=True)
    if ident is None:
        return None
    size = _number(data, ident[1], keep_marker=False)
    if size is None:
        return None
    unknown = size[0] == (1 << 7 * (size[1] - ident[1])) - 1
    return ident[0], size[1], None if unknown else size[0]


def _number(data: bytes, position: int, *, keep_marker: bool) -> tuple[int, int] | None:
    """An integer of variable length, and where what follows it begins."""
    if position >= len(data) or not data[position]:
        return None
    length = 9 - data[position].bit_length()
    if position + length > len(data):
        return None
    value = int.from_bytes(data[position : position + length], "big")
    return value if keep_marker else value & (1 << 7 * length) - 1, position + length
