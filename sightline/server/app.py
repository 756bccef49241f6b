"""The application that answers HTTP requests, of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI, Security
from fastapi.responses import FileResponse
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sightline.server.access import COOKIE, Access
from sightline.server.api.asked import known_parameters
from sightline.server.api.counts import counts_router
from sightline.server.api.dry_run import dry_run_router
from sightline.server.api.events import events_router
from sightline.server.api.evidence import KnownEvidence, evidence_router
from sightline.server.api.pictures import pictures_router
from sightline.server.api.problems import COMMON, answer_problems
from sightline.server.api.run import run_router
from sightline.server.api.session import session_router
from sightline.server.api.streams import streams_router
from sightline.server.evidence import EvidenceBook
from sightline.server.feed import EventHub
from sightline.server.guard import Guard
from sightline.server.health import health_router
from sightline.server.live.hub import LiveHub
from sightline.server.live.websocket import live_router
from sightline.server.run_access import RunAccess

PAGE = Path(__file__).parent / "page"


def create_app(
    run: RunAccess,
    access: Access,
    *,
    live: LiveHub,
    events: EventHub,
    evidence: EvidenceBook | None = None,
    names: Iterable[str] = (),
) -> ASGIApp:
    """The application that serves a run.

    Args:
        run: what is served.
        access: knows who may do what.
        live: knows the newest pictures.
        events: passes on what happens.
        evidence: knows the newest pictures of events; None for a run without.
        names: host names under which the server is reached.
    """
    # The documentation pages that FastAPI has load their scripts from other hosts.
    app = FastAPI(
        title="Sightline",
        description="A run of Sightline: see docs/api.md.",
        generate_unique_id_function=lambda route: route.name,
        version=version("sightline"),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=COMMON,
        separate_input_output_schemas=False,
    )
    answer_problems(app)
    known = KnownEvidence(run, evidence)
    # What the guard has let in; here they only tell programs how to ask.
    keys = [Security(HTTPBearer(auto_error=False)), Security(APIKeyCookie(name=COOKIE, auto_error=False))]
    # Health and metrics are asked by programs that may add parameters of their own.
    app.include_router(health_router(run), dependencies=keys if access.login else ())
    asked = [Depends(known_parameters), *(keys if access.login else ())]
    for router in (
        session_router(access),
        streams_router(run),
        dry_run_router(run),
        pictures_router(live.newest, live.class_names),
        counts_router(run),
        events_router(run, events, known),
        evidence_router(known),
        run_router(run),
    ):
        app.include_router(router, dependencies=asked)
    app.include_router(live_router(live))

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return Guard(app, access, names)
