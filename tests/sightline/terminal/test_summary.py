"""The lines that a run ends with."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from pipeline.events import OutputCounts
from pipeline.runtime.report import Report, StreamReport
from sightline.terminal.summary import print_summary


def test_what_outputs_lost_is_told() -> None:
    stream = StreamReport(
        decoded=5,
        processed=5,
        dropped={},
        failed={},
        media_s=0.2,
        objects={},
        outputs={"Mp4Sink": OutputCounts(given=5, written=4, lost=1), "Mp4Sink-2": OutputCounts(given=5, written=5)},
    )
    report = Report(
        streams={"door": stream},
        stages={},
        wall_s=1.0,
        fps=25.0,
        start_s=0.1,
        peak_rss_mb=9.0,
        input_shape=None,
        precision="float32",
        engine="openvino",
        engine_reason="there is no GPU; precision asked for",
        network_threads=2,
        outputs={"WebhookSink": OutputCounts(given=90, written=80, lost=10, unseen=2, refused=8)},
        versions={},
    )
    console = Console(file=io.StringIO(), width=120)
    print_summary(console, report, {})
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[2:4] == ["Mp4Sink lost 1 of 5", "WebhookSink lost 10 of 90 (2 not kept up with, 8 refused)"]
    assert not any(line.startswith("Mp4Sink-2") for line in lines)
    assert lines[-1] == "network: openvino, float32, threads: 2 (there is no GPU; precision asked for)"
    console = Console(file=io.StringIO(), width=120)
    print_summary(console, msgspec.structs.replace(report, engine=None, engine_reason=None, network_threads=None), {})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1] == "network: float32"


def test_what_was_recorded_is_told() -> None:
    stream = StreamReport(
        decoded=5,
        processed=5,
        dropped={},
        failed={},
        media_s=0.2,
        objects={},
        outputs={"RecordingSink": OutputCounts(given=6, written=5, lost=1)},
    )
    report = Report(
        streams={"door": stream},
        stages={},
        wall_s=1.0,
        fps=25.0,
        start_s=0.1,
        peak_rss_mb=9.0,
        input_shape=None,
        precision="float32",
        versions={},
    )
    console = Console(file=io.StringIO(), width=120)
    print_summary(console, report, {})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[2:4] == ["5 of 6 pictures recorded", "RecordingSink lost 1 of 6"]
