"""The benchmark of rules measures every frame, and something is told in it."""

from __future__ import annotations

from benchmarks.rules import measure, rules


def test_it_measures_every_condition() -> None:
    took_ms, told = measure(tracks=600, count=18, frames=60, churn=2)
    assert len(took_ms) == 60
    assert told > 0
    assert len({rule.when for rule in rules(18)}) == 9
