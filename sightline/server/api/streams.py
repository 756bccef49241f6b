"""The streams of the run."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from sightline.server.run_access import RunAccess, StreamView


class Streams(BaseModel):
    """All streams of the run."""

    streams: list[StreamView]


def streams_router(run: RunAccess) -> APIRouter:
    """``/api/streams``."""
    router = APIRouter(prefix="/api/streams", tags=["streams"])

    @router.get("")
    def streams() -> Streams:
        """Every stream and how it is doing."""
        return Streams(streams=list(run.streams()))

    return router
