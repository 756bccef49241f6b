"""What goes over the wire between a browser and the live pictures.

A browser sends JSON texts: ``{"type": "watch", "tiles": [{"stream": "door", "width": 640}]}``, which replaces what it
watched before, and ``{"type": "ack", "stream": "door"}`` for each picture that it has shown. It is sent binary
messages, each 4 bytes that say how long the header is (big endian), the header as JSON, and a JPEG; and texts that say
how the streams are: ``{"type": "state", "streams": {"door": {"state": "online", "reason": null, "frozen": false}}}``.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from pipeline.objects import class_name_of
from pipeline.types import TrackedFrame
from sightline.server.live.hub import StreamState

MAX_TILES = 64
MAX_REQUEST_CHARS = 32_768


class TileRequest(msgspec.Struct, frozen=True):
    """One picture that a browser shows, and how wide it is there, in pixels of the screen."""

    stream: Annotated[str, msgspec.Meta(max_length=200)]
    width: Annotated[int, msgspec.Meta(ge=1, le=16_384)]


class Watch(msgspec.Struct, frozen=True, tag_field="type", tag="watch"):
    """What a browser wants from now on."""

    tiles: Annotated[list[TileRequest], msgspec.Meta(max_length=MAX_TILES)]


class Acknowledgement(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """A browser has shown a stream's picture and wants the next."""

    stream: Annotated[str, msgspec.Meta(max_length=200)]


class _Header(msgspec.Struct, frozen=True):
    stream: str
    pts_s: float
    frame: int
    captured_at: float
    age_s: float
    width: int
    height: int
    source_width: int
    source_height: int
    tracks: msgspec.Raw


_requests = msgspec.json.Decoder(Watch | Acknowledgement)
_encoder = msgspec.json.Encoder()


def read_request(text: str) -> Watch | Acknowledgement:
    """A browser's message.

    Raises:
        ValueError: it is none, or longer than any needs to be.
    """
    if len(text) > MAX_REQUEST_CHARS:
        raise ValueError(f"expected at most {MAX_REQUEST_CHARS} characters")
    return _requests.decode(text)  # what it raises is a ValueError


def tracks_json(tracked: TrackedFrame, class_names: tuple[str, ...]) -> bytes:
    """The tracks of a frame: id, class, score, box in fractions of the picture, whether it was seen in this very frame,
    and, where they are known, the zones that it is in and its speed in m/s."""
    tracks, frame, facts = tracked.tracks, tracked.frame, tracked.facts
    looked = tracked.detections is not None
    rows = zip(
        tracks.track_id.tolist(),
        tracks.class_id.tolist(),
        tracks.score.tolist(),
        tracks.xyxy.tolist(),
        tracks.unseen_s.tolist(),
        strict=True,
    )
    told = []
    for row, (track_id, class_id, score, box, unseen_s) in enumerate(rows):
        sides = (frame.width, frame.height) * 2
        track: dict[str, object] = {
            "id": track_id,
            "class": class_name_of(class_names, class_id),
            "score": round(score, 3),
            "box": [round(edge / side, 5) for edge, side in zip(box, sides, strict=True)],
            "seen": not (looked and unseen_s > 0),
        }
        if facts is not None:
            speed = facts.speed_mps[row]
            track |= {"zones": facts.zones[row], "speed_mps": None if speed is None else round(speed, 2)}
        told.append(track)
    return _encoder.encode(told)


def picture_message(tracked: TrackedFrame, tracks: bytes, jpeg: bytes, size: tuple[int, int]) -> bytes:
    """The message that carries a picture, with its age now.

    Args:
        tracked: the frame.
        tracks: what ``tracks_json`` says of it.
        jpeg: the picture.
        size: its ``(width, height)`` in pixels.
    """
    frame = tracked.frame
    age_s = time.monotonic() - frame.captured_s
    header = _encoder.encode(
        _Header(
            stream=frame.stream,
            pts_s=round(frame.pts_s, 4),
            frame=frame.index,
            captured_at=round(time.time() - age_s, 3),
            age_s=round(age_s, 3),
            width=size[0],
            height=size[1],
            source_width=frame.width,
            source_height=frame.height,
            tracks=msgspec.Raw(tracks),
        )
    )
    return b"".join((len(header).to_bytes(4, "big"), header, jpeg))


def state_message(states: dict[str, StreamState]) -> str:
    """The text that says how the streams are."""
    return _encoder.encode({"type": "state", "streams": states}).decode()
