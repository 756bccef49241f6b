"""On which machine of a cluster a stream is to run. Plain functions of what is known: no processes, no network.

A stream needs so many looks of the detector a second, a node makes so many. The share of a node that is taken is what
its streams need, of what it makes. Streams that run stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sightline.config.schema import ResolvedStream

# Where a camera does not tell yet how many frames it sends.
TYPICAL_FPS = 25.0
# Of the frames of a stream whose detector looks as often as it can (``detect_every: auto``).
_AUTO = 1 / 3
# What a core is taken to make before that is measured.
LOOKS_PER_CORE = 25.0

Placement = Literal["spread", "together"]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes:
        id: Ray's, never used again.
        name: for people.
        host: its address.
        cores: processor cores that it gives to the cluster.
        labels: as it was started with.
        capacity: looks a second; None before it is measured.
    """

    id: str
    name: str
    host: str
    cores: float
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: float | None = None

    @property
    def looks(self) -> float:
        """Looks of the detector a second, measured or taken by its cores."""
        return self.capacity or LOOKS_PER_CORE * max(self.cores, 0.5)


def need(stream: ResolvedStream, fps: float | None = None) -> float:
    """Looks a second that a stream wants; ``fps`` are the frames that its camera really sends, where that is known."""
    fps = fps or stream.input.fps or TYPICAL_FPS
    return fps / stream.detect_every if isinstance(stream.detect_every, int) else fps * _AUTO


def fits(labels: Mapping[str, str], node: Node) -> bool:
    """Whether a stream that is pinned to nodes with these labels may run there."""
    return all(node.labels.get(key) == value for key, value in labels.items())


def choose_node(
    labels: Mapping[str, str], wanted: float, nodes: Sequence[Node], loads: Mapping[str, float], placement: Placement
) -> Node | None:
    """The node for a stream; None where none has its labels.

    Args:
        labels: that the node must have.
        wanted: what the stream needs.
        nodes: that may take streams.
        loads: per node's id, what its streams need.
        placement: ``spread`` takes the node of which the smallest share is taken afterwards, ``together`` the fullest
            that has room, and where none has room does as ``spread``.
    """
    suitable = [node for node in nodes if fits(labels, node)]

    def share(node: Node) -> float:
        return (loads.get(node.id, 0.0) + wanted) / node.looks

    with_room = [node for node in suitable if share(node) <= 1]
    if placement == "together" and with_room:
        return max(with_room, key=lambda node: (loads.get(node.id, 0.0) / node.looks, node.name))
    return min(suitable, key=lambda node: (share(node), node.name), default=None)


@dataclass(frozen=True, slots=True)
class Placed:
    """A stream that runs: its name, the labels that it is pinned by, what it needs, its node's id."""

    name: str
    labels: Mapping[str, str]
    need: float
    node: str


def choose_move(streams: Iterable[Placed], nodes: Sequence[Node], placement: Placement) -> tuple[Placed, Node] | None:
    """The one move that evens out the shares of the nodes most, if one does so noticeably.

    With ``together`` streams move only off a node that has more than it can carry.
    """
    streams = list(streams)
    loads: dict[str, float] = {node.id: 0.0 for node in nodes}
    for stream in streams:
        loads[stream.node] = loads.get(stream.node, 0.0) + stream.need
    best: tuple[float, Placed, Node] | None = None
    by_id = {node.id: node for node in nodes}
    for stream in streams:
        source = by_id.get(stream.node)
        if source is None or (placement == "together" and loads[source.id] <= source.looks):
            continue
        for target in nodes:
            if target.id == source.id or not fits(stream.labels, target):
                continue
            before = max(loads[source.id] / source.looks, loads[target.id] / target.looks)
            after = max(
                (loads[source.id] - stream.need) / source.looks, (loads[target.id] + stream.need) / target.looks
            )
            gain = before - after
            if gain > 0.1 * before and (best is None or gain > best[0]):
                best = (gain, stream, target)
    return None if best is None else best[1:]
