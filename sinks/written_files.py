"""The record of what was written to a folder, and how long ago by a clock that nobody sets.

What is to be deleted for its age, or as the oldest, must not depend on dates: a machine's clock may be years off, be
set ahead or back, and tell the same time twice. So each file is noted in a hidden file beside it, in the order of
writing, with the time since the first entry. That time goes on by the clock that counts from the machine's start, and
so also between two runs; while the machine is off it stands still, since only the clock that may be wrong could tell
how long.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)

# Of an earlier year a date can only come from a clock that has never been set.
_EARLIEST_S = 1_577_836_800.0  # 2020
# How much of the time since the newest file of an unknown age is believed, at most.
_LATEST_S = 3600.0
_SPARE_LINES = 50

Clock = Callable[[], tuple[str, float]]


class _Entry(msgspec.Struct, frozen=True):
    """A line: a file is begun, or complete, at that time since the first entry.

    Attributes:
        boot, boot_s: which start of the machine it was, and how long before.
    """

    name: str
    done: bool
    time_s: float
    boot: str
    boot_s: float


_LINE = msgspec.json.Decoder(_Entry)


def boot_clock() -> tuple[str, float]:
    """Which start of the machine this is, and the seconds since then, those of its sleep included."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return _boot(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return _boot(), time.monotonic()


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"process {os.getpid()} {time.monotonic()}"  # no other run knows how long ago this one was


def ages_by_dates(dates_s: Sequence[float], now_s: float, keep_s: float | None) -> list[float | None]:
    """How old things without a record are, in seconds, as far as their dates tell; None where a date can't be right.

    That is one from the future, of a clock that was never set, or later than that of something written afterwards. The
    age adds up from the last to the first. Of the time since the last one an hour is believed, at most, and half of
    ``keep_s``; a gap that is longer than ``keep_s`` may be a clock that was set, and counts for nothing.

    Args:
        dates_s: in the order of writing, in seconds since 1970; so is ``now_s``.
        keep_s: age at which things are to go; None for none.
    """
    ages: list[float | None] = []
    age_s, next_s = 0.0, now_s
    for date_s in reversed(dates_s):
        if not _EARLIEST_S <= date_s <= next_s:
            ages.append(None)
            continue
        gap_s = next_s - date_s
        if age_s == 0.0 and next_s == now_s:
            age_s = min(gap_s, _LATEST_S, (keep_s or 2 * _LATEST_S) / 2)
        elif keep_s is None or gap_s <= keep_s:
            age_s += gap_s
        next_s = date_s
        ages.append(age_s)
    return ages[::-1]


