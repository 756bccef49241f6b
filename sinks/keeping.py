"""Which files are to be deleted, so that no more are kept than was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.files import BYTES_PER_MB

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept.

    Attributes:
        age_s: what is older goes; None keeps it whatever its age.
        size: bytes beyond which the oldest go; None sets no limit.
        free: bytes that are to be free on the disk, for which the oldest go; None does not look.
    """

    age_s: float | None = None
    size: float | None = None
    free: float | None = None

    @classmethod
    def of(cls, *, days: float | None = None, mb: float | None = None, free_mb: float | None = None) -> Limits:
        """The same in days and millions of bytes."""
        return cls(
            age_s=None if days is None else days * _DAY_S,
            size=None if mb is None else mb * BYTES_PER_MB,
            free=None if free_mb is None else free_mb * BYTES_PER_MB,
        )

    def __bool__(self) -> bool:
        return self != Limits()


class KeptFile(NamedTuple):
    """A file that may be deleted: its name, its bytes, and seconds since it was written."""

    name: str
    size: int
    age_s: float


def surplus(files: Sequence[KeptFile], limits: Limits, *, free: int, beside: int = 0) -> list[KeptFile]:
    """Those that are to go, the oldest first.

    Args:
        files: in the order in which they were written.
        limits: how much is kept.
        free: bytes that are free on the disk.
        beside: bytes that count as well and are not to go.

    >>> files = [KeptFile("a", 10, 9.0), KeptFile("b", 10, 5.0), KeptFile("c", 10, 1.0)]
    >>> [file.name for file in surplus(files, Limits(size=15), free=0)]
    ['a', 'b']
    """
    left = beside + sum(file.size for file in files)
    gone: list[KeptFile] = []
    for file in files:
        old = limits.age_s is not None and file.age_s > limits.age_s
        much = limits.size is not None and left > limits.size
        full = limits.free is not None and free < limits.free
        if old or much or full:
            gone.append(file)
            left -= file.size
            free += file.size
    return gone
