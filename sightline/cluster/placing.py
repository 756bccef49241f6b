"""Placing streams on shards, and starting the shards for that; what is decided is in the records of the streams."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from sightline.cluster.board import Board
from sightline.cluster.messages import Assignment, Order, ShardSpec
from sightline.cluster.placement import Node, Placed, choose_move, choose_node, fits
from sightline.cluster.shard_config import shard_config
from sightline.cluster.shard_link import ShardLink
from sightline.cluster.stream_record import StreamRecord

logger = logging.getLogger(__name__)

# After a change, streams are let alone for so long before one is moved for balance.
_SETTLED_S = 10.0
# A process that ended is started again after a second, and ever later; what is longer ago counts no more.
_AGAIN_S = 1.0
_LONGEST_S = 60.0
_FORGIVEN_S = 600.0
# Streams that are new wait so long for machines that are getting ready, so that they are spread over all of them.
_START_S = 20.0


class Placing:
    """Has each stream that is to run in a shard, and each shard told of its streams.

    Args:
        board: what is known.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._begun: dict[tuple[str, int], list[float]] = {}
        self._sent: dict[str, int] = {}

    def step(self) -> None:
        """Do what follows from what is known."""
        self._leave_nodes()
        self._start_shards()
        self._place()
        self._balance()
        self.give_orders()

    def _leave_nodes(self) -> None:
        for record in self._board.records.values():
            link = self._board.link_of(record)
            if link is None or record.place != "placed":
                continue
            drained = link.node.name in self._board.drained
            if not drained and fits(record.description.node, link.node):
                continue
            if any(fits(record.description.node, node) for node in self._board.usable()):
                record.place, record.goes_to = "leaving", None
            elif drained:
                record.reason = "no other node may run it, so it stays"

    def _start_shards(self) -> None:
        """Have as many processes on each node as there are to be, and those that streams are to have for themselves."""
        groups = {(link.node.id, link.group) for link in self._board.links.values()}
        for node in self._board.fleet.nodes():
            if node.id in self._board.refused or node.name in self._board.drained or node.cores <= 0:
                continue
            wanted = set(range(self._board.config.cluster.processes_per_node))
            wanted |= {
                record.group
                for record in self._board.records.values()
                if record.group is not None and record.place == "waiting" and record.goes_to == node.id
            }
            for group in sorted(wanted):
                if (node.id, group) not in groups and self._may_start(node, group):
                    self._start(node, group, len(wanted))
        self._end_idle()

    def _may_start(self, node: Node, group: int) -> bool:
        """A process that ends again and again is started ever more seldom."""
        now_s = time.monotonic()
        begun = [at_s for at_s in self._begun.get((node.id, group), []) if now_s - at_s < _FORGIVEN_S]
        self._begun[node.id, group] = begun
        return not begun or now_s - begun[-1] >= min(_LONGEST_S, _AGAIN_S * 2 ** (len(begun) - 1))

    def _start(self, node: Node, group: int, groups: int) -> None:
        threads = max(1, int(node.cores) // groups)
        name = f"shard-{node.name}-{group}-{uuid.uuid4().hex[:8]}"
        spec = ShardSpec(
            name=name, group=group, node=node.name, host=node.host, threads=threads, config=self._board.config
        )
        self._begun.setdefault((node.id, group), []).append(time.monotonic())
        handle = self._board.fleet.start(spec, node)
        self._board.links[name] = ShardLink(name, node, group, handle, news=self._board.news.set)

    def _end_idle(self) -> None:
        """End processes that a node is to have no more."""
        used = {record.shard for record in self._board.records.values()}
        for link in list(self._board.links.values()):
            extra = link.group >= self._board.config.cluster.processes_per_node
            wanted = any(
                record.group == link.group and record.place == "waiting" for record in self._board.records.values()
            )
            drained = link.node.name in self._board.drained
            if link.name not in used and ((extra and not wanted) or drained) and link.status is not None:
                del self._board.links[link.name]
                self._board.merger.leave(link.name)
                threading.Thread(target=link.end, args=(5.0,), name="end", daemon=True).start()

    def _place(self) -> None:
        usable, loads = self._board.usable(), self._board.loads()
        waiting = [record for record in self._board.records.values() if not record.removed]
        starting = any(
            not link.ready and time.monotonic() - link.begun_s < _START_S for link in self._board.links.values()
        )
        for record in waiting:
            record.comes_back()
        for record in sorted(waiting, key=lambda record: -record.need):
            if record.place != "waiting" or (record.new and starting):
                continue
            node = self._node_for(record, usable, loads)
            link = None if node is None else self._shard_on(node, record.group)
            if node is None or link is None:
                continue
            record.epoch, record.new, record.given = record.epoch + 1, False, record.past
            record.place, record.shard, record.goes_to, record.reason = "placed", link.name, None, ""
            loads[node.id] = loads.get(node.id, 0.0) + record.need
            self._board.changed()

    def _node_for(self, record: StreamRecord, usable: Sequence[Node], loads: Mapping[str, float]) -> Node | None:
        goes_to = next((node for node in usable if node.id == record.goes_to), None)
        if goes_to is not None and fits(record.description.node, goes_to):
            return goes_to
        if record.group is not None and record.goes_to in {node.id for node in self._board.fleet.nodes()}:
            return None  # its process is being started
        chosen = choose_node(record.description.node, record.need, usable, loads, self._board.config.cluster.placement)
        if chosen is None and usable:
            labels = ", ".join(f"{key}={value}" for key, value in record.description.node.items())
            record.reason = f"no node that takes streams has {labels}"
        elif chosen is None:
            record.reason = "no node takes streams"
        if chosen is not None and record.group is not None:
            record.goes_to = chosen.id
        return chosen

    def _shard_on(self, node: Node, group: int | None) -> ShardLink | None:
        """The shard of a node that has the fewest streams, or the one of that group."""
        used = Counter(record.shard for record in self._board.records.values())
        groups = range(self._board.config.cluster.processes_per_node) if group is None else (group,)
        here = [
            link
            for link in self._board.links.values()
            if link.node.id == node.id and link.group in groups and link.ready
        ]
        return min(here, key=lambda link: used[link.name], default=None)

    def _balance(self) -> None:
        settled = time.monotonic() - self._board.changed_s >= _SETTLED_S
        busy = self._board.parting or any(
            record.place in ("waiting", "leaving") for record in self._board.records.values()
        )
        if not self._board.config.cluster.rebalance or busy or not settled:
            return
        placed = []
        for record in self._board.records.values():
            link = self._board.link_of(record)
            if record.place == "placed" and link is not None and record.group is None:
                placed.append(Placed(record.name, record.description.node, record.need, link.node.id))
        move = choose_move(placed, self._board.usable(), self._board.config.cluster.placement)
        if move is not None:
            stream, node = move
            record = self._board.records[stream.name]
            record.place, record.goes_to = "leaving", node.id
            self._board.changed()
            logger.info("%s moves to %s, which has more room", stream.name, node.name)

    def give_orders(self) -> None:
        for link in self._board.links.values():
            mine = [
                record
                for record in self._board.records.values()
                if record.shard == link.name and record.place == "placed"
            ]
            streams = {record.name: Assignment(record.epoch, record.given) for record in mine}
            before = {} if link.order is None else link.order.streams
            same = {name: each.epoch for name, each in before.items()} == {
                name: each.epoch for name, each in streams.items()
            }
            if same and self._sent.get(link.name) == self._board.config_version and link.order is not None:
                continue
            version = max(
                0 if link.order is None else link.order.version, 0 if link.status is None else link.status.version
            )
            if link.status is None and link.order is None and not streams:
                continue
            link.order = Order(
                version=version + 1, config=shard_config(self._board.config, set(streams)), streams=streams
            )
            self._sent[link.name] = self._board.config_version
