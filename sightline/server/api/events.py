"""Events: those that the store keeps, and those that happen now."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from sightline.server.api.asked import EventTypes, check_names, check_streams, check_types
from sightline.server.api.evidence import KnownEvidence
from sightline.server.api.problems import BUSY, NOT_NOW
from sightline.server.api.stored import asked, moment
from sightline.server.feed import EventHub
from sightline.server.run_access import RunAccess

_Name = Annotated[str | None, Query(max_length=200)]
_Names = Annotated[list[str] | None, Query(max_length=100)]
_Time = Annotated[str | None, Query(max_length=40, description="UTC, ISO 8601; or seconds since 1970.")]
_Cursor = Annotated[str | None, Query(pattern="^[0-9]{1,18}$", description="What the page before gave.")]


_EVENT_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


class StoredEvents(BaseModel):
    """Events as docs/events.md describes them, the newest first, and what asks for those before them.

    In place of a name, ``evidence`` has that as ``id`` and the addresses of the files there are, by kind.
    """

    events: list[dict[str, Any]]
    cursor: str | None


def events_router(run: RunAccess, hub: EventHub, known: KnownEvidence) -> APIRouter:
    """``/api/events``."""
    router = APIRouter(prefix="/api/events", tags=["events"])

    @router.get("", responses=NOT_NOW)
    def events(
        stream: _Name = None,
        type: EventTypes = None,  # noqa: A002 - its name in the address
        class_name: Annotated[str | None, Query(alias="class", max_length=200)] = None,
        zone: _Name = None,
        line: _Name = None,
        since: _Time = None,
        until: _Time = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: _Cursor = None,
    ) -> StoredEvents:
        """Events of the store, the newest first; ``type`` may be given several times."""
        check_types(type)
        equal = {"stream": stream, "class": class_name, "zone": zone, "line": line}
        conditions = [(f'"{column}" = ?', value) for column, value in equal.items() if value is not None]
        for condition, value in (("wall >= ?", moment("since", since)), ("wall < ?", moment("until", until))):
            if value is not None:
                conditions.append((condition, value))
        if cursor is not None:
            conditions.append(("id < ?", cursor))
        where = [condition for condition, _ in conditions]
        if type:
            where.append(f"type IN ({', '.join('?' * len(type))})")
        sql = f"SELECT id, data FROM events WHERE {' AND '.join(where or ['TRUE'])} ORDER BY id DESC LIMIT ?"
        with asked(run) as connection:
            rows = connection.execute(sql, [*(value for _, value in conditions), *(type or ()), limit]).fetchall()
            if not rows:
                check_names(run, connection, equal)
        # The last page may be full as well; the one after it is then empty.
        return StoredEvents(
            events=known.shown([json.loads(data) for _, data in rows]),
            cursor=str(rows[-1][0]) if len(rows) == limit else None,
        )

    @router.get("/live", response_class=StreamingResponse, responses={**_EVENT_STREAM, **BUSY})
    async def live(stream: _Names = None, type: EventTypes = None) -> StreamingResponse:  # noqa: A002 - likewise
        """Server-Sent Events: each event as it happens, and ``lost`` where they come faster than they are read."""
        check_types(type)
        check_streams(run, stream)
        client = hub.join(stream or (), type or ())
        if client is None:
            raise HTTPException(503, "too many others listen, or the run is over")

        async def sent() -> Any:
            try:
                async for text in client.texts():
                    yield text
            finally:
                hub.leave(client)

        return StreamingResponse(sent(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router
