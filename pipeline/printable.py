"""Names and paths as text that any output can take, whatever bytes they are made of.

A file's name is bytes. Where they are no UTF-8, Python's text has lone surrogates in their place, which no JSON, CSV or
strict terminal takes; and a name may hold line ends and the control sequences of terminals.
"""

from __future__ import annotations

import re
from os import PathLike, fspath

_SURROGATE = re.compile("[\ud800-\udfff]")
# Control characters, ends of lines, and what changes the direction of text; not the line feed.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def encodable(text: str | PathLike[str]) -> str:
    r"""The text, for data: bytes that were no UTF-8 as ``\xe9``, everything else as it is.

    >>> encodable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return _SURROGATE.sub(_escaped, fspath(text))


def readable(text: str | PathLike[str]) -> str:
    r"""The text, for a person, in one line: what can't be printed is escaped as in Python.

    >>> readable("a\nb.jpg")
    'a\\nb.jpg'
    """
    return readable_lines(fspath(text)).replace("\n", "\\n")


def readable_lines(text: str) -> str:
    """The text, for a person, where line feeds are meant: what else can't be printed is escaped as in Python."""
    return _CONTROL.sub(_escaped, encodable(text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # stands for a byte
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode() if code < 0xD800 or code > 0xDFFF else f"\\u{code:04x}"
