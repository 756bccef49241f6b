"""How a cluster is doing: as data, and in words."""

from __future__ import annotations

import time

import msgspec

from pipeline.redaction import redact_address
from pipeline.runtime.streams.stream_past import StreamPast
from sightline.cluster.merger import Merger
from sightline.cluster.stream_record import StreamRecord
from sightline.cluster.supervisor import Supervisor


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A machine.

    Attributes:
        name, host, labels, cores: as Ray tells them.
        capacity: looks of the detector a second that it makes; None before that is measured.
        wanted: looks a second that its streams want.
        streams: that it has.
        processes: that run them.
        memory_mb: resident memory of these, in 10**6 bytes.
        why: why it takes no streams; empty where it does.
    """

    name: str
    host: str
    labels: dict[str, str]
    cores: float
    capacity: float | None
    wanted: float
    streams: int
    processes: int
    memory_mb: float
    why: str


class StreamStatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """A stream.

    Attributes:
        name, source: the latter without user and password.
        node: where it runs; None where it does not.
        state: ``online``, ``offline``, ``starting`` and so on, as its process tells it; where it has none,
            ``waiting``, ``aside`` or ``done``.
        reason: why it does not run.
        epoch: how many processes have had it.
        fps, decoded_fps: frames per second that are processed, and that come in.
        p50_ms, p95_ms: latency from capture to events.
        objects: tracks that its newest frame showed.
        past: what it came to, as its process told last.
    """

    name: str
    source: str
    node: str | None
    state: str
    reason: str
    epoch: int
    fps: float
    decoded_fps: float
    p50_ms: float
    p95_ms: float
    objects: int
    past: StreamPast


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        run: UUID of the merged feed's run.
        events: that have gone out in it.
        missed: that processes no longer held when they were asked for.
        seconds: since this driver began.
    """

    run: str
    events: int
    missed: int
    seconds: float
    nodes: list[NodeStatus]
    streams: list[StreamStatusLine]


def cluster_status(supervisor: Supervisor, merger: Merger, begun_s: float) -> ClusterStatus:
    """How a cluster is doing now; ``begun_s`` is when the driver began (``time.monotonic()``)."""
    links = {link.name: link for link in supervisor.links}
    records = sorted((each for each in supervisor.records if not each.removed), key=lambda record: record.name)
    nodes = []
    for node, why in supervisor.nodes():
        here = [link for link in links.values() if link.node.id == node.id]
        names = {link.name for link in here}
        mine = [record for record in records if record.shard in names]
        nodes.append(
            NodeStatus(
                name=node.name,
                host=node.host,
                labels={key: value for key, value in node.labels.items() if not key.startswith("ray.io/")},
                cores=node.cores,
                capacity=node.capacity,
                wanted=round(sum(record.need for record in mine), 1),
                streams=len(mine),
                processes=len(here),
                memory_mb=round(sum(link.status.memory_mb for link in here if link.status is not None), 1),
                why=why,
            )
        )
    streams = [_stream(record, links[record.shard].node.name if record.shard in links else None) for record in records]
    return ClusterStatus(
        run=merger.run,
        events=merger.seq,
        missed=merger.missed,
        seconds=round(time.monotonic() - begun_s, 1),
        nodes=sorted(nodes, key=lambda node: node.name),
        streams=streams,
    )


def _stream(record: StreamRecord, node: str | None) -> StreamStatusLine:
    state = record.state if record.place in ("placed", "leaving") and node is not None else None
    return StreamStatusLine(
        name=record.name,
        source=redact_address(record.description.source),
        node=node,
        state=record.place if state is None else state.state,
        reason=record.reason,
        epoch=record.epoch,
        fps=0.0 if state is None else state.fps,
        decoded_fps=0.0 if state is None else state.decoded_fps,
        p50_ms=0.0 if state is None else state.p50_ms,
        p95_ms=0.0 if state is None else state.p95_ms,
        objects=0 if state is None else state.objects,
        past=record.past,
    )


def status_text(status: ClusterStatus) -> str:
    """A line for each node, for each stream, and for the feed."""
    lines = []
    for node in status.nodes:
        made = "not measured yet" if node.capacity is None else f"{node.capacity:.0f} looks/s"
        told = f"; {node.why}" if node.why else ""
        lines.append(
            f"node {node.name}: {node.streams} streams in {node.processes} processes, "
            f"{node.wanted:.0f} of {made}, {node.memory_mb:.0f} MB{told}"
        )
    for stream in status.streams:
        where = f" on {stream.node}" if stream.node is not None else ""
        figures = f", {stream.fps:.1f} of {stream.decoded_fps:.1f} frames/s, {stream.p50_ms:.0f} ms, " + (
            f"{stream.objects} objects"
        )
        reason = f": {stream.reason}" if stream.reason else ""
        shown = figures if stream.state in ("online", "offline") else ""
        lines.append(f"stream {stream.name}: {stream.state}{where}{shown}{reason}")
    lines.append(f"feed: {status.events} events, {status.missed} lost")
    return "\n".join(lines)
