"""The section for the pictures that show what events tell of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.evidence.wanted import EvidenceWanted
from sightline.config.values import FolderPath, Positive, Section, Text

Names = Annotated[tuple[Text, ...], Field(min_length=1)]
Style = Literal["annotated", "clean", "none"]


class ClipSection(Section):
    """A clip of each event: the seconds before and after it; null before it makes none."""

    before_s: Annotated[float, Field(ge=0, le=60)] | None = None
    after_s: Annotated[float, Field(ge=0, le=60)] = 5.0


class StreamEvidenceSection(Section):
    """Which events of a stream have pictures, what these are like, and how long they are kept."""

    alerts: bool | Names = True
    zones: bool | Names = False
    lines: bool | Names = False
    tracks: bool = False
    classes: Names | None = None
    picture: Style = "annotated"
    crop: Style = "clean"
    clip: ClipSection = ClipSection()
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    max_side: Annotated[int, Field(ge=64, le=65_500)] | None = None
    keep_days: Positive | None = None
    keep_mb: Positive | None = None
    keep_free_mb: Positive | None = None

    @model_validator(mode="after")
    def _something_is_made(self) -> Self:
        if self.picture == self.crop == "none" and self.clip.before_s is None:
            raise ValueError("picture and crop are both none, and there is no clip, so nothing would be written")
        return self

    def wanted(self) -> EvidenceWanted:
        """Which events are to have evidence."""
        return EvidenceWanted(
            alerts=self.alerts, zones=self.zones, lines=self.lines, tracks=self.tracks, classes=self.classes
        )


class EvidenceSection(StreamEvidenceSection):
    """The same, and the folder for all streams; without one there is no evidence."""

    folder: FolderPath | None = None
