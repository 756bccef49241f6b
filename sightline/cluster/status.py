"""How a cluster is doing, in words."""

from __future__ import annotations

from sightline.cluster.merger import Merger
from sightline.cluster.placement import need
from sightline.cluster.stream_record import StreamRecord
from sightline.cluster.supervisor import Supervisor


def status_text(supervisor: Supervisor, merger: Merger) -> str:
    """A line for each node, for each stream, and for the feed."""
    links = {link.name: link for link in supervisor.links}
    records = sorted(supervisor.records, key=lambda record: record.name)
    lines = []
    for node, why in supervisor.nodes():
        here = [record for record in records if record.shard in links and links[record.shard].node.id == node.id]
        wanted = sum(_need(record) for record in here)
        made = f"{node.capacity:.0f} looks/s" if node.capacity else "not measured yet"
        processes = sum(link.node.id == node.id for link in links.values())
        told = f"; {why}" if why else ""
        lines.append(f"node {node.name}: {len(here)} streams in {processes} processes, {wanted:.0f} of {made}{told}")
    for record in records:
        if not record.removed:
            link = links.get(record.shard or "")
            lines.append(f"stream {record.name}: {_stream(record, None if link is None else link.node.name)}")
    lines.append(f"feed: {merger.seq} events, {merger.missed} lost")
    return "\n".join(lines)


def _need(record: StreamRecord) -> float:
    fps = record.state.decoded_fps if record.state is not None and record.state.decoded_fps > 1 else None
    return need(record.description, fps)


def _stream(record: StreamRecord, node: str | None) -> str:
    where = f" on {node}" if node is not None else ""
    state = record.state
    if record.place != "placed" or state is None:
        reason = f": {record.reason}" if record.reason else ""
        return f"{record.place}{where}{reason}"
    figures = f"{state.fps:.1f} of {state.decoded_fps:.1f} frames/s, {state.p50_ms:.0f} ms, {state.objects} objects"
    return f"{state.state}{where}, {figures}"
