"""How live streams are doing, for a person: a table at a terminal, a line a minute anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipeline.events import OutputCounts
from pipeline.runtime.streams.stream import StreamStatus

_STYLES = {"online": "green", "offline": "red", "waiting": "yellow"}


def status_table(statuses: Sequence[StreamStatus]) -> Table:
    """One row per stream: state, frames per second, objects, losses, latency; what outputs lost, if any did."""
    shown = Table(show_edge=False, pad_edge=False)
    headings = ["stream", "state", "fps in", "fps analysed", "objects", "dropped", "failed"]
    headings += ["latency ms", "95% within"]
    losing = any(counts.lost for status in statuses for counts in status.outputs.values())
    for heading in [*headings, "lost by outputs"] if losing else headings:
        shown.add_column(heading, justify="left" if heading in ("stream", "state") else "right")
    for status in statuses:
        dropped, failed = sum(status.ledger.dropped.values()), sum(status.ledger.failed.values())
        shown.add_row(
            status.name,
            f"[{_STYLES[status.state]}]{status.state}",
            *(f"{status.rates.decoded:.1f}", f"{status.rates.processed:.1f}", str(status.objects)),
            *(str(dropped), str(failed)),
            *(f"{status.p50_ms:.0f}", f"{status.p95_ms:.0f}"),
            *([str(sum(counts.lost for counts in status.outputs.values()))] if losing else []),
        )
    return shown


def status_line(status: StreamStatus) -> str:
    """The same in one line of text."""
    rates = status.rates
    objects = "1 object" if status.objects == 1 else f"{status.objects} objects"
    dropped, failed = sum(status.ledger.dropped.values()), sum(status.ledger.failed.values())
    recorded = status.outputs.get("RecordingSink")
    kept = [] if recorded is None else [f"{recorded.written} recorded"]
    told = "".join(f", {phrase}" for phrase in (*kept, *loss_lines(status.outputs)))
    return (
        f"{status.name}: {status.state}, {rates.decoded:.1f} fps in, {rates.processed:.1f} fps analysed over the last "
        f"{rates.span_s:.0f} s, {objects}, {dropped} dropped, {failed} failed, latency {status.p50_ms:.0f} ms "
        f"(p95 {status.p95_ms:.0f} ms){told}"
    )


def loss_lines(outputs: Mapping[str, OutputCounts]) -> list[str]:
    """A phrase per output that lost something, such as ``JsonlSink lost 3 of 100 (2 not kept up with)``."""
    lines = []
    for name, counts in outputs.items():
        parts = ((counts.unseen, "not kept up with"), (counts.refused, "refused"))
        causes = ", ".join(f"{number} {word}" for number, word in parts if number)
        if counts.lost:
            lines.append(f"{name} lost {counts.lost} of {counts.given}{f' ({causes})' if causes else ''}")
    return lines


@contextmanager
def showing_status(
    statuses: Callable[[], Sequence[StreamStatus]], console: Console, *, line_every_s: float = 60.0
) -> Iterator[None]:
    """Show the streams while it lasts.

    Args:
        statuses: asked from a thread of this function's.
        console: where to show it; at a terminal a table that is redrawn twice a second.
        line_every_s: elsewhere, seconds between lines.
    """
    if console.is_terminal:
        last: list[tuple[float, Table]] = []

        def renderable() -> Table:
            # Redrawing also happens for other reasons, which need no look at the streams.
            now_s = time.monotonic()
            if not last or now_s - last[0][0] >= 0.5:
                last[:] = [(now_s, status_table(statuses()))]
            return last[0][1]

        with Live(console=console, refresh_per_second=2, transient=True, get_renderable=renderable):
            yield
        return
    over = threading.Event()

    def print_lines() -> None:
        while not over.wait(line_every_s):
            for status in statuses():
                console.print(status_line(status), markup=False, highlight=False, soft_wrap=True)

    thread = threading.Thread(target=print_lines, name="status")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
