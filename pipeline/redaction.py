"""What may be shown of an address, and of text that holds some: the only place that knows.

Owners write passwords as they are, with "/", "?", "#" and "@" in them, so RFC 3986 alone can't tell where one ends.
What is connected to and what is shown come from the same reading:

    what stands before the path      read as
    an IP address or localhost       a host: an "@" behind it is part of the path
    ``user:12ab/c@host``             a user and a password, for ``12ab`` is no port
    ``user:12/c@host``               nobody can tell: shown as if it were a password, connected to only where one of the
                                     two looks like a host and the other does not

Of parameters, in a query or in a path (``/user=admin&password=...``), only those are shown that are known to be
harmless and those whose value is a short number: signed addresses and any maker's parameters need no list of theirs.
A secret that is a plain part of a path can't be told from one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import unquote

Shown = TypeVar("Shown")

_HIDDEN = "***"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_BEGIN = re.compile(rf"({_SCHEME})://")
# One slash, as pathlib leaves of two, and what programs that carry addresses in addresses make of it.
_ANY_BEGIN = re.compile(
    rf"{_SCHEME}://|\b(?:rtsp|rtmp|http|mqtt|ws|ftp)s?:/(?!/)|(?:{_SCHEME})?%3A%2F%2F", re.IGNORECASE
)
_CERTAIN_HOST = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+(?:%[^\]]+)?\]|localhost)(?::\d{1,5})?")
_DOTTED_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d{1,5})?")
_PORT = re.compile(r"\d{1,5}")

_PARAMETER = re.compile(r"([^/?&;#=]*?)(?:=|%3[Dd])")
_BARE = re.compile(r"(?<=[?&;])[^&;=?]+(?=[&;]|$)")
_HARMLESS_WORDS = frozenset({"real_stream", "enablesrtp", "tcp", "udp", "unicast", "multicast"})
# fmt: off
_HARMLESS_KEYS = frozenset({
    "audio", "audiocodec", "bitrate", "cam", "camera", "ch", "chan", "channel", "channels", "chn", "codec",
    "compression", "format", "fps", "framerate", "height", "index", "inst", "line", "mode", "profile", "proto",
    "protocol", "quality", "rate", "res", "resolution", "size", "stream", "stream_type", "streamtype", "substream",
    "subtype", "track", "trackid", "transport", "transportmode", "type", "video", "videocodec", "view", "width",
})
# fmt: on
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9.,:*_-]{0,32}")
_SHORT_NUMBER = re.compile(r"\d{1,4}")
_SECRET_KEY = re.compile(
    r"pass|pwd|psw|pas$|secret|token|sig|auth|key|login|user|usr|account|credential|session|code|pin$|otp|jwt|hash|"
    r"^(?:p|pw|u|un|uid|sid)$"
)
# JSON web tokens, and what only a machine writes so.
_TOKEN_SEGMENT = re.compile(
    r"(?<=/)(?:eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*|(?=[^/?&;]*\d)(?=[^/?&;]*[A-Za-z])[A-Za-z0-9+=]{32,})(?=[/?&;]|$)"
)

# In text that is no address.
_SCHEME_FORGOTTEN = re.compile(r"^[^\s/@:]+:[^\n]*@(?=[\w\[])")
_PLAIN_USER = re.compile(r"(?<![^\s'\"(=/,])[^\s'\"/:@]{1,64}:[^\s@]*[^\s@/]@(?=[\w\[])")
_PLAIN_PARAMETER = re.compile(
    r"([\w.-]*(?:password|passwd|pwd|passphrase|token|secret|signature|api_?key)\w*(?<!_env)\s*=\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s&;,]+)",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(?i)(?:password|passwd|passphrase|pwd|token|secret|credentials?|api_?key)$")
_AUTHORIZATION = re.compile(r"((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:\w+ )?[^\s'\"]+", re.IGNORECASE)


def has_scheme(text: str) -> bool:
    """Whether ``text`` is of the form ``scheme://...``, not a path."""
    return _BEGIN.match(text) is not None


def redact_address(text: str) -> str:
    """What may be shown of an address: no user name, no password, no parameter that may be one.

    Host and path stay. Paths of files stay as they are, other text is treated by ``redact``.

    >>> redact_address("rtsp://admin:my pass/word@10.0.0.7/user=a&password=b&channel=1")
    'rtsp://10.0.0.7/user=***&password=***&channel=1'
    """
    begin = _BEGIN.match(text)
    if begin is not None:
        return begin[0] + _shown(text[begin.end() :])
    return _SCHEME_FORGOTTEN.sub("", redact(text))


