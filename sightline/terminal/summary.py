"""The lines that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.events import OutputCounts
from pipeline.interfaces import Detector
from pipeline.printable import readable
from pipeline.runtime.report import Report, StreamReport
from sightline.terminal.status import loss_lines

# Frames that were decoded, and that nobody wanted any more.
_NOT_WANTED = {"duration": "beyond the duration asked for", "interrupted": "left when it was ended"}


def print_summary(console: Console, report: Report, written: Mapping[str, Path]) -> None:
    """The end of a run for a person: per class what was seen, where the frames went, what was written.

    Args:
        console: where to print, normally standard output.
        report: of the run.
        written: what was written, under a word for each.
    """
    for name, stream in report.streams.items():
        table = Table(title=name, title_justify="left", show_edge=False, pad_edge=False)
        table.add_column("class")
        table.add_column("seen", justify="right")
        table.add_column("max at once", justify="right")
        for label, counts in sorted(stream.objects.items(), key=lambda item: (-item[1].unique, item[0])):
            table.add_row(label, str(counts.unique), str(counts.max))
        console.print(table if stream.objects else f"{name}: no objects")
        for line, classes in stream.lines.items():
            crossings = ", ".join(
                f"{label} {crossed['in']} in, {crossed['out']} out" for label, crossed in classes.items()
            )
            console.print(f"line {line}: {crossings or 'not crossed'}", markup=False, highlight=False)
        for zone, visited in stream.zones.items():
            visitors = ", ".join(f"{label} {visits['unique']:.0f}" for label, visits in visited.items())
            console.print(f"zone {zone}: {visitors or 'not entered'}", markup=False, highlight=False)
        if (asked := stream.appearance) is not None:
            console.print(
                f"appearance: {asked.linked} links, asked {asked.answered} times with {asked.pictures} pictures",
                markup=False,
                highlight=False,
            )
        console.print(_frames_line(stream))
        if (recorded := stream.outputs.get("RecordingSink")) is not None:
            console.print(f"{recorded.written} of {recorded.given} pictures recorded")
        _print_losses(console, stream.outputs)
    _print_losses(console, report.outputs)
    console.print(_times_line(report))
    network = network_line(report.engine, report.precision, report.network_threads, report.engine_reason)
    console.print(network, soft_wrap=True, markup=False, highlight=False)
    for word, path in written.items():
        console.print(f"{word}: {readable(path)}", soft_wrap=True, markup=False, highlight=False)


def network_line(engine: str | None, precision: str, threads: int | None, reason: str | None) -> str:
    """What computed the network, and why that; what is not known is left out."""
    told = [engine, precision, f"threads: {threads}" if threads else None]
    return f"network: {', '.join(word for word in told if word)}{f' ({reason})' if reason else ''}"


def detector_line(detector: Detector) -> str:
    """The same of a detector that has run."""
    return network_line(detector.engine_name, detector.precision, detector.network_threads, detector.engine_reason)


def _print_losses(console: Console, outputs: Mapping[str, OutputCounts]) -> None:
    for line in loss_lines(outputs):
        console.print(line, markup=False, highlight=False)


def _frames_line(stream: StreamReport) -> str:
    lost = [
        f"{count} {_NOT_WANTED.get(reason, f'{kind} ({reason})')}"
        for kind in ("dropped", "failed")
        for reason, count in getattr(stream, kind).items()
        if count
    ]
    frames = "frame" if stream.decoded == 1 else "frames"
    return f"{stream.decoded} {frames} of {stream.media_s:.1f} s, {stream.processed} processed, " + (
        ", ".join(lost) or "none dropped"
    )


def _times_line(report: Report) -> str:
    """How fast it was, where there were frames enough to say so, and how long it took."""
    rate = f"{report.fps:.1f} fps, " if report.fps else ""
    begun = any(stream.processed for stream in report.streams.values())
    first = f"{report.start_s:.1f} s until the first frame was done, " if begun else ""
    return f"{rate}{first}{report.wall_s:.1f} s in all"
