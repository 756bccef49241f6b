"""A configuration on a cluster, from beginning to end: the fleet, the supervisor, the merged feed, and the commands."""

from __future__ import annotations

import logging
import os
import queue
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import msgspec

from pipeline.errors import ConfigError, PipelineError
from pipeline.models.custom import choose_model
from sightline.cluster.memory import recall
from sightline.cluster.merger import Merger, merged_error
from sightline.cluster.messages import own_versions
from sightline.cluster.pictures import PictureReader, StreamPicture
from sightline.cluster.ray_environment import use_ray_environment
from sightline.cluster.status import ClusterStatus, cluster_status, status_text
from sightline.cluster.supervisor import Supervisor
from sightline.composition.outputs import build_shared_sinks
from sightline.config.schema import Config
from sightline.server.control_socket import ControlSocket

if TYPE_CHECKING:
    from sightline.cluster.ray_fleet import RayFleet
    from sightline.server.http_server import HttpServer

logger = logging.getLogger(__name__)

DEFAULT_CONTROL = "tcp://127.0.0.1:5558"

Ending = Literal["stop", "leave"]


def _fleet(address: str | None) -> RayFleet:
    """The machines of that cluster."""
    use_ray_environment()
    if address is None or address.rpartition(":")[0] in ("127.0.0.1", "localhost"):
        # Ray would take 127.0.0.1 for an address by which others reach this machine, and open it to them. It looks at
        # this when it is imported.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        from sightline.cluster.ray_fleet import RayFleet
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("cluster: needs Ray: pip install 'sightline[cluster]'") from error
    return RayFleet(address)


class ClusterRun:
    """Runs a configuration on a cluster; ``run`` returns once it was ended, or all streams came to their end.

    Args:
        config: what to run.
        read: reads the configuration anew.

    Attributes:
        control: where commands are taken.
        url: of the page; None where there is none.

    Raises:
        PipelineError: the cluster, an output or the configuration can't be used.
    """

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        if not config.resolved_streams():
            raise ConfigError("nothing to process: name streams in the configuration")
        self._read = read
        self._begun_s = time.monotonic()
        self._ending: Ending | None = None
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        memory = recall(config.cluster.state)
        with ExitStack() as stack:
            chosen = choose_model(config.model.name, config.custom_models(), config.model.weights)
            self._fleet = _fleet(config.cluster.address)
            stack.callback(self._fleet.close)
            self._merger = Merger(
                build_shared_sinks(config, progress=False),
                chosen.class_names,
                capacity=config.queues.sink,
                positions=memory.positions,
            )
            stack.callback(self._merger.close)
            self._supervisor = Supervisor(config, self._fleet, self._merger, memory=memory, versions=own_versions())
            self._control = ControlSocket(
                config.control or DEFAULT_CONTROL,
                {
                    "status": self.status,
                    "status-json": lambda: msgspec.json.encode(self.look()).decode(),
                    "reload": self.reload,
                    "drain": self._supervisor.drain,
                    "undrain": self._supervisor.undrain,
                    "move": self._supervisor.move,
                    "leave": lambda: self.end("leave"),
                    "stop": lambda: self.end("stop"),
                },
            )
            stack.callback(self._control.close)
            self._pictures = PictureReader()
            stack.callback(self._pictures.close)
            self._web = None if config.web.address is None else self._serve(config, config.web.address)
            if self._web is not None:
                stack.callback(self._web.close)
            self._stack = stack.pop_all()
        self.control = self._control.endpoint
        self.url = None if self._web is None else self._web.url

    def _serve(self, config: Config, address: str) -> HttpServer:
        """The page at that address."""
        from sightline.cluster.web import cluster_app  # what they stand on many runs do without
        from sightline.composition.serving.site import web_token
        from sightline.server.access import Access
        from sightline.server.http_server import HttpServer

        web = config.web
        access = Access(web_token("token_env", web.token_env), web_token("read_token_env", web.read_token_env))
        host, _, port = address.rpartition(":")
        server = HttpServer(host.strip("[]"), int(port))
        server.start(cluster_app(self.look, self._picture, access, (socket.gethostname(), *web.hosts)))
        return server

    def _picture(self, stream: str, width: int) -> StreamPicture | None:
        """The newest picture of a stream from the process that has it; for any thread."""
        shard = self._supervisor.shard_of(stream)
        return None if shard is None else self._pictures.picture(shard.pictures, shard.feed, stream, width)

    def run(self) -> None:
        """Keep all streams running until ``end``.

        Raises:
            PipelineError: the merged feed can't go on.
        """
        try:
            while self._ending is None:
                self._supervisor.step()
                if (error := merged_error(self._merger)) is not None:
                    raise error
                if all(record.place == "done" for record in self._supervisor.records):
                    break
                self._supervisor.wait()
                while not self._calls.empty():
                    self._calls.get()()
            if self._ending == "leave":
                self._supervisor.leave()
            else:
                self._supervisor.stop()
        finally:
            self._stack.close()

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread that runs it call a function when it next comes around; for any thread."""
        self._calls.put(function)
        self._supervisor.wake()

    def look(self) -> ClusterStatus:
        """How all is; for any thread."""
        return cluster_status(self._supervisor, self._merger, self._begun_s)

    def status(self) -> str:
        """How all is, in words; for any thread."""
        return status_text(self.look())

    def reload(self) -> str:
        """Take over the configuration as it is now; for any thread."""
        try:
            return self._supervisor.reload(self._read())
        except PipelineError as error:
            logger.error("the configuration is not taken over: %s", error)
            return f"error: the configuration is not taken over: {error}"

    def end(self, how: Ending = "stop") -> str:
        """Have ``run`` return: ``stop`` ends all streams, ``leave`` has them go on without this driver."""
        self._ending = self._ending or how
        self._supervisor.wake()
        return "stopping" if how == "stop" else "leaving; all streams go on"