def redact(text: str) -> str:
    """``text`` with all addresses in it, and other places where passwords stand, as they may be shown.

    An address ends at white space, or at the quotation mark before it; what is known to be one is for
    ``redact_address``.

    >>> redact("rtsp://admin:secret@10.0.0.7/stream?token=abc&channel=1: connection refused")
    'rtsp://10.0.0.7/stream?token=***&channel=1: connection refused'
    """
    shown, position = "", 0
    while begin := _ANY_BEGIN.search(text, position):
        mark = text[begin.start() - 1 : begin.start()]
        closing = re.compile(rf"(?<!\\){mark}" if mark in ("'", '"') else r"\s|$").search(text, begin.end())
        end = len(text) if closing is None else closing.start()
        rest = text[begin.end() : end]
        # A full stop or a colon behind an address belongs to the sentence.
        punctuation = re.search(r"[:,.;)\]]*$", rest)
        assert punctuation is not None
        shown += _redact_words(text[position : begin.start()]) + begin[0]
        shown += _shown(rest[: punctuation.start()], encoded="%" in begin[0]) + punctuation[0]
        position = end
    return shown + _redact_words(text[position:])


def redact_missing_path(path: str) -> str:
    """A path where nothing is: it may be an address whose ``scheme://`` was forgotten."""
    return _shown(path) if not has_scheme(path) and re.search(r"[=@]|/eyJ", path) else redact_address(path)


def redact_data(value: object) -> object:
    """Nested mappings and lists with all text as it may be shown, and nothing under keys such as ``password``."""
    if isinstance(value, str):
        return redact_address(value)
    if isinstance(value, Mapping):
        return {redact_address(str(key)): redact_parameter(str(key), redact_data(each)) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [redact_data(each) for each in value]
    return value


def redact_parameter(key: str, value: Shown) -> Shown | str:
    """``value``, or ``***`` where the last part of its dotted ``key`` says that it is secret."""
    return _HIDDEN if _SECRET_NAME.search(key.rpartition(".")[2]) else value


def environment_variable(name: str) -> str:
    """``environment variable NAME``, for messages; without a name that may be the secret itself, given in its place."""
    return (
        f"environment variable {name}"
        if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", name)
        else "its environment variable"
    )


def _redact_words(text: str) -> str:
    text = _AUTHORIZATION.sub(rf"\1{_HIDDEN}", _PLAIN_USER.sub("", text))
    return _PLAIN_PARAMETER.sub(rf"\1{_HIDDEN}", text)


def _shown(rest: str, *, encoded: bool = False) -> str:
    """What may be shown of what follows ``scheme://``."""
    if encoded:
        # An address within an address, whose own marks are written as %XX.
        return re.sub(r"(?i)^.*%40|(?<=%3D).*|(?<=%3F).*", lambda cut: "" if cut.start() == 0 else _HIDDEN, rest)
    rest = rest[login_end(rest, cautious=True) :]
    host = re.match(r"[^/?#]*", rest)
    assert host is not None
    return host[0] + _shown_tail(rest[host.end() :])


def _shown_tail(tail: str) -> str:
    inner = _ANY_BEGIN.search(tail)
    if inner is not None and "=" not in tail[: inner.start()]:
        return _shown_tail(tail[: inner.start()]) + inner[0] + _shown(tail[inner.end() :], encoded="%" in inner[0])
    shown, position = "", 0
    while found := _PARAMETER.search(tail, position):
        value_end = re.compile(r"[&;]|$").search(tail, found.end())
        assert value_end is not None
        value = tail[found.end() : value_end.start()]
        key = unquote(found[1]).lower()
        shown += _shown_words(tail[position : found.start()]) + found[0] + _shown_value(key, value)
        position = value_end.start()
    return shown + _shown_words(tail[position:])


def _shown_words(text: str) -> str:
    """What holds no parameters: a path, and words of a query without a value."""
    text = _TOKEN_SEGMENT.sub(_HIDDEN, text)
    return _BARE.sub(lambda bare: bare[0] if bare[0].lower() in _HARMLESS_WORDS or len(bare[0]) < 2 else _HIDDEN, text)


def _shown_value(key: str, value: str) -> str:
    # A path before the query may end in a parameter: "stream=0.sdp?...".
    first, question, query = value.partition("?")
    harmless = key in _HARMLESS_KEYS and _HARMLESS_VALUE.fullmatch(first)
    if not harmless and (_SECRET_KEY.search(key) or not _SHORT_NUMBER.fullmatch(first)):
        return _HIDDEN if value else ""
    return first + _shown_tail(question + query)


def login_end(rest: str, *, cautious: bool = False) -> int | None:
    """How much of what follows ``scheme://`` is user name and password, with the "@".

    ``cautious`` takes the most that they may be where that is not certain; without, what nobody can tell is None.
    """
    last = rest.rfind("@") + 1
    authority = re.match(r"[^/?#]*", rest)
    assert authority is not None
    inner = authority[0].rfind("@") + 1
    if inner == last:
        return last  # all are agreed, also that there is none
    before, host, last_host = authority[0], authority[0][inner:], rest[last:]
    if not inner and ":" not in before:
        return 0  # an "@" in the path
    if _CERTAIN_HOST.fullmatch(host):
        return inner
    if not inner and not _is_port(before.partition(":")[2]):
        return last
    if cautious:
        return last
    named = re.match(r"[^/?#]*", last_host)
    if named is not None and _CERTAIN_HOST.fullmatch(named[0]):
        return last
    dotted, last_dotted = (bool(_DOTTED_HOST.fullmatch(each)) for each in (host, named[0] if named else ""))
    if dotted == last_dotted:
        return inner if dotted else None
    return inner if dotted else last


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= 65535
