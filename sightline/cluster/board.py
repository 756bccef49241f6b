"""What the driver knows of a cluster: its streams, its shards, its machines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sightline.cluster.merger import Merger
from sightline.cluster.messages import ShardSpec
from sightline.cluster.placement import Node
from sightline.cluster.shard_link import ShardHandle, ShardLink
from sightline.cluster.stream_record import StreamRecord
from sightline.config.schema import Config

# What waits for longer waits for a machine.
_UNDER_WAY_S = 30.0


class Fleet(Protocol):
    """The machines, and what starts shards on them."""

    def nodes(self) -> Sequence[Node]:
        """Those that are alive."""
        ...

    def start(self, spec: ShardSpec, node: Node) -> ShardHandle:
        """A new shard."""
        ...

    def existing(self) -> list[tuple[ShardSpec, ShardHandle]]:
        """Shards that an earlier driver has started."""
        ...


@dataclass(slots=True, eq=False)
class Board:
    """All that is known.

    Attributes:
        config: what is to run.
        config_version: grows with each.
        fleet: where.
        merger: joins the feeds.
        versions: that every shard must have.
        records: the streams, by name.
        links: the shards, by name.
        drained: names of nodes that are to be left alone.
        refused: why a node, by its id, takes no streams.
        changed_s: when streams were placed, or a shard was lost, last (``time.monotonic()``).
        parting: shards that are lost, and whose events are still taken in.
        news: is set when something has changed that calls for a look.
    """

    config: Config
    fleet: Fleet
    merger: Merger
    versions: Mapping[str, str]
    drained: set[str]
    config_version: int = 0
    records: dict[str, StreamRecord] = field(default_factory=dict)
    links: dict[str, ShardLink] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    changed_s: float = field(default_factory=time.monotonic)
    parting: int = 0
    news: threading.Event = field(default_factory=threading.Event)

    def changed(self) -> None:
        """Let streams alone for a while."""
        self.changed_s = time.monotonic()

    def busy(self) -> bool:
        """Whether streams are under way from one shard to another, or are soon to be."""
        places = {record.place for record in self.records.values()}
        waiting = "waiting" in places and time.monotonic() - self.changed_s < _UNDER_WAY_S
        return bool(self.parting) or waiting or "leaving" in places

    def link_of(self, record: StreamRecord) -> ShardLink | None:
        """The shard that has a stream."""
        return self.links.get(record.shard or "")

    def on_node(self, name: str) -> list[StreamRecord]:
        """The streams that are on a node."""
        names = {link.name for link in self.links.values() if link.node.name == name}
        return [record for record in self.records.values() if record.shard in names]

    def with_capacity(self, nodes: Iterable[Node]) -> list[Node]:
        """These nodes, with what their detectors were measured to make."""
        measured: dict[str, float] = {}
        for link in self.links.values():
            if link.status is not None and link.status.capacity:
                measured[link.node.id] = max(link.status.capacity, measured.get(link.node.id, 0.0))
        return [replace(node, capacity=measured.get(node.id)) for node in nodes]

    def usable(self) -> list[Node]:
        """Nodes that take streams and have a shard that is ready."""
        ready = {link.node.id for link in self.links.values() if link.ready}
        return [
            node
            for node in self.with_capacity(self.fleet.nodes())
            if node.id in ready and node.name not in self.drained and node.id not in self.refused
        ]

    def loads(self) -> dict[str, float]:
        """Per node's id, looks a second that its streams want."""
        loads: dict[str, float] = {}
        for record in self.records.values():
            link = self.link_of(record)
            if link is not None and record.place == "placed":
                loads[link.node.id] = loads.get(link.node.id, 0.0) + record.need
        return loads
