"""The account of frames."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import FrameCounts as Snapshot
from pipeline.runtime.frame_ledger import FrameLedger, in_flight

counts = st.integers(0, 1000)
reasons = st.dictionaries(st.sampled_from(["stale", "interrupted", "corrupt"]), counts, max_size=3)


@given(processed=counts, dropped=reasons, failed=reasons, in_the_works=counts)
def test_balances_exactly_when_nothing_is_in_flight(
    processed: int, dropped: dict[str, int], failed: dict[str, int], in_the_works: int
) -> None:
    ledger = FrameLedger()
    ledger.decoded(processed + sum(dropped.values()) + sum(failed.values()) + in_the_works)
    ledger.processed(processed)
    for reason, count in dropped.items():
        ledger.dropped(reason, count)
    for reason, count in failed.items():
        ledger.failed(reason, count)
    assert ledger.in_flight == in_the_works
    assert ledger.snapshot() == Snapshot(
        decoded=processed + sum(dropped.values()) + sum(failed.values()) + in_the_works,
        processed=processed,
        dropped={reason: count for reason, count in dropped.items() if count},
        failed={reason: count for reason, count in failed.items() if count},
    )


def test_check_tells_by_how_much_it_is_off() -> None:
    ledger = FrameLedger()
    ledger.check()
    ledger.decoded(3)
    ledger.processed()
    ledger.dropped("stale")
    with pytest.raises(RuntimeError, match=r"decoded 3 = processed 1 \+ dropped {'stale': 1} \+ failed {} is off by 1"):
        ledger.check()
    ledger.failed("corrupt", 2)
    with pytest.raises(RuntimeError, match="off by -1"):
        ledger.check()


def test_a_snapshot_does_not_change() -> None:
    ledger = FrameLedger()
    ledger.decoded()
    before = ledger.snapshot()
    ledger.dropped("stale")
    assert before == Snapshot(decoded=1, processed=0, dropped={}, failed={})


def test_a_negative_count_is_refused() -> None:
    ledger = FrameLedger()
    for count in (ledger.decoded, ledger.processed):
        with pytest.raises(ValueError, match="0 or more"):
            count(-1)
    for account in (ledger.dropped, ledger.failed):
        with pytest.raises(ValueError, match="0 or more"):
            account("stale", -1)
    assert ledger.snapshot() == Snapshot(decoded=0, processed=0, dropped={}, failed={})


def test_no_count_is_lost_between_threads_and_no_snapshot_shows_more_out_than_in() -> None:
    ledger = FrameLedger()
    rounds = 2000

    def work() -> None:
        for number in range(rounds):
            ledger.decoded()
            (ledger.processed if number % 2 else lambda: ledger.dropped("stale"))()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert 0 <= in_flight(ledger.snapshot()) <= 4
    for worker in workers:
        worker.join()
    assert ledger.snapshot() == Snapshot(
        decoded=4 * rounds, processed=2 * rounds, dropped={"stale": 2 * rounds}, failed={}
    )
