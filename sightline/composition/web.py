"""A configured run as the HTTP server sees it, and the server with it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Self

from pipeline.errors import ConfigError
from pipeline.interfaces import Sink
from pipeline.redaction import environment_variable, redact_address
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import StreamReport
from pipeline.runtime.streams.stream import StreamStatus
from sightline.config.schema import Config
from sightline.server.access import Access
from sightline.server.app import create_app
from sightline.server.http_server import HttpServer
from sightline.server.live.hub import LiveHub
from sightline.server.live.websocket import live_router
from sightline.server.run_access import StreamState, StreamView

_STATES: dict[str, StreamState] = {"waiting": "opening", "online": "online", "offline": "reconnecting"}
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
        self._config = config
        host, _, port = web.address.rpartition(":")
        self._names = (socket.gethostname(), *web.hosts)
        self._access = Access(_token("token_env", web.token_env), _token("read_token_env", web.read_token_env))
        self._server = HttpServer(host.strip("[]"), int(port))
        self._over = threading.Event()
        self._hub = LiveHub()
        self.sinks: Sequence[Sink] = (self._hub,)

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return self._server.url

    def begin(self, pipeline: Pipeline) -> None:
        """Serve a run."""
        app = create_app(
            ServedRun(self._config, pipeline),
            self._access,
            routers=[live_router(self._hub)],
            names=self._names,
        )
        self._server.start(app)

    def stop(self) -> None:
        """Let ``stay`` return."""
        self._over.set()

    def stay(self) -> None:
        """Serve on until ``stop`` is called."""
        self._over.wait()

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class ServedRun:
    """A pipeline as the server sees it."""

    def __init__(self, config: Config, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._sources = {stream.name: stream.source for stream in config.resolved_streams()}

    def streams(self) -> Sequence[StreamView]:
        """Every stream of the run."""
        running = {status.name: _view(status) for status in self._pipeline.status()}
        ended = {name: report for name, report in self._pipeline.ended().items() if name not in running}
        return [*running.values(), *(_ended_view(name, self._sources.get(name, ""), r) for name, r in ended.items())]


def _view(status: StreamStatus) -> StreamView:
    newest_s = status.newest_s
    return StreamView(
        name=status.name,
        source=redact_address(status.info.uri),
        live=status.info.live,
        state=_STATES[status.state],
        width=status.info.width,
        height=status.info.height,
        fps=round(status.rates.processed, 2),
        dropped=sum(status.ledger.dropped.values()),
        latency_ms=round(status.p50_ms, 1),
        objects=status.objects,
        last_picture_age_s=None if newest_s is None else round(max(0.0, time.monotonic() - newest_s), 3),
    )


def _ended_view(name: str, source: str, report: StreamReport) -> StreamView:
    return StreamView(
        name=name,
        source=redact_address(source),
        live=report.latency is not None,
        state="ended" if report.error is None else "failed",
        width=0,
        height=0,
        fps=0.0,
        dropped=sum(report.dropped.values()),
        latency_ms=0.0,
        objects=0,
        last_picture_age_s=None,
    )


def _token(key: str, variable: str | None) -> str | None:
    """The token that a variable of the environment holds."""
    if variable is None:
        return None
    token = os.environ.get(variable, "")
    if len(token) < _SHORTEST_TOKEN:
        state = "holds less than" if token else "is not set to"
        raise ConfigError(f"web.{key}: {environment_variable(variable)} {state} a token of {_SHORTEST_TOKEN} letters")
    return token
