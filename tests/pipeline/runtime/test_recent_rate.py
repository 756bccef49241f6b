"""Rates over the last seconds, exact to the count, whoever asks and whenever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.recent_rate import RecentRate


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50)), max_size=60), st.integers(0, 1500))
def test_the_rate_is_what_happened_over_the_span_it_names(steps: list[tuple[int, int]], then_cs: int) -> None:
    rate = RecentRate(0.0, 10.0)
    happened, now_cs = [], 0
    for wait_cs, count in steps:
        now_cs += wait_cs
        rate.add(now_cs / 100, count)
        happened.append((now_cs, count))
    now_cs += then_cs
    span_s = rate.span_s(now_cs / 100)
    assert span_s <= 10.0
    assert span_s == pytest.approx(min(now_cs / 100, 10), abs=0.5)
    since_cs = now_cs - round(100 * span_s)
    expected = sum(count for at_cs, count in happened if at_cs >= since_cs)
    assert rate.rate(now_cs / 100) * span_s == pytest.approx(expected if span_s else 0)


def test_memory_is_bounded() -> None:
    rate = RecentRate(0.0, 10.0)
    for frame in range(10_000):
        rate.add(frame / 25)
    assert len(rate._parts) <= 20
    assert rate.rate(400) == pytest.approx(25, rel=0.01)
    assert rate.rate(411) == 0.0


def test_a_ledger_tells_how_fast_frames_come_and_go() -> None:
    ledger = FrameLedger()
    ledger.decoded(50)
    ledger.processed(20)
    rates = ledger.rates()
    assert 0 < rates.span_s <= 10
    assert rates.decoded == pytest.approx(2.5 * rates.processed)
    assert rates.decoded > 5
