"""Pictures and clips of events."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse

from sightline.server.api.problems import NOT_NOW, Errors
from sightline.server.api.stored import asked
from sightline.server.evidence import MEDIA_TYPES, EvidenceBook, addresses
from sightline.server.run_access import RunAccess
from sinks.store.queries import stored_evidence

_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {} for media_type in MEDIA_TYPES}},
    404: {"model": Errors, "description": "There is no such file, or not yet, or not any more."},
    206: {"description": "A part of it.", "content": {media_type: {} for media_type in MEDIA_TYPES}},
    416: {"description": "It has no such part.", "content": {"text/plain": {}}},
}
EvidenceName = Annotated[str, Path(pattern="^[0-9a-f]{1,8}-[0-9]{1,15}$", description="What an event names.")]


class KnownEvidence:
    """What is known of the evidence of events: what came lately, then what the store keeps.

    Args:
        run: has the store.
        book: what came lately; None for a run without evidence.
    """

    def __init__(self, run: RunAccess, book: EvidenceBook | None) -> None:
        self.book = book
        self._run = run

    def of(self, names: set[str]) -> dict[str, list[dict[str, Any]]]:
        """The ``evidence.ready`` events of some evidence, by its name."""
        if self.book is None:
            return {}
        found = self.book.known(names)
        rest = names - set(found)
        if rest and self._run.store is not None:
            with asked(self._run) as connection:
                found |= stored_evidence(connection, sorted(rest))
        return found

    def shown(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Events, of which those that name evidence have the addresses of its files in place of the name."""
        names = {str(event["evidence"]) for event in events if _names_evidence(event)}
        found = self.of(names) if names else {}
        return [_with_addresses(event, found) if _names_evidence(event) else event for event in events]


def _names_evidence(event: dict[str, Any]) -> bool:
    return event.get("evidence") is not None and event["type"] != "evidence.ready"


def _with_addresses(event: dict[str, Any], found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    name = str(event["evidence"])
    return {**event, "evidence": {"id": name, **addresses(found.get(name, []))}}


def evidence_router(known: KnownEvidence) -> APIRouter:
    """``/api/evidence/{name}/{kind}``."""
    router = APIRouter(prefix="/api/evidence", tags=["evidence"])

    @router.get("/{name}/{kind}", response_class=FileResponse, responses={**_FILES, **NOT_NOW})
    def evidence(name: EvidenceName, kind: Literal["picture", "crop", "clip"]) -> FileResponse:
        """A picture or clip of an event, by what the event names in ``evidence``."""
        told = next((one for one in known.of({name}).get(name, ()) if one["kind"] == kind), None)
        file = None if told is None or known.book is None else known.book.file(told)
        if file is None:
            raise HTTPException(404, f"there is no {kind} of {name}")
        # It never changes under its name.
        return FileResponse(file.path, media_type=file.media_type, headers={"Cache-Control": "private, max-age=86400"})

    return router
