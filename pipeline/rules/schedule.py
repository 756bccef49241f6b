"""Days and hours at which a rule counts, by the clock on the wall of a place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import ConfigError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")


@dataclass(frozen=True)
class Schedule:
    """When a rule counts: on some days, between two times of the day.

    It goes by what clocks show at that place. So on the day on which they are put forward, an hour that is left out
    comes at no time, and on the day on which they are put back, one that comes twice counts twice.

    Attributes:
        days: of ``DAYS``; None for all. Hours that go past midnight belong to the day on which they begin.
        hours: ``("22:00", "06:00")``, the second no longer belonging to it; None for the whole day.
        time_zone: as in ``Europe/Berlin``.

    Raises:
        ConfigError: a day, an hour or a time zone that there is not.

    >>> night = Schedule(days=("fri",), hours=("22:00", "06:00"), time_zone="Europe/Berlin")
    >>> saturday_at_5 = datetime(2026, 3, 28, 4, tzinfo=UTC).timestamp()
    >>> night.counts_at(saturday_at_5), night.counts_at(saturday_at_5 + 3600)
    (True, False)
    """

    days: Sequence[str] | None = None
    hours: tuple[str, str] | None = None
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        for day in self.days or ():
            if day not in DAYS:
                raise ConfigError(f"days: got {day!r}, expected some of {', '.join(DAYS)}")
        if self.days is not None and not self.days:
            raise ConfigError("days: names none; leave it out for all of them")
        for hour in self.hours or ():
            if not _HOUR.fullmatch(hour):
                raise ConfigError(f"hours: got {hour!r}, expected a time such as 22:00")
        if self.hours is not None and self.hours[0] in (self.hours[1], "24:00"):
            raise ConfigError("hours: begin and end with the same moment; leave them out for the whole day")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                f"time_zone: got {self.time_zone!r}, expected the name of one, such as Europe/Berlin"
            ) from None

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def local(self, utc_s: float) -> datetime:
        """What clocks show there, with the offset that they have then."""
        return datetime.fromtimestamp(utc_s, UTC).astimezone(self._zone)

    def counts_at(self, utc_s: float) -> bool:
        """Whether a rule counts at that moment, in seconds since 1970."""
        if self.days is None and self.hours is None:
            return True
        now = self.local(utc_s)
        begun = now.date()
        if self.hours is not None:
            first, end = (_minutes(hour) for hour in self.hours)
            minute = 60 * now.hour + now.minute
            if first < end and not first <= minute < end:
                return False
            if first > end:
                if end <= minute < first:
                    return False
                if minute < end:
                    begun -= timedelta(days=1)
        return self.days is None or DAYS[begun.weekday()] in self.days


def _minutes(hour: str) -> int:
    hours, _, minutes = hour.partition(":")
    return 60 * int(hours) + int(minutes)
