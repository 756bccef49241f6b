"""The cluster as Ray has it: its machines, and shards as actors on them. The one module that imports Ray.

Ray starts processes, says where they are and carries calls to them. That a process or a machine is lost is found by
asking it (`sightline.cluster.shard_link`): Ray needs longer for that, and asks only its own processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.errors import ConfigError
from pipeline.hardware import available_threads
from sightline.cluster.messages import Order, ShardSpec, ShardStatus, own_versions
from sightline.cluster.placement import Node
from sightline.cluster.shard import Shard
from sightline.cluster.shard_link import ShardGoneError, ShardHandle, ShardSilentError

logger = logging.getLogger(__name__)

NAMESPACE = "sightline"
# Nothing of a size goes through Ray's object store; this is about the least that it takes.
OBJECT_STORE_BYTES = 100_000_000
_NAME_LABEL = "name"
_LOOPBACK = "127.0.0.1"
# Ray starts its workers with a niceness of 15: whatever else a machine does would take the processor from its cameras.
_PRIORITY = {"RAY_worker_niceness": "0"}
_NODES_S = 1.0
_PARENT_S = 0.5
_ENDING_S = 3.0
_PARTING_S = 10.0
_ANSWERING_S = 1.0


class _ShardActor:
    """A shard as Ray calls it, one call after the other in the main thread of its process.

    While that thread waits in ``sync`` it costs nothing. Left to itself it would look for signals a hundred times a
    second, as Ray has it do, and take the interpreter from the pipeline each time.
    """

    def __init__(self, spec: ShardSpec) -> None:
        self._spec = spec
        self._shard = Shard(spec, own_versions())
        threading.Thread(target=self._end_with, args=(os.getppid(),), name="parent", daemon=True).start()
        # Ray's own way with it is an exception in this thread, for which the other threads do not end.
        signal.signal(signal.SIGTERM, lambda *_: self._end())

    def _end_with(self, parent: int) -> None:
        """End when Ray on this machine does: nobody could stop this process any more, and its streams run elsewhere."""
        while os.getppid() == parent:
            time.sleep(_PARENT_S)
        self._end()

    def _end(self) -> None:
        """End the process, in order if that takes no longer than it may."""
        ending = threading.Thread(target=self._shard.close, daemon=True)  # outputs are completed
        ending.start()
        ending.join(_ENDING_S)
        os._exit(1)

    def spec(self) -> ShardSpec:
        return self._spec

    def sync(self, order: Order | None, wait_s: float) -> ShardStatus:
        return self._shard.sync(order, wait_s)

    def close(self) -> None:
        """End the streams, then, once that was answered, the process: without a head nobody else could."""
        self._shard.close()
        ending = threading.Timer(_ANSWERING_S, os._exit, (0,))
        ending.daemon = True
        ending.start()


class _RayShard:
    """A handle of a shard's actor, which may yet have to come."""

    def __init__(self, actor: Future[Any]) -> None:
        self._actor = actor

    @classmethod
    def of(cls, actor: Any) -> _RayShard:
        """Of one that is there."""
        there: Future[Any] = Future()
        there.set_result(actor)
        return cls(there)

    def spec(self, timeout_s: float) -> ShardSpec:
        return cast(ShardSpec, self._call("spec", timeout_s))

    def sync(self, order: Order | None, wait_s: float, timeout_s: float) -> ShardStatus:
        return cast(ShardStatus, self._call("sync", timeout_s, order, wait_s))

    def close(self, timeout_s: float) -> None:
        with contextlib.suppress(ShardSilentError, ShardGoneError):
            self._call("close", timeout_s)
        self.kill()

    def kill(self) -> None:
        self._actor.add_done_callback(_kill)

    def _call(self, method: str, timeout_s: float, *arguments: Any) -> Any:
        try:
            actor = self._actor.result(timeout_s)
        except TimeoutError:
            raise ShardSilentError("Ray has not made it yet") from None
        try:
            return ray.get(getattr(actor, method).remote(*arguments), timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            raise ShardSilentError(f"no answer within {timeout_s:g} s") from None
        except ray.exceptions.ActorUnavailableError:
            time.sleep(0.2)  # its connection is gone; what came of the process shows with the next calls
            raise ShardSilentError("its connection broke") from None
        except ray.exceptions.RayTaskError as error:
            raise ShardGoneError(f"it could not start: {error.cause}", crashed=True) from error
        except ray.exceptions.RayActorError as error:
            text = " ".join(str(error).split())
            raise ShardGoneError(_why(text), crashed="node" not in text.lower()) from None


def _kill(actor: Future[Any]) -> None:
    """End an actor, if it came to be."""
    if actor.exception() is None:
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            ray.kill(actor.result(), no_restart=True)


def _why(text: str) -> str:
    """The part of Ray's message that says what happened."""
    _, _, detail = text.partition("exit detail: ")
    return (detail or text).split(". ")[0][:200]


class RayFleet:
    """A connection to a Ray cluster, or to one that is started here and ends with it.

    Args:
        address: ``HOST:PORT`` of the cluster's head; None starts Ray on this machine alone.

    Raises:
        ConfigError: there is none, this machine is none of its nodes, or its versions are others.
    """

    def __init__(self, address: str | None = None) -> None:
        self._own = address is None
        options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            options |= {
                "address": "local",
                "num_cpus": available_threads(),
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_node_ip_address": _LOOPBACK,
            }
        else:
            _check_reachable(address)
            options["address"] = address
        try:
            ray.init(**options)
        except (RuntimeError, ConnectionError, ValueError, OSError) as error:
            raise ConfigError(f"cluster: {_connection_problem(address, str(error))}") from None
        self._nodes: Sequence[Node] = self._ask_nodes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nodes", daemon=True)
        self._thread.start()

    def nodes(self) -> Sequence[Node]:
        """The machines that Ray takes to be alive."""
        return self._nodes

    def start(self, spec: ShardSpec, node: Node) -> ShardHandle:
        """A new shard on a machine. What goes wrong at that shows when it is asked something.

        Ray is asked for it in a thread: without a head it would not answer until there is one.
        """
        actor: Future[Any] = Future()
        threading.Thread(target=self._make, args=(spec, node, actor), name=f"start {spec.name}", daemon=True).start()
        return _RayShard(actor)

    @staticmethod
    def _make(spec: ShardSpec, node: Node, actor: Future[Any]) -> None:
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
        made = ray.remote(_ShardActor).options(
            name=spec.name,
            lifetime="detached",
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=strategy,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(max(1, spec.threads)), **_PRIORITY}},
        )
        try:
            actor.set_result(made.remote(spec))
        except Exception as error:
            logger.exception("%s can't be started", spec.name)
            actor.set_exception(ShardGoneError(f"it could not start: {error}", crashed=True))

    def existing(self) -> list[tuple[ShardSpec, ShardHandle]]:
        """Shards that an earlier driver has started and that still run."""
        found: list[tuple[ShardSpec, ShardHandle]] = []
        for name in ray.util.list_named_actors():
            with contextlib.suppress(ValueError, ShardSilentError, ShardGoneError):
                handle = _RayShard.of(ray.get_actor(name))
                found.append((handle.spec(5.0), handle))
        return found

    def close(self) -> None:
        """Part with the cluster; one that was started here ends.

        Without a head Ray would not answer until there is one: it is then left to the end of the process, which
        `sightline.commands.main.end_process` sees to.
        """
        self._over.set()
        parting = threading.Thread(target=self._part, name="await Ray", daemon=True)
        parting.start()
        parting.join(_PARTING_S)
        if parting.is_alive():
            logger.warning("cluster: Ray does not answer, as without a head; this process ends without it")

    def _part(self) -> None:
        self._thread.join()
        ray.shutdown()

    def _watch(self) -> None:
        told = False
        while not self._over.wait(_NODES_S):
            try:
                self._nodes = self._ask_nodes()
                told = False
            except (ray.exceptions.RayError, RuntimeError) as error:
                if not told:
                    logger.warning("cluster: Ray does not say which machines there are; the last ones count: %s", error)
                told = True

    def _ask_nodes(self) -> Sequence[Node]:
        told: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        alive = [each for each in told if each["Alive"]]
        hosts = Counter(each["NodeManagerAddress"] for each in alive)
        return [_node(each, alone=hosts[each["NodeManagerAddress"]] == 1) for each in alive]


def _node(told: Mapping[str, Any], *, alone: bool) -> Node:
    """A node, by its label ``name``, or else by its address, unless it shares that with others."""
    labels = {str(key): str(value) for key, value in (told.get("Labels") or {}).items()}
    host, number = str(told["NodeManagerAddress"]), str(told["NodeID"])
    name = labels.get(_NAME_LABEL) or (host if alone else f"{host}-{number[:6]}")
    return Node(id=number, name=name, host=host, cores=float(told["Resources"].get("CPU", 0.0)), labels=labels)


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"cluster: address {address!r}: expected HOST:PORT, such as 10.0.0.1:6379")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3.0):
            pass
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cluster: nothing answers at {address} ({error}); start Ray there: ray start --head --port {port}"
        ) from None


def _connection_problem(address: str | None, text: str) -> str:
    text = " ".join(text.split())
    if "ersion mismatch" in text:
        return f"the cluster at {address} runs other versions than this machine: {text[:300]}"
    if address is not None and ("node" in text.lower() or "raylet" in text.lower()):
        return f"this machine is no node of the cluster at {address}; run here: ray start --address {address}"
    return f"Ray can't be used: {text[:300]}"
