"""One connection a browser, for all its tiles: a new picture when the one before was shown, always the newest."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from sightline.server.live.encoder import Tiles, tile_width
from sightline.server.live.hub import LiveHub
from sightline.server.live.messages import Watch, read_request, state_message

logger = logging.getLogger(__name__)

MAX_VIEWERS = 64
# WebSocket close codes, RFC 6455.
_MALFORMED, _TOO_MANY = 1003, 1013


def live_router(hub: LiveHub) -> APIRouter:
    """The route ``/api/live`` to what a hub has to show. Who may look at all, what stands before it must know."""
    router = APIRouter()
    tiles = Tiles(hub)
    viewers: set[_Viewer] = set()

    @router.websocket("/api/live")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(viewers) >= MAX_VIEWERS:
            await websocket.close(_TOO_MANY, f"{MAX_VIEWERS} others are looking")
            return
        viewer = _Viewer(websocket, hub, tiles)
        viewers.add(viewer)
        try:
            await viewer.serve()
        finally:
            viewers.discard(viewer)

    return router


class _Viewer:
    """One browser. Per tile there is one picture at most that it was sent and has not shown."""

    def __init__(self, websocket: WebSocket, hub: LiveHub, tiles: Tiles) -> None:
        self._websocket = websocket
        self._hub = hub
        self._tiles = tiles
        self._sending = asyncio.Lock()
        self._watched: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._shown: dict[str, asyncio.Event] = {}

    async def serve(self) -> None:
        """Until it leaves, or says what nobody understands."""
        states = asyncio.create_task(self._send_states())
        try:
            while True:
                request = read_request(await self._websocket.receive_text())
                if isinstance(request, Watch):
                    await self._watch(request)
                elif shown := self._shown.get(request.stream):
                    shown.set()
        except WebSocketDisconnect:
            pass
        except (ValueError, KeyError) as error:  # KeyError: binary, where text is expected
            logger.debug("live pictures: a request that is none: %s", error)
            with suppress(RuntimeError):
                await self._websocket.close(_MALFORMED)
        finally:
            states.cancel()
            await self._watch(Watch([]))

    async def _watch(self, request: Watch) -> None:
        wanted = {tile.stream: tile_width(tile.width) for tile in request.tiles}
        for stream, (width, task) in list(self._watched.items()):
            if wanted.get(stream) != width:
                del self._watched[stream]
                task.cancel()
                await asyncio.wait([task])
        for stream, width in wanted.items():
            if stream not in self._watched:
                shown = self._shown[stream] = asyncio.Event()
                self._watched[stream] = width, asyncio.create_task(self._send_pictures(stream, width, shown))

    async def _send_pictures(self, stream: str, width: int, shown: asyncio.Event) -> None:
        tile, number = self._tiles.take(stream, width), 0
        try:
            while True:
                picture = await tile.after(number)
                number = picture.number
                shown.clear()
                await self._send(picture.message())
                await shown.wait()
        except WebSocketDisconnect:
            pass  # ``serve`` sees it, too
        except Exception:
            logger.exception("%s: its live pictures ended", stream)
        finally:
            await self._tiles.give_back(stream, width)

    async def _send_states(self) -> None:
        changed, loop = asyncio.Event(), asyncio.get_running_loop()

        def notice() -> None:
            # The server may have ended meanwhile; the run goes on.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        self._hub.listen(notice)
        try:
            while True:
                changed.clear()
                await self._send(state_message(self._hub.states()))
                await changed.wait()
        except WebSocketDisconnect:
            pass  # likewise
        finally:
            self._hub.unlisten(notice)

    async def _send(self, message: bytes | str) -> None:
        async with self._sending:
            if isinstance(message, bytes):
                await self._websocket.send_bytes(message)
            else:
                await self._websocket.send_text(message)
