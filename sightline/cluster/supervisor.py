"""Which stream runs where: places streams on shards, sees what is lost, and has it run elsewhere.

    nodes, statuses of shards --Supervisor.step--> orders for shards, what the merger is to follow

One thread calls ``step``, in which nothing waits, and then ``wait``, which lasts a second, or until something has
changed. What it decides is in the records of the streams, and what shards are to do follows from these, so that it does
not matter which answers come when.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.runtime.streams.stream_past import RunPasts
from pipeline.types import SourceInfo
from sightline.cluster.board import Board, Fleet
from sightline.cluster.losses import Losses
from sightline.cluster.memory import Memory, remember
from sightline.cluster.merger import Merger
from sightline.cluster.messages import ShardStatus
from sightline.cluster.placement import Node, choose_node
from sightline.cluster.placing import Placing
from sightline.cluster.shard_link import BUSY_S, STEADY_S, ShardLink
from sightline.cluster.stream_record import StreamRecord
from sightline.cluster.watching import Watching
from sightline.composition.reload import differing
from sightline.composition.reloader import FIXED_KEYS
from sightline.config.schema import Config

logger = logging.getLogger(__name__)

_SAVE_S = 2.0
_STEP_S = 1.0
_BUSY_STEP_S = 0.1


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
        self._board = Board(config, fleet, merger, dict(versions), set(memory.drained))
        self._losses, self._watching, self._placing = Losses(self._board), Watching(self._board), Placing(self._board)
        self._path: Path = config.cluster.state
        self._remembered = memory
        self._saved_s = 0.0
        self._lock = threading.RLock()
        self._describe(config)
        self._adopt()
        self._settle_lost()

    # What may be asked of it, from any thread.

    def reload(self, config: Config) -> str:
        """Run another configuration's streams from now on; returns what changed."""
        with self._lock:
            self.wake()
            return self._describe(config)

    def drain(self, node: str) -> str:
        """Have no stream on a node; returns what is done about it."""
        with self._lock:
            if node not in {each.name for each in self._board.fleet.nodes()}:
                return f"error: there is no node {node}; there are {', '.join(sorted(self._node_names()))}"
            self._board.drained.add(node)
            self.wake()
            moved = [record.name for record in self._board.on_node(node)]
            return f"{node} is drained: {', '.join(moved) or 'nothing runs there'}"

    def undrain(self, node: str) -> str:
        """Let streams onto a node again."""
        with self._lock:
            if node not in self._board.drained:
                return f"error: {node} is not drained"
            self._board.drained.discard(node)
            self.wake()
            return f"{node} takes streams again"

    def move(self, stream: str, node: str | None = None) -> str:
        """Have a stream run on another node; returns what is done about it."""
        with self._lock:
            record = self._board.records.get(stream)
            if record is None or record.removed:
                return f"error: there is no stream {stream}"
            if record.place == "aside":
                record.wait("asked for")
                self.wake()
                return f"{stream} is tried again"
            if record.place != "placed" or record.shard not in self._board.links:
                return f"error: {stream} is {record.place} and can't be moved now"
            here = self._board.links[record.shard].node
            others = [each for each in self._board.usable() if each.id != here.id]
            if node is not None and node not in {each.name for each in others}:
                return f"error: {node} is no other node that takes streams; there are {self._told(others)}"
            chosen = choose_node(
                record.description.node,
                record.need,
                [each for each in others if node in (None, each.name)],
                self._board.loads(),
                "spread",
            )
            if chosen is None:
                return f"error: no other node may run {stream}"
            record.place, record.goes_to = "leaving", chosen.id
            self.wake()
            if not record.crashes:
                record.group = None
            return f"{stream} moves from {here.name} to {chosen.name}"

    def shard_of(self, stream: str) -> ShardStatus | None:
        """What the process told last that has a stream; None where none has it."""
        with self._lock:
            record = self._board.records.get(stream)
            link = None if record is None else self._board.link_of(record)
            return None if link is None else link.status

    @property
    def records(self) -> list[StreamRecord]:
        """All streams."""
        with self._lock:
            return list(self._board.records.values())

    @property
    def links(self) -> list[ShardLink]:
        """All shards."""
        with self._lock:
            return list(self._board.links.values())

    def nodes(self) -> list[tuple[Node, str]]:
        """All nodes, and why one takes no streams."""
        with self._lock:
            told = []
            for node in self._board.with_capacity(self._board.fleet.nodes()):
                why = "drained" if node.name in self._board.drained else self._board.refused.get(node.id, "")
                if node.cores <= 0:
                    why = "it was started without cores"
                told.append((node, why))
            return told

    # The one thread that runs it.

    def step(self) -> None:
        """See what has changed, and do what follows from it."""
        with self._lock:
            self._losses.step()
            for link in list(self._board.links.values()):
                if link.status is not None:
                    self._watching.see(link, link.status)
            self._placing.step()
            busy = self._board.busy()
            for link in self._board.links.values():
                link.wait_s = BUSY_S if busy else STEADY_S
            if time.monotonic() - self._saved_s >= _SAVE_S:
                self.save()

    def wait(self) -> None:
        """Wait until it is time for the next ``step``."""
        self._board.news.wait(_BUSY_STEP_S if self._board.busy() else _STEP_S)
        self._board.news.clear()

    def wake(self) -> None:
        """Have ``wait`` return; for any thread."""
        self._board.news.set()

    def save(self) -> None:
        """Write down what the next driver is to know."""
        self._saved_s = time.monotonic()
        with self._lock:
            streams = {record.name: record.remembered() for record in self._board.records.values()}
            drained = sorted(self._board.drained)
        remember(self._path, Memory(streams=streams, positions=self._board.merger.positions(), drained=drained))

    def stop(self, within_s: float = 8.0) -> None:
        """End all streams, complete their outputs, and end all shards."""
        with self._lock:
            links = list(self._board.links.values())
            for record in self._board.records.values():
                record.removed = True
                if record.place == "placed":
                    record.place = "leaving"
            self._placing.give_orders()
        until_s = time.monotonic() + within_s
        while any(record.place == "leaving" for record in self._board.records.values()) and time.monotonic() < until_s:
            with self._lock:
                self._losses.step()
                for link in list(self._board.links.values()):
                    if link.status is not None:
                        self._watching.see(link, link.status)
            time.sleep(0.05)
        parting = [self._board.merger.leave(link.name) for link in links]
        enders = [threading.Thread(target=link.end, args=(2.0,)) for link in links]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for done in parting:
            done.result(5.0)
        self.save()

    def leave(self) -> None:
        """Have all go on without this driver; the merged feed ends here."""
        for link in self.links:
            link.leave()
        self._board.merger.close()  # what it puts out until then the next driver does not
        self.save()

    # Configuration.

    def _describe(self, config: Config) -> str:
        described = {stream.name: stream for stream in config.resolved_streams()}
        added, changed, removed = [], [], []
        for name, stream in described.items():
            record = self._board.records.get(name)
            if record is None:
                record = self._board.records[name] = StreamRecord(stream)
                if name in self._remembered.streams:
                    record.recall(self._remembered.streams[name])
                added.append(name)
            elif record.removed:  # what it came to before goes on
                record.description, record.removed = stream, False
                if record.place == "done":
                    record.wait("it was added again")
                added.append(name)
            elif record.description != stream:
                changed.append(name)
                record.description = stream
                if record.place in ("aside", "done"):
                    record.wait("its configuration was changed")
        for name, record in self._board.records.items():
            if name not in described and not record.removed:
                removed.append(name)
                record.removed = True
                record.place = "leaving" if record.place == "placed" else "done"
        fixed = differing(self._board.config, config, FIXED_KEYS)
        self._board.config = config
        self._board.config_version += 1
        parts = [
            f"{len(names)} {word} ({', '.join(names)})"
            for word, names in (("added", added), ("changed", changed), ("removed", removed))
            if names
        ]
        told = f"the configuration is taken over: {', '.join(parts) or 'no stream changed'}"
        return f"{told}; only a new run takes over what changed in {', '.join(fixed)}" if fixed else told

    def _adopt(self) -> None:
        """Take over what an earlier driver has started."""
        nodes = {node.name: node for node in self._board.fleet.nodes()}
        for spec, handle in self._board.fleet.existing():
            node = nodes.get(spec.node)
            if node is None:
                handle.kill()
                continue
            link = ShardLink(spec.name, node, spec.group, handle, news=self._board.news.set)
            self._board.links[spec.name] = link
            until_s = time.monotonic() + 10.0
            while link.status is None and link.loss is None and time.monotonic() < until_s:
                time.sleep(0.05)
            if link.status is not None:
                self._adopt_streams(link, link.status)

    def _adopt_streams(self, link: ShardLink, status: ShardStatus) -> None:
        for name, state in status.streams.items():
            record = self._board.records.get(name)
            if record is None or record.removed or state.epoch < record.epoch or state.state == "released":
                continue
            record.epoch, record.shard, record.place, record.state = state.epoch, link.name, "placed", state
            record.given, record.new = record.past, False
            record.group = link.group if link.group >= self._board.config.cluster.processes_per_node else None
            info = SourceInfo(state.width, state.height, live=state.live, uri=state.source)
            self._board.merger.announce(name, link.node.name, info)
            logger.info("%s goes on at %s", name, link.node.name)

    def _settle_lost(self) -> None:
        """Streams whose processes ended while nobody looked came to more than these had told."""
        for record in self._board.records.values():
            remembered = self._remembered.streams.get(record.name)
            if remembered is None or not remembered.ran or record.place != "waiting":
                continue
            since_s = time.monotonic() - record.told_s
            told = RunPasts(run=record.run, seq=record.seq, streams={})
            past = self._board.merger.past_after(record.name, record.past, told, since_s=since_s)
            record.know(past, record.run, record.seq)

    def _node_names(self) -> set[str]:
        return {node.name for node in self._board.fleet.nodes()}

    def _told(self, nodes: Iterable[Node]) -> str:
        return ", ".join(sorted(node.name for node in nodes)) or "none"
