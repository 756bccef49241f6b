"""The application that answers HTTP requests, of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from sightline.server.access import Access
from sightline.server.api.session import session_router
from sightline.server.api.streams import streams_router
from sightline.server.guard import Guard
from sightline.server.run_access import RunAccess

PAGE = Path(__file__).parent / "page"


def create_app(
    run: RunAccess, access: Access, *, routers: Sequence[APIRouter] = (), names: Iterable[str] = ()
) -> ASGIApp:
    """The application that serves a run.

    Args:
        run: what is served.
        access: knows who may do what.
        routers: further routes, such as those of the live pictures.
        names: host names under which the server is reached.
    """
    # The documentation pages that FastAPI has load their scripts from other hosts.
    app = FastAPI(
        title="Sightline",
        version=version("sightline"),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for router in (session_router(access), streams_router(run), *routers):
        app.include_router(router)

    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, bool]:
        """Whether the server answers at all."""
        return {"alive": True}

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return Guard(app, access, names)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = {"errors": [{"where": "", "message": str(error.detail)}]}
    return JSONResponse(body, error.status_code, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(str(part) for part in item["loc"][1:]), "message": item["msg"]} for item in error.errors()
    ]
    return JSONResponse({"errors": found}, 422)
