"""Addresses of sources: what may be shown of them, and the stream names made from them."""

from __future__ import annotations

import re
from pathlib import PurePath

# Credentials reach to the last "@": a password may hold "@", "/" and "?" where its owner did not encode them. That also
# cuts an "@" in the path behind a port number, which no rule can tell from a password; cutting too much is the safer
# mistake.
_USER_INFO = re.compile(r"(?<=://)(?:[^/?#\s]*@|[^/?#\s:@]*:\S*@)(?:\S*@)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET_PARAMETERS = re.compile(
    r"(?i)([?&;/_](?:[a-z_-]*(?:password|passwd|token|secret|signature|api_?key)|pwd|pass|auth|key|sig|user|username|usr)=)[^&;#/\s]*"
)


def redact(uri: str) -> str:
    """``uri`` without user name, password and secret-looking query parameters; also for texts that contain URIs.

    >>> redact("rtsp://admin:secret@10.0.0.7/stream?token=abc&channel=1")
    'rtsp://10.0.0.7/stream?token=***&channel=1'
    """
    return _SECRET_PARAMETERS.sub(r"\1***", _USER_INFO.sub("", uri))


def has_scheme(uri: str) -> bool:
    """Whether ``uri`` is of the form ``scheme://...``, not a path."""
    return _SCHEME.match(uri) is not None


def stream_name(uri: str) -> str:
    """A name for the stream from its address: a file's stem, a URL's host and path; without "/" and white space."""
    if has_scheme(uri):
        shown = re.split(r"[?#]", redact(uri), maxsplit=1)[0]
        text = _SCHEME.sub("", shown)
    else:
        text = PurePath(uri).stem
    return clean_name(text) or "stream"


def clean_name(text: str) -> str:
    """``text`` with what a stream's name can't hold ("/", white space, what can't be printed) turned into "-"."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"[\s/\\]+", "-", printable).strip("-")
