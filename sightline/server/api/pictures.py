"""Single pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, cast

import cv2
from fastapi import APIRouter, HTTPException, Query, Response

from pipeline.types import Image, TrackedFrame
from sightline.server.api.problems import NOT_THERE
from sightline.server.api.streams import StreamName
from sinks.drawing.annotator import Annotator

_JPEG_QUALITY = 85


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
        image = tracked.frame.image
        if boxes:
            image = Annotator(class_names(name), trail_s=0).draw(tracked)
        if width is not None and width < image.shape[1]:
            size = (width, max(1, round(image.shape[0] * width / image.shape[1])))
            image = cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        headers = {"X-Frame": str(tracked.frame.index), "X-Pts-Seconds": f"{tracked.frame.pts_s:.6f}"}
        return Response(jpeg.tobytes(), media_type="image/jpeg", headers=headers)

    return router
