"""The streams of the run, and what is counted in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from sightline.config.schema import StreamSection
from sightline.config.shapes import LineSection, ZoneSection
from sightline.server.api.problems import NOT_NOW, NOT_THERE
from sightline.server.run_access import RunAccess, StreamView

StreamName = Annotated[str, Path(min_length=1, max_length=64, description="Name of the stream.")]


def _as_configured(section: type[BaseModel]) -> WithJsonSchema:
    """The schema of a section of names. What is given is checked by the configuration, which tells all mistakes."""
    return WithJsonSchema({"type": "object", "additionalProperties": section.model_json_schema()})


ZonesConfigured = Annotated[dict[str, Any], _as_configured(ZoneSection)]
LinesConfigured = Annotated[dict[str, Any], _as_configured(LineSection)]
# Sections in it are described in docs/configuration.md, which a schema of keys alone does not replace.
_Keys = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {"type": "object", "properties": {key: {} for key in StreamSection.model_fields}, "additionalProperties": False}
    ),
]


class Streams(BaseModel):
    """All streams of the run."""

    streams: list[StreamView]


class NewStream(BaseModel):
    """A stream to be added: its name, and its keys as in the configuration, of which it needs ``source``."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"required": ["name", "source"]})

    name: Annotated[str, Field(min_length=1, max_length=64)]
    source: Annotated[str, Field(min_length=1, max_length=4096, repr=False)]


class ZonesView(BaseModel):
    """Zones by name, as in the configuration."""

    zones: dict[str, ZoneSection]


class LinesView(BaseModel):
    """Lines by name, as in the configuration."""

    lines: dict[str, LineSection]


class ZonesGiven(BaseModel):
    """Zones by name, in place of those that there are."""

    model_config = ConfigDict(extra="forbid")

    zones: ZonesConfigured


class LinesGiven(BaseModel):
    """Lines by name, in place of those that there are."""

    model_config = ConfigDict(extra="forbid")

    lines: LinesConfigured


def streams_router(run: RunAccess) -> APIRouter:
    """``/api/streams`` and what is below it."""
    router = APIRouter(prefix="/api/streams", tags=["streams"])

    @router.get("")
    def streams() -> Streams:
        """Every stream and how it is doing."""
        return _streams(run)

    @router.post("", status_code=201, responses=NOT_NOW)
    def add(given: NewStream) -> Streams:
        """Begin a further stream. It is kept beside the configuration, as all changes are."""
        run.add_stream(given.name, {key: value for key, value in given.model_dump().items() if key != "name"})
        return _streams(run)

    @router.put("/{name}", responses={**NOT_THERE, **NOT_NOW})
    def change(name: StreamName, keys: _Keys) -> Streams:
        """Give a stream other settings; those left out stay. Its camera is opened anew only where it must be."""
        run.change_stream(name, keys)
        return _streams(run)

    @router.delete("/{name}", status_code=204, responses={**NOT_THERE, **NOT_NOW})
    def remove(name: StreamName) -> Response:
        """End a stream for good."""
        run.remove_stream(name)
        return Response(status_code=204)

    @router.post("/{name}/enable", responses={**NOT_THERE, **NOT_NOW})
    def enable(name: StreamName) -> Streams:
        """Run a stream that was disabled."""
        run.change_stream(name, {"enabled": True})
        return _streams(run)

    @router.post("/{name}/disable", responses={**NOT_THERE, **NOT_NOW})
    def disable(name: StreamName) -> Streams:
        """End a stream until it is enabled again."""
        run.change_stream(name, {"enabled": False})
        return _streams(run)

    @router.get("/{name}/zones", responses=NOT_THERE)
    def zones(name: StreamName) -> ZonesView:
        """The zones of a stream."""
        return ZonesView(zones=dict(run.shapes(name).zones))

    @router.put("/{name}/zones", responses={**NOT_THERE, **NOT_NOW})
    def set_zones(name: StreamName, given: ZonesGiven) -> ZonesView:
        """Give a stream other zones. The camera goes on, tracks keep their ids, and so do counts of zones that stay."""
        run.change_stream(name, {"zones": given.zones})
        return zones(name)

    @router.get("/{name}/lines", responses=NOT_THERE)
    def lines(name: StreamName) -> LinesView:
        """The lines of a stream."""
        return LinesView(lines=dict(run.shapes(name).lines))

    @router.put("/{name}/lines", responses={**NOT_THERE, **NOT_NOW})
    def set_lines(name: StreamName, given: LinesGiven) -> LinesView:
        """Give a stream other lines, likewise."""
        run.change_stream(name, {"lines": given.lines})
        return lines(name)

    return router


def _streams(run: RunAccess) -> Streams:
    return Streams(streams=list(run.streams()))
