"""Metrics for Prometheus: the report of the run as of the moment of a scrape, in a registry of the run's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pipeline.events import OutputCounts
from pipeline.runtime.report import Report
from sightline.server.run_access import RunAccess

# How long a scrape waits for a busy run, in seconds; Prometheus gives up after ten.
_PATIENCE_S = 2.0
# Bounds of the latency histogram, in seconds.
BOUNDS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


def metrics_registry(run: RunAccess) -> CollectorRegistry:
    """A registry that tells of a run and of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_RunCollector(run))
    ProcessCollector(registry=registry)
    return registry


class _RunCollector(Collector):
    """Nothing is counted twice: each figure is what the ledger, or the report, says when it is asked."""

    def __init__(self, run: RunAccess) -> None:
        self._run = run

    def collect(self) -> Iterator[Metric]:
        """All metrics of the run. One that is too busy to tell of its counts tells of the rest."""
        yield from self._states()
        yield from self._latencies()
        try:
            report = self._run.report(_PATIENCE_S)
        except TimeoutError:
            return
        yield from self._of_run(report)
        yield from _frames(report)
        yield from _counts(report)
        yield from _outputs(report)

    def _states(self) -> Iterator[Metric]:
        up = _gauge("stream_up", "Whether frames of the stream come in.", "stream")
        age = _gauge("picture_age_seconds", "Seconds since the newest analysed frame was captured.", "stream")
        objects = _gauge("objects", "Tracks that the newest frame shows.", "stream")
        for view in self._run.streams():
            up.add_metric([view.name], float(view.state == "online"))
            objects.add_metric([view.name], view.objects)
            if view.last_picture_age_s is not None:
                age.add_metric([view.name], view.last_picture_age_s)
        flight = _gauge("frames_in_flight", "Frames decoded that have gone nowhere yet.", "stream")
        waiting = _gauge("output_queue", "What waits for an output that has a thread.", "stream", "output")
        busy = _gauge("output_busy_seconds", "Seconds for which an output has been in its call.", "stream", "output")
        for status in self._run.statuses():
            ledger = status.ledger
            gone = ledger.processed + sum(ledger.dropped.values()) + sum(ledger.failed.values())
            flight.add_metric([status.name], ledger.decoded - gone)
            for output, queue in status.queues.items():
                waiting.add_metric([status.name, output], queue.waiting)
                busy.add_metric([status.name, output], queue.busy_s)
        yield from (up, age, objects, flight, waiting, busy)

    def _latencies(self) -> Iterator[Metric]:
        latency = HistogramMetricFamily(
            "sightline_latency_seconds", "From a frame's capture to its events.", labels=["stream"]
        )
        for stream, durations in self._run.latencies().items():
            counts, all_of_them, sum_s = durations.cumulative(BOUNDS_S)
            buckets = [(str(bound_s), float(count)) for bound_s, count in zip(BOUNDS_S, counts, strict=True)]
            latency.add_metric([stream], [*buckets, ("+Inf", float(all_of_them))], sum_s)
        yield latency

    def _of_run(self, report: Report) -> Iterator[Metric]:
        told = {
            "model": self._run.model,
            "engine": report.engine or "",
            "precision": report.precision,
            "version": report.versions.get("sightline", ""),
        }
        yield InfoMetricFamily("sightline_run", "What runs.", value=told)
        yield GaugeMetricFamily("sightline_run_seconds", "Seconds since the command.", report.wall_s)
        yield GaugeMetricFamily("sightline_peak_memory_bytes", "Largest resident memory.", 1e6 * report.peak_rss_mb)
        if report.network_threads is not None:
            yield GaugeMetricFamily("sightline_network_threads", "Cores that the network uses.", report.network_threads)
        stages = _gauge("stage_seconds", "Percentiles of the time that a frame takes in a stage.", "stage", "quantile")
        for stage, figures in report.stages.items():
            for quantile, value in (("0.5", figures["p50_ms"]), ("0.95", figures["p95_ms"])):
                stages.add_metric([stage, quantile], value / 1000)
        yield stages


def _frames(report: Report) -> Iterator[Metric]:
    decoded = _counter("frames_decoded", "Frames that came in.", "stream")
    processed = _counter("frames_processed", "Frames that went all the way.", "stream")
    dropped = _counter("frames_dropped", "Frames left out on purpose.", "stream", "reason")
    failed = _counter("frames_failed", "Frames that could not be decoded or processed.", "stream", "reason")
    outages = _counter("outages", "How often the source went away.", "stream")
    away = _counter("outage_seconds", "Seconds for which it was away, in outages that are over.", "stream")
    for name, stream in report.streams.items():
        decoded.add_metric([name], stream.decoded)
        processed.add_metric([name], stream.processed)
        outages.add_metric([name], stream.outages)
        away.add_metric([name], stream.offline_s)
        for family, reasons in ((dropped, stream.dropped), (failed, stream.failed)):
            for reason, count in reasons.items():
                family.add_metric([name, reason], count)
    yield from (decoded, processed, dropped, failed, outages, away)


def _counts(report: Report) -> Iterator[Metric]:
    tracks = _counter("tracks", "Different objects shown.", "stream", "class")
    visits = _counter("zone_tracks", "Different objects in a zone.", "stream", "zone", "class")
    crossings = _counter("line_crossings", "Crossings of a line.", "stream", "line", "class", "direction")
    for name, stream in report.streams.items():
        for label, counts in stream.objects.items():
            tracks.add_metric([name, label], counts.unique)
        for zone, classes in stream.zones.items():
            for label, visited in classes.items():
                visits.add_metric([name, zone, label], visited["unique"])
        for line, crossed in stream.lines.items():
            for label, ways in crossed.items():
                for way, count in ways.items():
                    crossings.add_metric([name, line, label, way], count)
    yield from (tracks, visits, crossings)


def _outputs(report: Report) -> Iterator[Metric]:
    given = _counter("output_given", "What an output was given.", "stream", "output")
    written = _counter("output_written", "What it has taken.", "stream", "output")
    retried = _counter("output_retried", "Attempts that were made again.", "stream", "output")
    lost = _counter("output_lost", "What it will never have.", "stream", "output", "reason")
    missed = _counter("output_missed", "Frames and events that it did not see.", "stream", "output", "what", "reason")
    groups: list[tuple[str, Mapping[str, OutputCounts]]] = [("", report.outputs)]
    groups += [(name, stream.outputs) for name, stream in report.streams.items()]
    for stream_name, outputs in groups:
        for output, counts in outputs.items():
            where = [stream_name, output]
            given.add_metric(where, counts.given)
            written.add_metric(where, counts.written)
            retried.add_metric(where, counts.retried)
            others = counts.lost - counts.unseen - counts.refused
            for reason, count in (("unseen", counts.unseen), ("refused", counts.refused), ("other", others)):
                lost.add_metric([*where, reason], count)
    losses = [("", "frames", report.sinks), ("", "events", report.missed_events)]
    for name, stream in report.streams.items():
        losses += [(name, "frames", stream.sinks), (name, "events", stream.missed_events)]
    for stream_name, what, per_output in losses:
        for output, reasons in per_output.items():
            for reason, count in reasons.items():
                missed.add_metric([stream_name, output, what, reason], count)
    yield from (given, written, retried, lost, missed)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sightline_{name}", text, labels=list(labels))


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"sightline_{name}", text, labels=list(labels))
