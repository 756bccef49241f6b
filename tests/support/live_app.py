"""The live pictures served by themselves: a hub, its route under uvicorn, and a client that speaks its wire.

with serve_live(hub) as url, LiveClient(url) as client:
    client.watch(door=320)
    header, jpeg = client.picture()
    client.acknowledge("door")
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from websockets.sync.client import connect

from sightline.server.live.hub import LiveHub
from sightline.server.live.websocket import live_router
from tests.support.waiting import PATIENCE_S, listens, wait_until


@contextmanager
def serve_live(hub: LiveHub) -> Iterator[str]:
    """Serves on a free port of 127.0.0.1; gives the WebSocket's address."""
    app = FastAPI()
    app.include_router(live_router(hub))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/api/live"
    finally:
        server.should_exit = True
        thread.join()


class LiveClient:
    """A browser's side of the connection.

    Args:
        url: of the WebSocket.
        starting: whether the server may only be starting, and is tried again and again.
    """

    def __init__(self, url: str, *, starting: bool = False) -> None:
        self._stack = ExitStack()
        if starting:
            place = urlsplit(url)
            wait_until(lambda: listens(str(place.hostname), place.port or 0), url)
        self.connection = self._stack.enter_context(connect(url, open_timeout=PATIENCE_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def watch(self, **widths: int) -> None:
        """Watch streams at these widths in pixels from now on."""
        tiles = [{"stream": stream, "width": width} for stream, width in widths.items()]
        self.connection.send(json.dumps({"type": "watch", "tiles": tiles}))

    def acknowledge(self, stream: str) -> None:
        """Ask for the next picture."""
        self.connection.send(json.dumps({"type": "ack", "stream": stream}))

    def picture(self, timeout_s: float = PATIENCE_S) -> tuple[dict[str, Any], bytes]:
        """The next picture's header and JPEG; what is said of states is skipped.

        Raises:
            TimeoutError: none came.
        """
        while True:
            message = self.connection.recv(timeout=timeout_s)
            if isinstance(message, bytes):
                end = 4 + int.from_bytes(message[:4], "big")
                return json.loads(message[4:end]), message[end:]

    def states(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """What is said next of the streams' states; pictures are skipped."""
        while True:
            message = self.connection.recv(timeout=timeout_s)
            if isinstance(message, str):
                told: dict[str, Any] = json.loads(message)["streams"]
                return told
