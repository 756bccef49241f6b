"""What a user may have meant by a word that is not known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

_MOST = 3
_SHORTEST_PART = 3  # one or two letters are in nearly every word


def similar_words(word: str, known: Iterable[str], *, similarity: float = 0.6) -> list[str]:
    """The known words most like this one, at most three, the nearest first; capitals don't matter.

    Alike is what difflib says (Ratcliff and Obershelp's matching), and what has all of the word's parts in it: letter
    by letter ``tiny`` and ``yolov3-tiny`` are far from ``tiny-yolov3``, and are meant for it nevertheless.

    Args:
        word: as the user wrote it.
        known: what could have been written.
        similarity: from which two words are alike, from 0 for any to 1 for the same.

    >>> similar_words("persn", ["person", "car"]), similar_words("Tiny", ["yolov3", "tiny-yolov3"])
    (['person'], ['tiny-yolov3'])
    """
    plain = word.lower()
    of_lowered = {candidate.lower(): candidate for candidate in reversed([*known])}
    near = difflib.get_close_matches(plain, of_lowered, n=_MOST, cutoff=similarity)
    parts = re.split(r"[-_. ]+", plain)
    if max(map(len, parts)) >= _SHORTEST_PART:
        near += [c for c in reversed(of_lowered) if c not in near and all(part in c for part in parts)]
    return [of_lowered[candidate] for candidate in near[:_MOST]]


def did_you_mean(word: str, known: Iterable[str], *, show: Callable[[str], str] = str) -> str:
    """``"did you mean X or Y?"`` for a word that is not known; empty where nothing is like it.

    Args:
        word: as the user wrote it.
        known: what could have been written.
        show: how a known word is written in the answer, such as ``repr`` for words that hold spaces.

    >>> did_you_mean("persn", ["person", "car"]), did_you_mean("xyz", ["person", "car"])
    ('did you mean person?', '')
    """
    near = similar_words(word, known)
    return f"did you mean {' or '.join(map(show, near))}?" if near else ""
