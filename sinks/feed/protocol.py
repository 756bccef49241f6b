"""What a feed and its readers say to each other besides events: requests, replies, and how payloads are read.

The publisher's second socket is a ROUTER. A request is one frame of JSON; a reply is a frame of JSON, the header,
followed by events in the feed's own encoding. Every request has one reply at most, of bounded size, and asking twice
does no harm, so a reader that hears nothing asks again.

==========  ===========================================  ==========================================================
request     fields                                       reply
==========  ===========================================  ==========================================================
snapshot                                                 ``snapshot`` and one ``feed.snapshot``
replay      ``run``, ``after``, ``through`` (``seq``s)   ``replay`` and the events after ``after``, in order; perhaps
                                                         only the first of them, so the rest has to be asked for again
done        ``run``, ``seq``                             none; says that the reader has everything up to ``seq``
==========  ===========================================  ==========================================================

A publisher that is about to close sends ``final`` to the readers that asked it for something, and waits a moment for
their ``done``.
"""

from __future__ import annotations

import time

import msgspec

from pipeline.event_codec import decode_json, decode_msgpack, wall_time
from pipeline.events import Event

MAX_REQUEST_BYTES = 4096
MAX_REPLY_EVENTS = 5000
MAX_REPLY_BYTES = 1024 * 1024
HEARTBEAT_TOPIC = b"/heartbeat/"


class SnapshotRequest(msgspec.Struct, frozen=True, tag_field="request", tag="snapshot"):
    """What is the state now?"""


class ReplayRequest(msgspec.Struct, frozen=True, tag_field="request", tag="replay"):
    """Which events were published with ``after < seq <= through``?"""

    run: str
    after: int
    through: int


class DoneRequest(msgspec.Struct, frozen=True, tag_field="request", tag="done"):
    """This reader needs nothing more of the run."""

    run: str
    seq: int


Request = SnapshotRequest | ReplayRequest | DoneRequest


class SnapshotReply(msgspec.Struct, frozen=True, tag_field="reply", tag="snapshot"):
    """A ``feed.snapshot`` follows.

    Attributes:
        run, seq: the run, and the last ``seq`` published so far.
        age_s: seconds since the publisher began this run; tells a reader whether it was there first.
    """

    run: str
    seq: int
    age_s: float


class ReplayReply(msgspec.Struct, frozen=True, tag_field="reply", tag="replay"):
    """Events follow, in order and without gaps between them.

    Attributes:
        run: the run that the publisher is in; when the request named another, no event follows.
        after: as asked.
        previous: ``seq`` of the event published just before the first that follows. When it is greater than ``after``,
            the publisher no longer holds what lies between.
        seq: the last ``seq`` published so far.
    """

    run: str
    after: int
    previous: int
    seq: int


class FinalReply(msgspec.Struct, frozen=True, tag_field="reply", tag="final"):
    """The publisher is about to close; ``seq`` is the last it published."""

    run: str
    seq: int


Reply = SnapshotReply | ReplayReply | FinalReply

encode_message = msgspec.json.Encoder().encode
_REQUEST = msgspec.json.Decoder(Request)
_REPLY = msgspec.json.Decoder(Reply)


def decode_request(data: bytes) -> Request:
    """Read a request; raises ``msgspec.DecodeError`` for anything else."""
    request: Request = _REQUEST.decode(data)
    return request


def decode_reply(data: bytes) -> Reply:
    """Read the header of a reply; raises ``msgspec.DecodeError`` for anything else."""
    reply: Reply = _REPLY.decode(data)
    return reply


class _Numbers(msgspec.Struct):
    run: str
    seq: int


_JSON_NUMBERS = msgspec.json.Decoder(_Numbers)
_MSGPACK_NUMBERS = msgspec.msgpack.Decoder(_Numbers)


def read_event(payload: bytes) -> tuple[str, int, Event | None]:
    """``run``, ``seq`` and the event, which is None for types that this version does not know.

    The encoding shows in the first byte: a JSON object starts with ``{``, which no MessagePack map does.

    Raises:
        msgspec.DecodeError: it is no event.
    """
    json = payload[:1] == b"{"
    event = decode_json(payload) if json else decode_msgpack(payload)
    if event is not None:
        return event.run, event.seq, event
    numbers = _JSON_NUMBERS.decode(payload) if json else _MSGPACK_NUMBERS.decode(payload)
    return numbers.run, numbers.seq, None


def utc_now() -> str:
    """Now, as events write it: UTC, ISO 8601 with milliseconds and ``Z``."""
    return wall_time(time.time())
