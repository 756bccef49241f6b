"""Which stream runs where: places streams on shards, sees what is lost, and has it run elsewhere.

    nodes, statuses of shards --Supervisor.step--> orders for shards, what the merger is to follow

One thread calls ``step`` several times a second; nothing in it waits. What it decides is in the records of the streams,
and what shards are to do follows from these, so that it does not matter which answers come when.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

from pipeline.runtime.streams.stream_past import RunPasts
from pipeline.types import SourceInfo
from sightline.cluster.memory import Memory, remember
from sightline.cluster.merger import Merger
from sightline.cluster.messages import Assignment, Order, ShardSpec, ShardStatus
from sightline.cluster.placement import Node, Placed, choose_move, choose_node, fits, need
from sightline.cluster.shard_config import shard_config
from sightline.cluster.shard_link import Loss, ShardHandle, ShardLink
from sightline.cluster.stream_record import StreamRecord
from sightline.config.schema import Config

logger = logging.getLogger(__name__)

# A process whose pipeline does not come around for so long hangs.
_HANGS_S = 30.0
# After a change, streams are let alone for so long before one is moved for balance.
_SETTLED_S = 10.0
_SAVE_S = 2.0
# Deaths of a process with one stream after which that is set aside, and waits before it is started again.
_CRASHES = 3
_AGAIN_S = 1.0
# Streams that are new wait so long for machines that are getting ready, so that they are spread over all of them.
_START_S = 20.0


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


class Supervisor:
    """Runs a configuration's streams on a fleet. Its methods are for one thread, but for those that say so.

    Args:
        config: what to run.
        fleet: where.
        merger: joins the feeds.
        memory: what an earlier driver left.
        versions: that every shard must have.
    """

    def __init__(
        self, config: Config, fleet: Fleet, merger: Merger, *, memory: Memory, versions: Mapping[str, str]
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._merger = merger
        self._versions = dict(versions)
        self._path: Path = config.cluster.state
        self._remembered = memory
        self._drained = set(memory.drained)
        self._records: dict[str, StreamRecord] = {}
        self._links: dict[str, ShardLink] = {}
        self._parting: list[tuple[ShardLink, Future[None]]] = []
        self._refused: dict[str, str] = {}
        self._begun: dict[tuple[str, int], list[float]] = {}
        self._groups = count(1000)
        self._config_version = 0
        self._sent: dict[str, int] = {}
        self._changed_s = time.monotonic()
        self._saved_s = 0.0
        self._lock = threading.RLock()
        self._describe(config)
        self._adopt()

    # What may be asked of it, from any thread.

    def reload(self, config: Config) -> str:
        """Run another configuration's streams from now on; returns what changed."""
        with self._lock:
            return self._describe(config)

    def drain(self, node: str) -> str:
        """Have no stream on a node; returns what is done about it."""
        with self._lock:
            if node not in {each.name for each in self._fleet.nodes()}:
                return f"error: there is no node {node}; there are {', '.join(sorted(self._node_names()))}"
            self._drained.add(node)
            moved = [record.name for record in self._on_node(node)]
            return f"{node} is drained: {', '.join(moved) or 'nothing runs there'}"

    def undrain(self, node: str) -> str:
        """Let streams onto a node again."""
        with self._lock:
            if node not in self._drained:
                return f"error: {node} is not drained"
            self._drained.discard(node)
            return f"{node} takes streams again"

    def move(self, stream: str, node: str | None = None) -> str:
        """Have a stream run on another node; returns what is done about it."""
        with self._lock:
            record = self._records.get(stream)
            if record is None or record.removed:
                return f"error: there is no stream {stream}"
            if record.place == "aside":
                record.wait("asked for")
                return f"{stream} is tried again"
            if record.place != "placed" or record.shard not in self._links:
                return f"error: {stream} is {record.place} and can't be moved now"
            here = self._links[record.shard].node
            others = [each for each in self._usable() if each.id != here.id]
            if node is not None and node not in {each.name for each in others}:
                return f"error: {node} is no other node that takes streams; there are {self._told(others)}"
            chosen = choose_node(
                record.description.node,
                self._need(record),
                [each for each in others if node in (None, each.name)],
                self._loads(),
                "spread",
            )
            if chosen is None:
                return f"error: no other node may run {stream}"
            record.place, record.goes_to = "leaving", chosen.id
            if not record.crashes:
                record.group = None
            return f"{stream} moves from {here.name} to {chosen.name}"

    @property
    def records(self) -> list[StreamRecord]:
        """All streams."""
        with self._lock:
            return list(self._records.values())

    @property
    def links(self) -> list[ShardLink]:
        """All shards."""
        with self._lock:
            return list(self._links.values())

    def nodes(self) -> list[tuple[Node, str]]:
        """All nodes, and why one takes no streams."""
        with self._lock:
            told = []
            for node in self._with_capacity(self._fleet.nodes()):
                why = "drained" if node.name in self._drained else self._refused.get(node.id, "")
                told.append((node, why))
            return told

    # The one thread that runs it.

    def step(self) -> None:
        """See what has changed, and do what follows from it."""
        with self._lock:
            self._see_losses()
            self._see_parted()
            for link in list(self._links.values()):
                if link.status is not None:
                    self._see(link, link.status)
            self._leave_drained()
            self._start_shards()
            self._place()
            self._balance()
            self._give_orders()
            if time.monotonic() - self._saved_s >= _SAVE_S:
                self.save()

    def save(self) -> None:
        """Write down what the next driver is to know."""
        self._saved_s = time.monotonic()
        with self._lock:
            streams = {record.name: record.remembered() for record in self._records.values()}
            drained = sorted(self._drained)
        remember(self._path, Memory(streams=streams, positions=self._merger.positions(), drained=drained))

    def stop(self, within_s: float = 8.0) -> None:
        """End all streams, complete their outputs, and end all shards."""
        with self._lock:
            links = list(self._links.values())
            for record in self._records.values():
                record.removed = True
                if record.place == "placed":
                    record.place = "leaving"
            self._give_orders()
        until_s = time.monotonic() + within_s
        while any(record.place == "leaving" for record in self._records.values()) and time.monotonic() < until_s:
            with self._lock:
                self._see_losses()
                for link in list(self._links.values()):
                    if link.status is not None:
                        self._see(link, link.status)
            time.sleep(0.05)
        parting = [self._merger.leave(link.name) for link in links]
        enders = [threading.Thread(target=link.end, args=(2.0,)) for link in links]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for done in parting:
            done.result(5.0)
        self.save()

    def leave(self) -> None:
        """Have all go on without this driver."""
        for link in self.links:
            link.leave()
        self.save()

    # Configuration.

    def _describe(self, config: Config) -> str:
        described = {stream.name: stream for stream in config.resolved_streams()}
        added, changed, removed = [], [], []
        for name, stream in described.items():
            record = self._records.get(name)
            if record is None or record.removed:
                record = self._records[name] = StreamRecord(stream)
                if name in self._remembered.streams:
                    record.recall(self._remembered.streams[name])
                added.append(name)
            elif record.description != stream:
                changed.append(name)
                record.description = stream
                if record.place in ("aside", "done"):
                    record.wait("its configuration was changed")
        for name, record in self._records.items():
            if name not in described and not record.removed:
                removed.append(name)
                record.removed = True
                record.place = "leaving" if record.place == "placed" else "done"
        self._config = config
        self._config_version += 1
        parts = [
            f"{len(names)} {word} ({', '.join(names)})"
            for word, names in (("added", added), ("changed", changed), ("removed", removed))
            if names
        ]
        return f"the configuration is taken over: {', '.join(parts) or 'nothing changed'}"

    def _adopt(self) -> None:
        """Take over what an earlier driver has started."""
        nodes = {node.name: node for node in self._fleet.nodes()}
        for spec, handle in self._fleet.existing():
            node = nodes.get(spec.node)
            if node is None:
                handle.kill()
                continue
            link = self._links[spec.name] = ShardLink(spec.name, node, spec.group, handle)
            until_s = time.monotonic() + 10.0
            while link.status is None and link.loss is None and time.monotonic() < until_s:
                time.sleep(0.05)
            if link.status is not None:
                self._adopt_streams(link, link.status)

    def _adopt_streams(self, link: ShardLink, status: ShardStatus) -> None:
        for name, state in status.streams.items():
            record = self._records.get(name)
            if record is None or record.removed or state.epoch < record.epoch or state.state == "released":
                continue
            record.epoch, record.shard, record.place, record.state = state.epoch, link.name, "placed", state
            record.group = link.group if link.group >= self._config.cluster.processes_per_node else None
            info = SourceInfo(state.width, state.height, live=state.live, uri=state.source)
            self._merger.announce(name, link.node.name, info)
            logger.info("%s goes on at %s", name, link.node.name)

    # What is seen.

    def _see_losses(self) -> None:
        alive = {node.id for node in self._fleet.nodes()}
        for link in list(self._links.values()):
            if link.loss is None and link.node.id not in alive:
                link.lose("its node is gone")
            if link.loss is None and link.status is not None and link.status.pasts_age_s > _HANGS_S:
                link.loss = Loss(f"its pipeline has not come around for {_HANGS_S:.0f} s", crashed=True)
            if link.loss is None:
                continue
            logger.error("%s on %s is lost: %s", link.name, link.node.name, link.loss.reason)
            del self._links[link.name]
            self._sent.pop(link.name, None)
            threading.Thread(target=link.kill, name="kill", daemon=True).start()
            told = f"the process on {link.node.name} was lost: {link.loss.reason}"
            self._parting.append((link, self._merger.leave(link.name, told)))
            self._changed_s = time.monotonic()

    def _see_parted(self) -> None:
        """Streams of lost shards are free once all that these had published has gone out."""
        for link, done in list(self._parting):
            if not done.done():
                continue
            self._parting.remove((link, done))
            done.result()
            lost = [record for record in self._records.values() if record.shard == link.name]
            for record in lost:
                self._settle(record, link)
                record.wait("its process was lost")
                if record.removed:
                    record.place = "done"
            if link.loss is not None and link.loss.crashed:
                self._judge([record for record in lost if not record.removed], link, link.loss.reason)

    def _settle(self, record: StreamRecord, link: ShardLink) -> None:
        """Work out what a stream of a lost shard had come to."""
        status, since_s = link.status, time.monotonic() - link.heard_s
        pasts = RunPasts(run=record.run, seq=record.seq, streams={})
        past = record.past
        if status is not None and status.pasts is not None:
            state = status.streams.get(record.name)
            if state is not None and state.epoch == record.epoch and record.name in status.pasts.streams:
                pasts, past = status.pasts, status.pasts.streams[record.name]
            since_s += status.pasts_age_s
        past = self._merger.past_after(record.name, past, pasts, since_s=since_s)
        record.know(past, pasts.run, pasts.seq)

    def _judge(self, lost: Sequence[StreamRecord], link: ShardLink, reason: str) -> None:
        """A process ended by itself, and one of its streams may be to blame: find out which, and set it aside.

        All are started again in a process of their own kind; where that ends again, half of them in each of two.
        """
        if not lost:
            return
        crashes = max(record.crashed() for record in lost)
        if len(lost) == 1 and crashes >= _CRASHES:
            lost[0].set_aside(f"its process ended {crashes} times: {reason}")
            logger.error("%s is set aside: %s", lost[0].name, lost[0].reason)
            return
        own = next(self._groups)
        halves = [lost] if len(lost) == 1 or crashes < 2 else [lost[::2], lost[1::2]]
        for half in halves:
            for record in half:
                record.goes_to, record.group = link.node.id, own
            own = next(self._groups)

    def _see(self, link: ShardLink, status: ShardStatus) -> None:
        wrong = [
            f"{name} {status.versions.get(name)} and not {version}"
            for name, version in self._versions.items()
            if status.versions.get(name) != version
        ]
        if wrong or status.trouble:
            why = f"it has {', '.join(wrong)}" if wrong else f"it can run nothing: {status.trouble}"
            self._refuse(link, why)
            return
        self._merger.follow(link.name, link.node.name, status.feed)
        if status.pasts is not None:
            self._merger.known(status.pasts)
        for record in self._records.values():
            if record.shard == link.name:
                self._see_stream(record, status)

    def _refuse(self, link: ShardLink, why: str) -> None:
        if link.node.id not in self._refused:
            logger.error("%s takes no streams: %s", link.node.name, why)
        self._refused[link.node.id] = why
        link.lose(why)

    def _see_stream(self, record: StreamRecord, status: ShardStatus) -> None:
        state = status.streams.get(record.name)
        if state is None or state.epoch != record.epoch:
            if record.place == "leaving" and self._has_taken_over(record, status):
                self._freed(record)  # it was never begun there
            return
        record.state = state
        pasts = status.pasts
        if pasts is not None and record.name in pasts.streams:
            record.know(pasts.streams[record.name], pasts.run, pasts.seq)
        if state.state in ("released", "ended", "failed"):
            if pasts is not None and self._merger.position(pasts.run) < pasts.seq:
                return  # what it told last is still on its way
            if state.state == "failed" and not record.removed:
                record.set_aside(state.error or "it failed")
                record.group = None
            elif state.state == "ended" and not record.removed:
                record.place, record.shard, record.reason = "done", None, "it came to its end"
            elif record.place == "leaving":
                self._freed(record)

    def _has_taken_over(self, record: StreamRecord, status: ShardStatus) -> bool:
        link = self._links.get(record.shard or "")
        order = None if link is None else link.order
        return order is not None and record.name not in order.streams and status.version == order.version

    def _freed(self, record: StreamRecord) -> None:
        record.wait("it moves", record.goes_to)
        if record.removed:
            record.place = "done"

    # What is done.

    def _node_names(self) -> set[str]:
        return {node.name for node in self._fleet.nodes()}

    def _with_capacity(self, nodes: Iterable[Node]) -> list[Node]:
        measured: dict[str, float] = {}
        for link in self._links.values():
            if link.status is not None and link.status.capacity:
                measured[link.node.id] = max(link.status.capacity, measured.get(link.node.id, 0.0))
        return [replace(node, capacity=measured.get(node.id)) for node in nodes]

    def _usable(self) -> list[Node]:
        """Nodes that take streams and have a shard that answers."""
        ready = {link.node.id for link in self._links.values() if self._answers(link)}
        return [
            node
            for node in self._with_capacity(self._fleet.nodes())
            if node.id in ready and node.name not in self._drained and node.id not in self._refused
        ]

    def _answers(self, link: ShardLink) -> bool:
        return link.loss is None and link.status is not None and link.status.capacity is not None

    def _told(self, nodes: Iterable[Node]) -> str:
        return ", ".join(sorted(node.name for node in nodes)) or "none"

    def _need(self, record: StreamRecord) -> float:
        fps = record.state.decoded_fps if record.state is not None and record.state.decoded_fps > 1 else None
        return need(record.description, fps)

    def _loads(self) -> dict[str, float]:
        loads: dict[str, float] = {}
        for record in self._records.values():
            link = self._links.get(record.shard or "")
            if link is not None and record.place == "placed":
                loads[link.node.id] = loads.get(link.node.id, 0.0) + self._need(record)
        return loads

    def _on_node(self, name: str) -> list[StreamRecord]:
        names = {link.name for link in self._links.values() if link.node.name == name}
        return [record for record in self._records.values() if record.shard in names]

    def _leave_drained(self) -> None:
        for record in self._records.values():
            link = self._links.get(record.shard or "")
            if link is None or record.place != "placed":
                continue
            others = [node for node in self._usable() if fits(record.description.node, node)]
            misplaced = not fits(record.description.node, link.node)
            if (link.node.name in self._drained or misplaced) and others:
                record.place, record.goes_to = "leaving", None
            elif link.node.name in self._drained:
                record.reason = "no other node may run it, so it stays"

    def _start_shards(self) -> None:
        """Have as many processes on each node as there are to be, and those that streams are to have for themselves."""
        groups = {(link.node.id, link.group) for link in self._links.values()}
        for node in self._fleet.nodes():
            if node.id in self._refused or node.name in self._drained or node.cores <= 0:
                continue
            wanted = set(range(self._config.cluster.processes_per_node))
            wanted |= {
                record.group
                for record in self._records.values()
                if record.group is not None and record.place == "waiting" and record.goes_to == node.id
            }
            for group in sorted(wanted):
                if (node.id, group) not in groups and self._may_start(node, group):
                    self._start(node, group, len(wanted))
        self._end_idle()

    def _may_start(self, node: Node, group: int) -> bool:
        """A process that ends again and again is started ever more seldom."""
        now_s = time.monotonic()
        begun = [at_s for at_s in self._begun.get((node.id, group), []) if now_s - at_s < 600]
        self._begun[node.id, group] = begun
        return not begun or now_s - begun[-1] >= min(60.0, _AGAIN_S * 2 ** (len(begun) - 1))

    def _start(self, node: Node, group: int, groups: int) -> None:
        threads = max(1, int(node.cores) // groups)
        name = f"shard-{node.name}-{group}-{uuid.uuid4().hex[:8]}"
        spec = ShardSpec(name=name, group=group, node=node.name, host=node.host, threads=threads, config=self._config)
        self._begun.setdefault((node.id, group), []).append(time.monotonic())
        self._links[name] = ShardLink(name, node, group, self._fleet.start(spec, node))

    def _end_idle(self) -> None:
        """End processes that a node is to have no more."""
        used = {record.shard for record in self._records.values()}
        for link in list(self._links.values()):
            extra = link.group >= self._config.cluster.processes_per_node
            wanted = any(record.group == link.group and record.place == "waiting" for record in self._records.values())
            drained = link.node.name in self._drained
            if link.name not in used and ((extra and not wanted) or drained) and link.status is not None:
                del self._links[link.name]
                self._merger.leave(link.name)
                threading.Thread(target=link.end, args=(5.0,), name="end", daemon=True).start()

    def _place(self) -> None:
        usable, loads = self._usable(), self._loads()
        waiting = [record for record in self._records.values() if not record.removed]
        starting = any(
            not self._answers(link) and time.monotonic() - link.begun_s < _START_S for link in self._links.values()
        )
        for record in waiting:
            record.comes_back()
        for record in sorted(waiting, key=lambda record: -self._need(record)):
            if record.place != "waiting" or (record.new and starting):
                continue
            node = self._node_for(record, usable, loads)
            link = None if node is None else self._shard_on(node, record.group)
            if node is None or link is None:
                continue
            record.epoch, record.new = record.epoch + 1, False
            record.place, record.shard, record.goes_to, record.reason = "placed", link.name, None, ""
            loads[node.id] = loads.get(node.id, 0.0) + self._need(record)
            self._changed_s = time.monotonic()

    def _node_for(self, record: StreamRecord, usable: Sequence[Node], loads: Mapping[str, float]) -> Node | None:
        goes_to = next((node for node in usable if node.id == record.goes_to), None)
        if goes_to is not None and fits(record.description.node, goes_to):
            return goes_to
        if record.group is not None and record.goes_to in {node.id for node in self._fleet.nodes()}:
            return None  # its process is being started
        chosen = choose_node(record.description.node, self._need(record), usable, loads, self._config.cluster.placement)
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
        used = Counter(record.shard for record in self._records.values())
        groups = range(self._config.cluster.processes_per_node) if group is None else (group,)
        here = [
            link
            for link in self._links.values()
            if link.node.id == node.id and link.group in groups and self._answers(link)
        ]
        return min(here, key=lambda link: used[link.name], default=None)

    def _balance(self) -> None:
        settled = time.monotonic() - self._changed_s >= _SETTLED_S
        busy = self._parting or any(record.place in ("waiting", "leaving") for record in self._records.values())
        if not self._config.cluster.rebalance or busy or not settled:
            return
        placed = []
        for record in self._records.values():
            link = self._links.get(record.shard or "")
            if record.place == "placed" and link is not None and record.group is None:
                placed.append(Placed(record.name, record.description.node, self._need(record), link.node.id))
        move = choose_move(placed, self._usable(), self._config.cluster.placement)
        if move is not None:
            stream, node = move
            record = self._records[stream.name]
            record.place, record.goes_to = "leaving", node.id
            self._changed_s = time.monotonic()
            logger.info("%s moves to %s, which has more room", stream.name, node.name)

    def _give_orders(self) -> None:
        for link in self._links.values():
            mine = [
                record for record in self._records.values() if record.shard == link.name and record.place == "placed"
            ]
            streams = {record.name: Assignment(record.epoch, record.past) for record in mine}
            before = {} if link.order is None else link.order.streams
            same = {name: each.epoch for name, each in before.items()} == {
                name: each.epoch for name, each in streams.items()
            }
            if same and self._sent.get(link.name) == self._config_version and link.order is not None:
                continue
            version = max(
                0 if link.order is None else link.order.version, 0 if link.status is None else link.status.version
            )
            if link.status is None and link.order is None and not streams:
                continue
            link.order = Order(version=version + 1, config=shard_config(self._config, set(streams)), streams=streams)
            self._sent[link.name] = self._config_version
