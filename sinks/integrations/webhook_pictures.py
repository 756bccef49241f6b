"""Pictures in what is posted to a web server: in base64 within the events, or as files beside them."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import msgspec

from pipeline.event_codec import encode_json
from pipeline.events import Event, EvidenceReady
from sinks.integrations.evidence_pictures import read_picture

# Nothing within the text of an event looks like this, since quotation marks are escaped there.
_DATA = re.compile(rb',"data":"([A-Za-z0-9+/=]*)"\}\Z')


def encode_with_picture(event: Event, folder: Path) -> bytes:
    """An event as JSON; that of a picture has its file in base64 as ``data``, unless it can't be read or is too large.

    Args:
        event: any.
        folder: of the evidence.
    """
    encoded = encode_json(event)
    if not isinstance(event, EvidenceReady) or not event.media_type.startswith("image/"):
        return encoded
    picture = read_picture(folder, event, "webhook")
    if picture is None:
        return encoded
    return encoded[:-1] + b',"data":"' + base64.b64encode(picture) + b'"}'


def as_multipart(batch: bytes) -> tuple[str, bytes]:
    """A batch with pictures in base64 as ``multipart/form-data``, the same each time it is asked for.

    The part ``events`` is the JSON array without ``data``; each picture is a part ``picture-SEQ``, by its event.

    Args:
        batch: a JSON array of events.

    Returns:
        The content type, and the body.
    """
    boundary = f"sightline-{hashlib.sha256(batch).hexdigest()}"
    events: list[bytes] = []
    parts: list[tuple[str, bytes]] = []
    for raw in msgspec.json.decode(batch, type=list[msgspec.Raw]):
        encoded = bytes(raw)
        found = _DATA.search(encoded)
        if found is not None:
            encoded = encoded[: found.start()] + b"}"
            event = msgspec.json.decode(encoded, type=_Picture)
            name = re.sub(r"[^\w.-]", "_", event.path.rpartition("/")[2], flags=re.ASCII)
            head = f'name="picture-{event.seq}"; filename="{name}"\r\nContent-Type: {event.media_type}'
            parts.append((head, base64.b64decode(found[1])))
        events.append(encoded)
    parts.insert(0, ('name="events"\r\nContent-Type: application/json', b"[" + b",".join(events) + b"]"))
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


class _Picture(msgspec.Struct):
    seq: int
    path: str
    media_type: str
