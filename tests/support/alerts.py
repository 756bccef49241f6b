"""Events of alerts and their evidence; for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, EvidenceReady
from tests.support.feed_parts import RUN, WALL


def _fields(seq: int, given: dict[str, Any]) -> dict[str, Any]:
    told = {"alert_id": seq, "rule": "prowler", "severity": "critical", "text": f"alert {seq}", "since_s": 0.5}
    told |= {"count": 1, "tracks": (1,), "classes": ("person",)}
    return {"seq": seq, "run": RUN, "stream": "cam", "pts_s": seq / 25, "wall": WALL, **told, **given}


def started(seq: int, **given: Any) -> AlertStarted:
    return AlertStarted(**_fields(seq, given))


def updated(seq: int, **given: Any) -> AlertUpdated:
    return AlertUpdated(**_fields(seq, given))


def ended(seq: int, **given: Any) -> AlertEnded:
    return AlertEnded(**_fields(seq, {"duration_s": 12.0, "reason": "cleared", **given}))


def picture(seq: int, alert: AlertStarted, folder: Path, content: bytes, kind: Any = "picture") -> EvidenceReady:
    """A picture of an alert, whose file is there."""
    path = f"{alert.stream}/{alert.seq}-{kind}.jpg"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    assert alert.evidence is not None
    return EvidenceReady(
        seq=seq,
        run=RUN,
        stream=alert.stream,
        pts_s=alert.pts_s,
        wall=WALL,
        evidence=alert.evidence,
        kind=kind,
        about="alert.started",
        about_seq=alert.seq,
        alert_id=alert.alert_id,
        track_ids=alert.tracks,
        path=path,
        media_type="image/jpeg",
        size_bytes=len(content),
        from_pts_s=alert.pts_s,
        to_pts_s=alert.pts_s,
        annotated=True,
        masked=False,
    )
