"""Machines of a cluster as far as its supervisor can tell: shards in this process, which can be lost in every way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

from pipeline.errors import PipelineError
from sightline.cluster.messages import Order, ShardSpec, ShardStatus
from sightline.cluster.placement import Node
from sightline.cluster.shard import Shard
from sightline.cluster.shard_link import ShardGoneError, ShardHandle
from tests.support.fakes import BlobDetector

VERSIONS = {"sightline": "this"}


class LocalShard:
    """A shard's handle.

    Args:
        spec: of the shard.
        crashes: whether its process ends by itself with such a status.
        versions: of its machine.
    """

    def __init__(self, spec: ShardSpec, crashes: Callable[[ShardStatus], bool], versions: Mapping[str, str]) -> None:
        self.spec = spec
        self._crashes = crashes
        self._gone: ShardGoneError | None = None
        self._lock = threading.Lock()
        self._shard = Shard(spec, dict(versions), detector=BlobDetector())

    def sync(self, order: Order | None, wait_s: float, timeout_s: float) -> ShardStatus:
        if self._gone is None:
            status = self._shard.sync(order, wait_s)
            if not self._crashes(status):
                return status
            self.end(ShardGoneError("the process ended", crashed=True))
        assert self._gone is not None
        raise self._gone

    def close(self, timeout_s: float) -> None:
        self._shard.close()
        self._gone = self._gone or ShardGoneError("it was ended", crashed=False)

    def kill(self) -> None:
        self.end(ShardGoneError("it was killed", crashed=False))

    def end(self, why: ShardGoneError) -> None:
        """From now on nothing comes of it."""
        with self._lock:
            if self._gone is not None:
                return
            self._gone = why
        self._shard._sink.close()  # before its streams could say goodbye
        with contextlib.suppress(PipelineError, RuntimeError):
            self._shard.close()


class LocalFleet:
    """Machines, each with one core.

    Args:
        nodes: their labels by their names.
        crashes: with which status a process ends by itself.
        versions: of a machine, where they are others than this one's.
    """

    def __init__(
        self,
        nodes: Mapping[str, Mapping[str, str]],
        crashes: Callable[[ShardStatus], bool] = lambda status: False,
        versions: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._nodes = {name: Node(f"id-{name}", name, "127.0.0.1", 1.0, labels) for name, labels in nodes.items()}
        self._crashes = crashes
        self._versions = versions or {}
        self.shards: list[LocalShard] = []

    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def start(self, spec: ShardSpec, node: Node) -> ShardHandle:
        made = LocalShard(spec, self._crashes, self._versions.get(node.name, VERSIONS))
        self.shards.append(made)
        return made

    def existing(self) -> list[tuple[ShardSpec, ShardHandle]]:
        return [(shard.spec, shard) for shard in self.shards if shard._gone is None]

    def lose(self, name: str) -> None:
        """A machine loses its power."""
        self._nodes.pop(name)
        for shard in self.shards:
            if shard.spec.node == name:
                shard.kill()

    def close(self) -> None:
        """End what is left."""
        for shard in self.shards:
            shard.kill()
