"""What happened in a run and has evidence, with its pictures, for a report."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2

from pipeline.errors import SourceError
from pipeline.images.reading import read_image
from sinks.evidence.folder import evidence_file
from sinks.evidence.pictures import fitted
from sinks.html_report.charts import duration_text

logger = logging.getLogger(__name__)

# Each picture takes some 20 kB of the page.
_MOST = 60
_SIDE, _QUALITY = 480, 78

_WORDS = {
    "alert.started": "{rule}: {text}",
    "zone.entered": "{class} #{track_id} came into {zone}",
    "zone.left": "{class} #{track_id} left {zone}",
    "line.crossed": "{class} #{track_id} crossed {line}, {direction}",
    "track.ended": "{class} #{track_id}",
}


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event that has evidence.

    Attributes:
        pts_s: its media time in seconds.
        text: what happened.
        severity: of an alert; empty for others.
        path: of its picture below the folder of the evidence; None where there is only a clip.
    """

    pts_s: float
    text: str
    severity: str
    path: str | None


def read_evidence(connection: sqlite3.Connection, run: str, stream: str) -> tuple[list[ShownEvent], int]:
    """The events of a stream that have evidence, in their order, and how many there are in all; alerts have precedence.

    Args:
        connection: to the store.
        run, stream: whose.
    """
    kind, path = "json_extract(f.data, '$.kind')", "json_extract(f.data, '$.path')"
    rows = connection.execute(
        f"SELECT e.data, max(CASE WHEN {kind} = 'picture' THEN {path} END), max(CASE WHEN {kind} = 'crop' THEN {path} "
        "END) FROM events AS f JOIN events AS e ON e.run = f.run AND e.seq = json_extract(f.data, '$.about_seq') "
        "WHERE f.run = ? AND f.stream = ? AND f.type = 'evidence.ready' GROUP BY e.seq "
        "ORDER BY e.type <> 'alert.started', e.seq",
        (run, stream),
    ).fetchall()
    shown = [_shown(json.loads(data), picture or crop) for data, picture, crop in rows[:_MOST]]
    return sorted(shown, key=lambda event: event.pts_s), len(rows)


def _shown(event: dict[str, Any], path: str | None) -> ShownEvent:
    text = _WORDS.get(event["type"], event["type"]).format_map(event)
    return ShownEvent(event["pts_s"], text, event.get("severity", ""), path)


def figures(shown: Sequence[ShownEvent], folder: Path | None) -> str:
    """The events as HTML, with their pictures in it where the folder has them, else with the names of their files."""
    made = []
    for event in shown:
        image = "" if folder is None or event.path is None else _picture(folder, event.path)
        named = f"<small>{escape(event.path)}</small>" if event.path is not None and not image else ""
        caption = f"{duration_text(event.pts_s)}<small>{escape(event.text)}</small>{named}"
        severity = f' class="{event.severity}"' if event.severity in ("warning", "critical") else ""
        made.append(f"<figure{severity}>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="figures evidence">{"".join(made)}</div>'


def _picture(folder: Path, path: str) -> str:
    """A picture as an element that holds it; nothing where it is not kept any more, or is none."""
    file = evidence_file(folder, path)
    if file is None:
        return ""
    try:
        image = read_image(file)
    except SourceError as error:
        logger.warning("%s", error)
        return ""
    done, jpeg = cv2.imencode(".jpg", fitted(image, _SIDE), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}">' if done else ""
