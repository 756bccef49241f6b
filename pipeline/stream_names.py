"""What a stream may be called: a name that is a safe part of a file's name, whatever script it is written in."""

from __future__ import annotations

import unicodedata

LONGEST = 64
"""Characters of a name at most."""

LONGEST_BYTES = 128
"""Bytes of a name in UTF-8 at most: a file's name has room for 255, and times and endings are added to it."""


def plain_name(text: str) -> str:
    """The text as a stream's name: letters and digits of any script, "_" and "-"; what else is in it becomes "-".

    It is cut to ``LONGEST`` characters and ``LONGEST_BYTES`` bytes, between letters, and empty where nothing is left.

    >>> plain_name("カメラ 1 (вход)")
    'カメラ-1-вход'
    """
    kept = "".join(char if _is_plain(char) else " " for char in unicodedata.normalize("NFC", text))
    name = "-".join(kept.split())
    while name and not _may_begin(name):
        name = name[1:]
    return cut(name, LONGEST_BYTES, LONGEST).rstrip("-_")


def is_plain_name(text: str) -> bool:
    """Whether the text can be a stream's name as it is: it begins with a letter or a digit and is not too long."""
    return bool(text) and all(map(_is_plain, text)) and _may_begin(text) and text == cut(text, LONGEST_BYTES, LONGEST)


def cut(text: str, most_bytes: int, most: int | None = None) -> str:
    """The beginning of a text that has at most so many bytes in UTF-8 and so many characters.

    A letter is not parted from its accents.
    """
    rest = text[:most]
    while len(rest.encode("utf-8", "surrogatepass")) > most_bytes:
        rest = rest[:-1]
    if len(rest) < len(text) and unicodedata.combining(text[len(rest)]):
        while rest and unicodedata.combining(rest[-1]):
            rest = rest[:-1]
        rest = rest[:-1]
    return rest


def _may_begin(name: str) -> bool:
    return unicodedata.category(name[0])[0] in "LN"


def _is_plain(char: str) -> bool:
    # Letters, the marks that some scripts write vowels with, and digits.
    return char in "_-" or unicodedata.category(char)[0] in "LMN"
