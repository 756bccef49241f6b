"""How live streams are doing, for a person: a table at a terminal, a line a minute anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipeline.stream import StreamStatus

_STYLES = {"online": "green", "offline": "red", "waiting": "yellow"}


class Rates:
    """Frames per second from one look at the streams to the next."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int, int]] = {}

    def update(self, status: StreamStatus, now_s: float) -> tuple[float, float]:
        """Frames per second that came in, and that were processed, since the last call for it; 0 at the first."""
        ledger = status.ledger
        then_s, decoded, processed = self._last.get(status.name, (now_s, ledger.decoded, ledger.processed))
        self._last[status.name] = (now_s, ledger.decoded, ledger.processed)
        elapsed_s = now_s - then_s
        if elapsed_s <= 0:
            return 0.0, 0.0
        return (ledger.decoded - decoded) / elapsed_s, (ledger.processed - processed) / elapsed_s


def table(statuses: Sequence[StreamStatus], rates: Rates, now_s: float) -> Table:
    """One row per stream: state, frames per second in and processed, losses, latency."""
    shown = Table(show_edge=False, pad_edge=False)
    for heading in ("stream", "state", "fps in", "fps analysed", "dropped", "failed", "p50 ms", "p95 ms"):
        shown.add_column(heading, justify="left" if heading in ("stream", "state") else "right")
    for status in statuses:
        fps_in, fps_out = rates.update(status, now_s)
        dropped, failed = sum(status.ledger.dropped.values()), sum(status.ledger.failed.values())
        shown.add_row(
            status.name,
            f"[{_STYLES[status.state]}]{status.state}",
            *(f"{fps_in:.1f}", f"{fps_out:.1f}", str(dropped), str(failed)),
            *(f"{status.p50_ms:.0f}", f"{status.p95_ms:.0f}"),
        )
    return shown


def line(status: StreamStatus, rates: Rates, now_s: float) -> str:
    """The same in one line of text."""
    fps_in, fps_out = rates.update(status, now_s)
    dropped, failed = sum(status.ledger.dropped.values()), sum(status.ledger.failed.values())
    return (
        f"{status.name}: {status.state}, {fps_in:.1f} fps in, {fps_out:.1f} fps analysed, {dropped} dropped, "
        f"{failed} failed, latency {status.p50_ms:.0f} ms (p95 {status.p95_ms:.0f} ms)"
    )


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
    rates = Rates()
    if console.is_terminal:
        last: list[tuple[float, Table]] = []

        def renderable() -> Table:
            # Redrawing also happens for other reasons; rates over a few milliseconds would jump about.
            now_s = time.monotonic()
            if not last or now_s - last[0][0] >= 0.5:
                last[:] = [(now_s, table(statuses(), rates, now_s))]
            return last[0][1]

        with Live(console=console, refresh_per_second=2, transient=True, get_renderable=renderable):
            yield
        return
    over = threading.Event()

    def print_lines() -> None:
        while not over.wait(line_every_s):
            for status in statuses():
                console.print(line(status, rates, time.monotonic()), markup=False, highlight=False, soft_wrap=True)

    thread = threading.Thread(target=print_lines, name="status")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
