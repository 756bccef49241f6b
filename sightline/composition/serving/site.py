"""The server of a run: listens before the run begins, serves it while it lasts, and afterwards where that is wanted."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Self

from pipeline.errors import ConfigError
from pipeline.interfaces import Sink
from pipeline.redaction import environment_variable
from pipeline.runtime.pipeline import Pipeline
from sightline.composition.reload import Reloader
from sightline.composition.serving.run_changes import RunChanges
from sightline.composition.serving.served_run import ServedRun
from sightline.config.changes import Changes
from sightline.config.schema import Config, ResolvedStream
from sightline.server.access import Access
from sightline.server.app import create_app
from sightline.server.evidence import EvidenceBook
from sightline.server.feed import EventHub
from sightline.server.http_server import HttpServer
from sightline.server.live.hub import LiveHub

_SHORTEST_TOKEN = 16


class Site:
    """The server of a run: listens from the moment it is made, serves from ``begin`` until ``close``.

    Args:
        config: of the run.

    Attributes:
        sinks: what takes the run's results for those who look.

    Raises:
        ConfigError: a token is missing.
        SinkError: the address can't be listened on.
    """

    def __init__(self, config: Config) -> None:
        web = config.web
        assert web.address is not None
        host, _, port = web.address.rpartition(":")
        self._config = config
        self._names = (socket.gethostname(), *web.hosts)
        self._access = Access(web_token("token_env", web.token_env), web_token("read_token_env", web.read_token_env))
        self._hub, self._events = LiveHub(), EventHub()
        folder = config.evidence.folder
        self._evidence = None if folder is None else EvidenceBook(folder)
        # Who is told of a picture asks for it at once: it is known before.
        self.sinks: Sequence[Sink] = (*([] if self._evidence is None else [self._evidence]), self._hub, self._events)
        self._over = threading.Event()
        self._server = HttpServer(host.strip("[]"), int(port))

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return self._server.url

    def begin(
        self,
        pipeline: Pipeline,
        changes: Changes,
        read: Callable[[Changes], Config],
        reloader: Reloader[ResolvedStream],
    ) -> None:
        """Serve a run.

        Args:
            pipeline: what runs.
            changes: where what is changed is kept.
            read: the configuration with given changes.
            reloader: takes over other streams.
        """
        run = ServedRun(self._config, pipeline, RunChanges(changes, read, reloader, pipeline.class_names))
        app = create_app(
            run, self._access, live=self._hub, events=self._events, evidence=self._evidence, names=self._names
        )
        self._server.start(app)

    def stop(self) -> None:
        """Let ``stay`` return."""
        self._over.set()

    def stay(self) -> None:
        """Serve on until ``stop`` is called."""
        self._over.wait()

    def close(self) -> None:
        """End the server, and with it all that it answers."""
        self._events.end()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def web_token(key: str, variable: str | None) -> str | None:
    """The token that a variable of the environment holds."""
    if variable is None:
        return None
    token = os.environ.get(variable, "")
    if len(token) < _SHORTEST_TOKEN:
        what = environment_variable(variable)
        raise ConfigError(f"web.{key}: {what} is to hold a token of at least {_SHORTEST_TOKEN} characters")
    return token
