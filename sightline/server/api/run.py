"""The run as a whole: its report so far, and its configuration."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from sightline.server.api.problems import BUSY
from sightline.server.run_access import RunAccess


def run_router(run: RunAccess) -> APIRouter:
    """``/api/report`` and ``/api/config``."""
    router = APIRouter(prefix="/api", tags=["run"])

    @router.get("/report", response_model=dict[str, Any], responses=BUSY)
    def report() -> Response:
        """What the report would say if the run ended now; the report itself once it has ended."""
        return Response(run.report().to_json(), media_type="application/json")

    @router.get("/config")
    def config() -> dict[str, Any]:
        """The configuration with what was changed since, without secrets."""
        return dict(run.config())

    return router
