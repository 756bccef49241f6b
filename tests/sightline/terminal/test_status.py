"""What a person sees of live streams."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

from rich.console import Console

from pipeline.events import FrameCounts, OutputCounts
from pipeline.runtime.frame_ledger import Rates
from pipeline.runtime.streams.stream import StreamStatus
from pipeline.types import SourceInfo
from sightline.terminal.status import showing_status, status_line, status_table
from tests.support.waiting import PATIENCE_S


def status(decoded: int, processed: int) -> StreamStatus:
    ledger = FrameCounts(decoded=decoded, processed=processed, dropped={"stale": decoded - processed}, failed={})
    return StreamStatus("gate", "online", ledger, 40.0, 80.0, Rates(25.0, 5.0, 8.2), SourceInfo(640, 480), objects=3)


def test_a_line_says_all_there_is_to_know() -> None:
    assert status_line(status(50, 40)) == (
        "gate: online, 25.0 fps in, 5.0 fps analysed over the last 8 s, 3 objects, 10 dropped, 0 failed, "
        "latency 40 ms (p95 80 ms)"
    )


def test_the_table_has_a_row_per_stream() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(status_table([status(50, 40)]))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "gate" in printed
    assert "online" in printed
    for shown in ("25.0", "5.0", "80", "objects", "latency"):
        assert shown in printed


def test_a_loss_of_an_output_is_told() -> None:
    losing = replace(
        status(50, 40),
        outputs={
            "Fine": OutputCounts(given=9, written=9),
            "JsonlSink": OutputCounts(given=100, written=93, lost=7, unseen=7),
            "WebhookSink": OutputCounts(given=80, written=70, lost=10, unseen=3, refused=5),
        },
    )
    assert status_line(losing).endswith(
        "(p95 80 ms), JsonlSink lost 7 of 100 (7 not kept up with), "
        "WebhookSink lost 10 of 80 (3 not kept up with, 5 refused)"
    )
    console = Console(file=io.StringIO(), width=120)
    console.print(status_table([losing, status(50, 40)]))
    assert isinstance(console.file, io.StringIO)
    assert [line.split()[-1] for line in console.file.getvalue().splitlines()[2:4]] == ["17", "0"]


def test_what_was_recorded_is_told() -> None:
    recording = replace(status(50, 40), outputs={"RecordingSink": OutputCounts(given=60, written=50, lost=10)})
    assert status_line(recording).endswith("(p95 80 ms), 50 recorded, RecordingSink lost 10 of 60")


def test_lines_come_at_intervals_where_there_is_no_terminal() -> None:
    output, asked = io.StringIO(), threading.Event()

    def statuses() -> list[StreamStatus]:
        if output.getvalue().count("gate:") >= 2:
            asked.set()
        return [status(50, 40)]

    with showing_status(statuses, Console(file=output, width=40), line_every_s=0.01):
        assert asked.wait(PATIENCE_S)
    lines = output.getvalue().splitlines()
    assert all(text.startswith("gate: online") and text.endswith("80 ms)") for text in lines)
    assert "status" not in [thread.name for thread in threading.enumerate()]


def test_the_table_is_drawn_at_a_terminal() -> None:
    output = io.StringIO()
    with showing_status(lambda: [status(50, 40)], Console(file=output, width=120, force_terminal=True)):
        pass
    assert "gate" in output.getvalue()
