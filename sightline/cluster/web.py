"""The page of a cluster, the same as data, its health, and its metrics."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client.exposition import choose_encoder
from starlette.types import ASGIApp

from sightline.cluster.metrics import cluster_registry
from sightline.cluster.status import ClusterStatus
from sightline.server.access import Access
from sightline.server.guard import Guard

_STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }
table { border-collapse: collapse; margin-bottom: 2rem } th, td { padding: .3rem .8rem; text-align: left }
tr + tr { border-top: 1px solid #8886 } .bad { color: #c33 }"""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Sightline: cluster</title>
<link rel="stylesheet" href="/cluster.css"><h1>Cluster</h1>
<p>{events} events in the merged feed, {missed} lost.</p>
<table><tr><th>Machine<th>Streams<th>Looks a second: wanted, made<th>Memory<th></tr>{nodes}</table>
<table><tr><th>Stream<th>Machine<th>State<th>Frames a second: done, come in<th>Latency<th>Objects<th>Outages<th></tr>
{streams}</table></html>"""
_FINE = frozenset({"online", "done"})


def cluster_app(look: Callable[[], ClusterStatus], access: Access, names: Iterable[str] = ()) -> ASGIApp:
    """The application that serves a cluster; its pages show state, and change nothing.

    Args:
        look: tells how the cluster is doing.
        access: knows who may look.
        names: host names under which the server is reached.
    """
    app = FastAPI(title="Sightline cluster", openapi_url=None, docs_url=None, redoc_url=None)
    registry = cluster_registry(look)

    @app.get("/")
    def page(request: Request) -> HTMLResponse:
        if request.state.role is None:  # the guard lets everybody in here, for the sake of the other page's login
            return HTMLResponse("Ask with the header Authorization: Bearer TOKEN.", status_code=401)
        return HTMLResponse(_page(look()))

    @app.get("/cluster.css")
    def style() -> Response:
        return Response(_STYLE, media_type="text/css")

    @app.get("/api/cluster")
    def state() -> Response:
        return Response(msgspec.json.encode(look()), media_type="application/json")

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

    return Guard(app, access, names)


def _page(status: ClusterStatus) -> str:
    nodes = "".join(
        _row(
            [
                node.name,
                node.streams,
                f"{node.wanted:.0f}, {node.capacity or 0:.0f}",
                f"{node.memory_mb:.0f} MB",
                node.why,
            ],
            bad=bool(node.why),
        )
        for node in status.nodes
    )
    streams = "".join(
        _row(
            [
                *(each.name, each.node or "", each.state, f"{each.fps:.1f}, {each.decoded_fps:.1f}"),
                *(f"{each.p50_ms:.0f} ms", each.objects, each.past.outages, each.reason),
            ],
            bad=each.state not in _FINE,
        )
        for each in status.streams
    )
    return _PAGE.format(events=status.events, missed=status.missed, nodes=nodes, streams=streams)


def _row(cells: Iterable[object], *, bad: bool) -> str:
    told = "".join(f"<td>{html.escape(str(cell))}" for cell in cells)
    return f"<tr{' class=bad' if bad else ''}>{told}</tr>"
