"""Whether the process lives, whether the run does what it is for, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel

from sightline.server.metrics import metrics_registry
from sightline.server.run_access import RunAccess


class Alive(BaseModel):
    """The process lives."""

    alive: bool = True


class Ready(BaseModel):
    """Whether the run does what it is for; what keeps it from that is told to those who may look."""

    ready: bool
    trouble: list[str]


def health_router(run: RunAccess) -> APIRouter:
    """``/healthz``, ``/readyz`` and ``/metrics``."""
    router = APIRouter(tags=["health"])
    registry = metrics_registry(run)

    @router.get("/healthz")
    async def healthz() -> Alive:
        """Whether the process lives."""
        return Alive()

    @router.get("/readyz", responses={503: {"model": Ready, "description": "There is trouble."}})
    def readyz(request: Request, response: Response) -> Ready:
        """Whether the run does what it is for: cameras give frames, outputs are not stuck, disks are not full."""
        found = run.readiness()
        response.status_code = 200 if found.ready else 503
        return Ready(ready=found.ready, trouble=list(found.trouble) if request.state.role is not None else [])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics(request: Request) -> Response:
        """Figures of the run for Prometheus."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return router
