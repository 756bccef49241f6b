"""Days and hours, against what clocks show at a place, and at both changes of these clocks in a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.rules.schedule import DAYS, Schedule

BERLIN = ZoneInfo("Europe/Berlin")


def minutes_counted(schedule: Schedule, day: datetime) -> int:
    """How many minutes of a local day count, by a clock that is set to each."""
    begin = day.replace(tzinfo=BERLIN).timestamp()
    end = (day + timedelta(days=1)).replace(tzinfo=BERLIN).timestamp()
    return sum(schedule.counts_at(begin + 60 * number) for number in range(int(end - begin) // 60))


def test_clocks_that_are_put_forward_leave_an_hour_out() -> None:
    night = Schedule(hours=("22:00", "06:00"), time_zone="Europe/Berlin")
    gap = Schedule(hours=("02:00", "03:00"), time_zone="Europe/Berlin")
    changed = datetime(2026, 3, 29)
    assert minutes_counted(night, datetime(2026, 3, 28)) == 8 * 60
    assert minutes_counted(night, changed) == 7 * 60
    assert minutes_counted(gap, changed) == 0
    assert minutes_counted(Schedule(days=("sun",), time_zone="Europe/Berlin"), changed) == 23 * 60


def test_clocks_that_are_put_back_have_an_hour_twice() -> None:
    night = Schedule(hours=("22:00", "06:00"), time_zone="Europe/Berlin")
    twice = Schedule(hours=("02:00", "03:00"), time_zone="Europe/Berlin")
    changed = datetime(2026, 10, 25)
    assert minutes_counted(night, changed) == 9 * 60
    assert minutes_counted(twice, changed) == 2 * 60
    assert minutes_counted(twice, datetime(2026, 10, 26)) == 60


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    friday = Schedule(days=("fri",), hours=("22:00", "06:00"), time_zone="Europe/Berlin")

    def counts(day: int, hour: int) -> bool:
        return friday.counts_at(datetime(2026, 3, day, hour, tzinfo=BERLIN).timestamp())

    assert [counts(27, 5), counts(27, 22), counts(28, 5), counts(28, 6), counts(28, 22)] == [False, True, True] + [
        False
    ] * 2


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))


@given(
    utc_s=st.integers(1_767_225_600, 1_798_761_600),  # all of 2026
    hours=st.none() | st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]),
    days=st.none() | st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_it_is_what_the_clock_on_the_wall_says(
    utc_s: int, hours: tuple[str, str] | None, days: list[str] | None, zone: str
) -> None:
    """Whether some span that begins on one of the days, today or yesterday, holds the time that clocks show."""
    shown = datetime.fromtimestamp(utc_s, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expected = False
    for ago in (0, 1):
        day = shown.replace(hour=0, minute=0, second=0) - timedelta(days=ago)
        if days is not None and DAYS[day.weekday()] not in days:
            continue
        if hours is None:
            expected |= ago == 0
            continue
        first, end = (timedelta(hours=int(time[:2]), minutes=int(time[3:])) for time in hours)
        if end < first:
            end += timedelta(days=1)
        expected |= day + first <= shown < day + end
    assert Schedule(days=days, hours=hours, time_zone=zone).counts_at(utc_s) is expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"days": ("funday",)}, "days: got 'funday'"),
        ({"days": ()}, "days: names none"),
        ({"hours": ("6", "7:00")}, "hours: got '6'"),
        ({"hours": ("06:00", "24:30")}, "24:30"),
        ({"hours": ("06:00", "06:00")}, "same moment"),
        ({"time_zone": "Europe/Atlantis"}, "Europe/Atlantis"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
    ],
)
def test_what_there_is_not_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Schedule(**given)  # type: ignore[arg-type]


def test_a_day_may_end_at_24() -> None:
    evening = Schedule(hours=("18:00", "24:00"))
    assert evening.counts_at(datetime(2026, 1, 1, 23, 59, tzinfo=UTC).timestamp())
    assert not evening.counts_at(datetime(2026, 1, 2, tzinfo=UTC).timestamp())
