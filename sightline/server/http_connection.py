"""One HTTP connection, which ends where its request doesn't come.

uvicorn closes connections that are kept open between two requests, and waits for ever within one: who sends a line of a
header a minute keeps one of the server's connections, until there are none left for others.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 20.0
"""Seconds within which a request has to be there, from the connection or its first byte on, to its last."""

_UNDER_WAY = frozenset({h11.IDLE, h11.SEND_BODY})  # what the other side is in until it has said everything


class HttpConnection(H11Protocol):
    """uvicorn's, with a limit on the time that a request may take to arrive."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(REQUEST_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """More of a request came."""
        super().data_received(data)
        if self.conn.their_state not in _UNDER_WAY:
            self._be_content()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(REQUEST_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has gone."""
        self._be_content()
        super().connection_lost(exc)

    def _be_content(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        # A WebSocket's connection has been handed on to another protocol.
        if self.transport.get_protocol() is self:
            self.transport.close()
