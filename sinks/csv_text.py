"""Rows as CSV that a spreadsheet only shows and never runs.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line's end for a formula, and a file,
a stream or a class may be called so. Such a text is written with an apostrophe before it, as OWASP advises ("CSV
Injection"); numbers are written as they are, the negative ones too. A text that has apostrophes and then such a
character gets one more, so that ``read_text`` gives every text back.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

# The last four are the wide forms that spreadsheets of East Asia take for the same. Spaces before are skipped by some.
_FORMULA = re.compile(r"[\s']*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV, one row each, with LF at their ends; None is an empty cell.

    Args:
        rows: texts, numbers and None; a number is written as ``str`` gives it.

    >>> print(csv_text([("=1+1", -1, None)]), end="")
    '=1+1,-1,
    """
    lines: list[str] = []
    # Python before 3.13 quotes a carriage return within a text only where lines end in one.
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def read_text(cell: str) -> str:
    """The text that ``csv_text`` wrote as this cell.

    >>> read_text("'=1+1"), read_text("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
