"""Single pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from pipeline.types import TrackedFrame
from sightline.server.api.problems import NOT_THERE
from sightline.server.api.streams import StreamName
from sightline.server.still import still


def pictures_router(
    newest: Callable[[str], TrackedFrame | None], class_names: Callable[[str], Sequence[str]]
) -> APIRouter:
    """``/api/streams/{name}/frame.jpg``.

    Args:
        newest: the newest frame of a stream, if there is one.
        class_names: what its tracks may be.
    """
    router = APIRouter(prefix="/api/streams", tags=["streams"])

    @router.get(
        "/{name}/frame.jpg",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, **NOT_THERE},
    )
    def frame(
        name: StreamName,
        boxes: Annotated[bool, Query(description="Draw what was found.")] = False,
        width: Annotated[int | None, Query(ge=16, le=4096, description="Pixels; made no larger than it is.")] = None,
    ) -> Response:
        """The newest picture of a stream, as JPEG."""
        tracked = newest(name)
        if tracked is None:
            raise HTTPException(404, f"there is no picture of a stream {name}")
        jpeg = still(tracked, class_names(name), boxes=boxes, width=width)
        headers = {"X-Frame": str(tracked.frame.index), "X-Pts-Seconds": f"{tracked.frame.pts_s:.6f}"}
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    return router