class WrittenFiles:
    """A record of files. One thread uses it; several processes may, each for files of its own.

    A record that can't be written for a while is held in memory, and written later.

    Args:
        path: of the record itself.
        clock: tells which start of the machine this is, and the seconds since then.
    """

    def __init__(self, path: Path, *, clock: Clock = boot_clock) -> None:
        self._path = path
        self._clock = clock
        self._entries: list[_Entry] = []
        self._own: dict[str, _Entry] = {}
        self._unsaved: list[_Entry] = []
        self._known: tuple[int, int, int] | None = None  # device, inode and size of the record when it was read

    @property
    def present(self) -> bool:
        """Whether there is such a record."""
        self._read()
        return bool(self._entries)

    @property
    def names(self) -> set[str]:
        """The files on record, whether they are there or not."""
        self._read()
        return {entry.name for entry in self._entries}

    @property
    def size(self) -> int:
        """Bytes of the record itself."""
        return 0 if self._known is None else max(0, self._known[2])

    def add(self, name: str, *, done: bool) -> None:
        """A file is begun, or complete now. An error in writing it down is logged; it is tried again the next time."""
        self._read()
        self._note(name, self._now_s(), done=done)
        self._save()

    def adopt(self, files: Iterable[tuple[str, float]], *, now_s: float, keep_s: float | None) -> None:
        """Begin a record of files that are there, with names and dates in seconds since 1970, as far as those tell.

        Those whose dates can't be right, since they lie ahead or where no clock was set, count as older than the others
        for their order, and as just written for their age; that of the others see in ``ages_by_dates``. It is written
        down with the first file that is added.
        """
        dated = sorted(files, key=lambda file: (_EARLIEST_S <= file[1] <= now_s, file[1], file[0]))
        ages = ages_by_dates([date_s for _, date_s in dated], now_s, keep_s)
        for (name, _), age_s in zip(dated, ages, strict=True):
            self._note(name, -(age_s or 0.0), done=True)

    def ages(self, names: Collection[str]) -> dict[str, float]:
        """How long ago the files that are on record were complete, in seconds, the first written first.

        Args:
            names: of the files that are there; others are forgotten.
        """
        self._read()
        now_s = self._now_s()
        complete: dict[str, float] = {}
        in_hand: set[str] = set()
        for entry in self._entries:
            # What was never completed was being written until the next one was begun, at most.
            if not entry.done:
                complete.update(dict.fromkeys(in_hand, entry.time_s))
                in_hand.clear()
                in_hand.add(entry.name)
                complete.pop(entry.name, None)  # of a file that is gone, and had the same name
            else:
                in_hand.discard(entry.name)
            complete[entry.name] = entry.time_s
        complete.update(dict.fromkeys(in_hand, now_s))
        self._own = {name: entry for name, entry in self._own.items() if name in names}
        if len(self._entries) > 4 * len(names) + _SPARE_LINES:
            self._compact(names)
        return {name: now_s - time_s for name, time_s in complete.items() if name in names}

    def _now_s(self) -> float:
        boot, boot_s = self._clock()
        if not self._entries:
            return 0.0
        last = self._entries[-1]
        return last.time_s + (max(0.0, boot_s - last.boot_s) if last.boot == boot else 0.0)

    def _note(self, name: str, time_s: float, *, done: bool) -> None:
        now_s, (boot, boot_s) = self._now_s(), self._clock()
        entry = _Entry(name, done, time_s, boot, boot_s + time_s - now_s)
        self._entries.append(entry)
        self._unsaved.append(entry)
        self._own[name] = entry

    def _read(self) -> None:
        try:
            status = self._path.stat()
            known = (status.st_dev, status.st_ino, status.st_size)
            if known == self._known:
                return
            lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return  # what is in memory goes on
        entries = [entry for line in lines if (entry := _decoded(line)) is not None]
        if (
            self._known is not None and self._known[:2] != known[:2]
        ):  # it is another file: nothing of ours may be missing
            there = {entry.name for entry in entries}
            self._unsaved = [entry for name, entry in self._own.items() if name not in there]
        self._known = known
        self._entries = [*entries, *self._unsaved]

    def _save(self) -> None:
        known = self._known
        try:
            fresh = not self._path.exists()
            if fresh and known is not None:  # it was deleted: what is in memory is all there is
                self._unsaved = list(self._entries)
            lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in self._unsaved)
            with self._path.open("ab") as file:
                file.write(lines if fresh else b"\n" + lines)  # the last line may be torn
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
        except OSError as error:
            logger.debug("cannot write %s yet: %s", self._path, error.strerror)
            return
        alone = fresh or (known is not None and status.st_size == known[2] + 1 + len(lines))
        # What another process has added meanwhile is read the next time.
        self._known = (status.st_dev, status.st_ino, status.st_size if alone else -1)
        self._unsaved = []

    def _compact(self, names: Collection[str]) -> None:
        """Write the record anew without the files that are gone."""
        # The last entry stays: the time goes on from there.
        self._entries = [entry for entry in self._entries[:-1] if entry.name in names] + self._entries[-1:]
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            fresh.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in self._entries))
            fresh.replace(self._path)
            status = self._path.stat()
        except OSError as error:
            logger.debug("cannot write %s anew: %s", self._path, error.strerror)
            return
        self._known = (status.st_dev, status.st_ino, status.st_size)
        self._unsaved = []


def _decoded(line: bytes) -> _Entry | None:
    try:
        return _LINE.decode(line) if line else None
    except msgspec.DecodeError:
        return None  # torn by a loss of power
