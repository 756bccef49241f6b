"""The page of a cluster with live pictures, the same as data, its health, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client.exposition import choose_encoder
from starlette.types import ASGIApp

from sightline.cluster.metrics import cluster_registry
from sightline.cluster.pictures import StreamPicture
from sightline.cluster.status import ClusterStatus
from sightline.server.access import Access
from sightline.server.api.asked import known_parameters
from sightline.server.api.problems import answer_problems
from sightline.server.api.session import session_router
from sightline.server.api.streams import StreamName
from sightline.server.app import PAGE
from sightline.server.guard import Guard

_FINE = frozenset({"online", "done"})


def cluster_app(
    look: Callable[[], ClusterStatus],
    picture: Callable[[str, int], StreamPicture | None],
    access: Access,
    names: Iterable[str] = (),
) -> ASGIApp:
    """The application that serves a cluster; it shows how it is, and changes nothing.

    Args:
        look: tells how the cluster is doing.
        picture: the newest picture of a stream, for a width in pixels.
        access: knows who may look.
        names: host names under which the server is reached.
    """
    app = FastAPI(title="Sightline cluster", openapi_url=None, docs_url=None, redoc_url=None)
    answer_problems(app)
    asked = [Depends(known_parameters)]
    app.include_router(session_router(access), dependencies=asked)
    registry = cluster_registry(look)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(PAGE / "cluster.html", headers={"Cache-Control": "no-cache"})

    @app.get("/api/cluster", dependencies=asked)
    def state() -> Response:
        return Response(msgspec.json.encode(look()), media_type="application/json")

    @app.get("/api/streams/{name}/frame.jpg", dependencies=asked)
    def frame(name: StreamName, width: Annotated[int, Query(ge=16, le=4096)] = 1920) -> Response:
        found = picture(name, width)
        if found is None:
            raise HTTPException(404, f"there is no picture of a stream {name}")
        return Response(found.jpeg, media_type="image/jpeg", headers={"X-Age-Seconds": f"{found.age_s:.3f}"})

    @app.get("/healthz")
    def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    def readyz(request: Request, response: Response) -> dict[str, object]:
        trouble = [f"{each.name}: {each.state}" for each in look().streams if each.state not in _FINE]
        response.status_code = 503 if trouble else 200
        return {"ready": not trouble, "trouble": trouble if request.state.role is not None else []}

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return Guard(app, access, names)
