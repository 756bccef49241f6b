"""How many files are kept, and which are too many."""

from __future__ import annotations

from dataclasses import dataclass

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


class Room:
    """What there is while files are deleted one after the other, the oldest first, until no more are too many.

    Args:
        limits: how much is kept.
        kept: bytes of all that counts.
        free: bytes that are free on the disk.

    >>> room, kept = Room(Limits(size=15), kept=30, free=0), []
    >>> for name, size, age_s in [("a", 10, 9.0), ("b", 10, 5.0), ("c", 10, 1.0)]:
    ...     if room.is_short(age_s):
    ...         room.gain(size)
    ...     else:
    ...         kept.append(name)
    >>> kept
    ['c']
    """

    def __init__(self, limits: Limits, *, kept: int, free: int) -> None:
        self.kept = kept
        self._limits = limits
        self._free = free

    def is_short(self, age_s: float) -> bool:
        """Whether a file of that age is to go, since it is too old, or to make room for others."""
        limits = self._limits
        old = limits.age_s is not None and age_s > limits.age_s
        much = limits.size is not None and self.kept > limits.size
        full = limits.free is not None and self._free < limits.free
        return old or much or full

    def gain(self, size: int) -> None:
        """A file of so many bytes was deleted."""
        self.kept -= size
        self._free += size
