"""A Ray cluster of several node processes on this machine's loopback address, whose nodes can lose their power.

with RayCluster(folder, ["gate", "yard"]) as cluster:
    cluster.address
    cluster.kill("yard")
    cluster.start("yard")
    cluster.kill_head()
    cluster.start_head()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from sightline.cluster.ray_environment import RAY_ENVIRONMENT

# About the least that Ray takes; nothing of a size goes through it.
_STORE_BYTES = 80_000_000
# Nodes are started as docs/cluster.md has it, and kept on loopback addresses.
ENVIRONMENT = {**RAY_ENVIRONMENT, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def require_ray() -> None:
    """Skip the test that calls this where Ray is not installed."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sightline[cluster]'")


class RayCluster:
    """Runs while its context is entered: a head without cores, and nodes.

    Args:
        nodes: names, which they have as the label ``name``.
        cores: that each is said to have.
        labels: further ones, by the name of the node.
        environment: further variables, of Ray and of who joins.
    """

    def __init__(
        self,
        nodes: Sequence[str],
        *,
        cores: int = 1,
        labels: Mapping[str, Mapping[str, str]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._names = tuple(nodes)
        self._cores = cores
        self._labels = labels or {}
        self._nodes: dict[str, Any] = {}
        self.address = ""
        # Sockets lie in it, whose paths may not be long.
        self.folder = Path(tempfile.mkdtemp(prefix="sl-ray-"))
        self._environment = {**ENVIRONMENT, "RAY_TMPDIR": str(self.folder), **(environment or {})}
        self._before = {name: os.environ.get(name) for name in self._environment}

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to join."""
        return {**os.environ, **self._environment}

    def __enter__(self) -> Self:
        os.environ.update(self._environment)
        (self.folder / "ray").mkdir()
        from ray.cluster_utils import Cluster

        try:
            self._cluster = Cluster()
            self.start_head()
            self.address = str(self._cluster.address)
            for name in self._names:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._nodes):
            self.kill(name)
        if getattr(getattr(self, "_cluster", None), "head_node", None) is not None:
            self.kill_head()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_head(self) -> None:
        """Have a head; one that comes after another listens where that did."""
        port: dict[str, Any] = {"gcs_server_port": int(self.address.rpartition(":")[2])} if self.address else {}
        self._cluster.add_node(
            num_cpus=0,
            include_dashboard=False,
            include_log_monitor=False,
            object_store_memory=_STORE_BYTES,
            node_ip_address="127.0.0.1",
            **port,
        )

    def kill_head(self) -> None:
        """End the head and all its processes at once; the nodes stay."""
        _kill(self._cluster.head_node)
        self._cluster.head_node = None

    def start(self, name: str) -> None:
        """Have a node of that name, a new one to Ray."""
        self._nodes[name] = self._cluster.add_node(
            wait=False,
            num_cpus=self._cores,
            include_log_monitor=False,
            object_store_memory=_STORE_BYTES,
            node_ip_address="127.0.0.1",
            labels={"name": name, **self._labels.get(name, {})},
        )

    def kill(self, name: str) -> None:
        """End a node and all its processes at once, as a loss of power does."""
        _kill(self._nodes.pop(name))

    def shards(self) -> list[psutil.Process]:
        """The processes that run pipelines, on all nodes."""
        found = []
        for process in [each for node in self._nodes.values() for each in _processes(node)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if "ray::_ShardActor" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each node's processes, in 10**6 bytes."""
        return {name: sum(_resident(each) for each in _processes(node)) / 1e6 for name, node in self._nodes.items()}


def _processes(node: Any) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for started in node.all_processes.values():
        for info in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(info.process.pid)
                found += [process, *process.children(recursive=True)]
    return found


def _kill(node: Any) -> None:
    processes = _processes(node)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for started in node.all_processes.values():
        for info in started:
            info.process.wait()
    psutil.wait_procs(processes, timeout=5)


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
