"""Events that name evidence, and what tells of its files, as a run would have sent them."""

from __future__ import annotations

from typing import Any

from pipeline.events import AlertStarted, Event, EvidenceReady, LineCrossed

RUN = "3e85dde9-ef0b-4beb-b358-050a768d60b2"


def common(seq: int, minute: int = 0) -> dict[str, Any]:
    """What they share; each minute is one of the clock on the wall."""
    wall = f"2026-11-30T22:{minute:02d}:24.286Z"
    return {"seq": seq, "run": RUN, "stream": "yard", "pts_s": float(minute), "wall": wall}


def alert(seq: int, *, text: str = "1 person in yard", evidence: bool = True, minute: int = 0) -> AlertStarted:
    """An alert."""
    return AlertStarted(
        alert_id=seq,
        rule="prowler",
        severity="critical",
        text=text,
        since_s=0.0,
        count=1,
        tracks=(7,),
        classes=("person",),
        zone="yard",
        evidence=f"{RUN[:8]}-{seq}" if evidence else None,
        **common(seq, minute),
    )


def crossed(seq: int, *, evidence: bool = True, minute: int = 0) -> LineCrossed:
    """Somebody who crosses a line."""
    name = f"{RUN[:8]}-{seq}" if evidence else None
    return LineCrossed(
        line="gate", track_id=7, class_name="person", direction="in", evidence=name, **common(seq, minute)
    )


def ready(seq: int, about: Event, path: str, *, kind: Any = "picture", media_type: str = "image/jpeg") -> EvidenceReady:
    """A file that shows an event."""
    name = about.__struct_config__.tag
    return EvidenceReady(
        evidence=f"{RUN[:8]}-{about.seq}",
        kind=kind,
        about=str(name),
        about_seq=about.seq,
        alert_id=about.seq if isinstance(about, AlertStarted) else None,
        track_ids=(7,),
        path=path,
        media_type=media_type,
        size_bytes=9,
        from_pts_s=1.0,
        to_pts_s=1.0,
        annotated=True,
        masked=False,
        **common(seq),
    )
