"""Metrics of a cluster for Prometheus: what processes told of their streams last, with the node that each is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sightline.cluster.status import ClusterStatus, NodeStatus, StreamStatusLine


def cluster_registry(look: Callable[[], ClusterStatus]) -> CollectorRegistry:
    """A registry that tells of a cluster, and of its driver's process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ClusterCollector(look))
    ProcessCollector(registry=registry)
    return registry


class _ClusterCollector(Collector):
    """Each figure is what it is when it is asked for. A stream that moves has another ``node`` from then on."""

    def __init__(self, look: Callable[[], ClusterStatus]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """All metrics of the cluster."""
        status = self._look()
        yield _counter("cluster_events", "Events that went out in the merged feed.", [([], status.events)])
        yield _counter("cluster_events_missed", "Events that no process held any more.", [([], status.missed)])
        yield from _nodes(status.nodes)
        yield from _streams(status.streams)


def _nodes(nodes: list[NodeStatus]) -> Iterator[Metric]:
    def of(name: str, text: str, value: Callable[[NodeStatus], float]) -> Metric:
        return _gauge(name, text, [([node.name], value(node)) for node in nodes], "node")

    yield of("node_up", "Whether a machine takes streams.", lambda node: not node.why)
    yield of("node_streams", "Streams on a machine.", lambda node: node.streams)
    yield of("node_looks_wanted", "Looks a second that its streams want.", lambda node: node.wanted)
    yield of(
        "node_looks_made", "Looks a second that it makes; 0 before it is measured.", lambda node: node.capacity or 0
    )
    yield of("node_memory_bytes", "Resident memory of its processes.", lambda node: 1e6 * node.memory_mb)


def _streams(streams: list[StreamStatusLine]) -> Iterator[Metric]:
    labels = "stream", "node"

    def gauge(name: str, text: str, value: Callable[[StreamStatusLine], float]) -> Metric:
        return _gauge(name, text, [([each.name, each.node or ""], value(each)) for each in streams], *labels)

    def counter(name: str, text: str, value: Callable[[StreamStatusLine], float]) -> Metric:
        return _counter(name, text, [([each.name, each.node or ""], value(each)) for each in streams], *labels)

    def reasons(name: str, text: str, value: Callable[[StreamStatusLine], dict[str, int]]) -> Metric:
        told = [
            ([each.name, each.node or "", reason], count) for each in streams for reason, count in value(each).items()
        ]
        return _counter(name, text, told, *labels, "reason")

    yield gauge("stream_up", "Whether frames of the stream come in.", lambda each: each.state == "online")
    yield gauge("objects", "Tracks that the newest frame shows.", lambda each: each.objects)
    yield gauge("latency_median_seconds", "From a frame's capture to its events.", lambda each: each.p50_ms / 1000)
    yield counter("frames_decoded", "Frames that came in.", lambda each: each.past.frames.decoded)
    yield counter("frames_processed", "Frames that went all the way.", lambda each: each.past.frames.processed)
    yield reasons("frames_dropped", "Frames left out on purpose.", lambda each: each.past.frames.dropped)
    yield reasons(
        "frames_failed", "Frames that could not be decoded or processed.", lambda each: each.past.frames.failed
    )
    yield counter("outages", "How often the source, or its process, went away.", lambda each: each.past.outages)
    yield counter("outage_seconds", "Seconds for which it was away.", lambda each: each.past.offline_s)
    tracks, visits, crossings = [], [], []
    for each in streams:
        where = [each.name, each.node or ""]
        tracks += [([*where, name], counts.unique) for name, counts in each.past.objects.items()]
        for zone, classes in each.past.zones.items():
            visits += [([*where, zone, name], found["unique"]) for name, found in classes.items()]
        for line, directions in each.past.lines.items():
            crossings += [
                ([*where, line, name, way], count) for name, ways in directions.items() for way, count in ways.items()
            ]
    yield _counter("tracks", "Different objects shown.", tracks, *labels, "class")
    yield _counter("zone_tracks", "Different objects in a zone.", visits, *labels, "zone", "class")
    yield _counter("line_crossings", "Crossings of a line.", crossings, *labels, "line", "class", "direction")


def _gauge(name: str, text: str, values: Sequence[tuple[list[str], float]], *labels: str) -> Metric:
    made = GaugeMetricFamily(f"sightline_{name}", text, labels=list(labels))
    for where, value in values:
        made.add_metric(where, float(value))
    return made


def _counter(name: str, text: str, values: Sequence[tuple[list[str], float]], *labels: str) -> Metric:
    made = CounterMetricFamily(f"sightline_{name}", text, labels=list(labels))
    for where, value in values:
        made.add_metric(where, value)
    return made
