"""The sections for what lies in the picture: zones, lines, what is hidden, and the map to the ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import model_validator

from pipeline.analytics.lines import Line
from pipeline.analytics.zones import Zone
from pipeline.errors import ConfigError
from pipeline.geometry.anchors import Anchor
from pipeline.geometry.ground import Homography
from pipeline.geometry.points import Units
from pipeline.images.masking import Effect
from pipeline.runtime.streams.privacy import Privacy
from sightline.config.values import FourPoints, NotNegative, Point, Polygon, Section, Text


class ZoneSection(Section):
    """A named polygon in which objects are counted."""

    polygon: Polygon
    units: Units = "pixels"
    anchor: Anchor = "bottom_center"
    classes: tuple[Text, ...] | None = None
    hysteresis: NotNegative = 0.0

    @model_validator(mode="after")
    def _makes_a_zone(self) -> Self:
        _check_shape(lambda: self.zone("zone"))
        return self

    def zone(self, name: str) -> Zone:
        """The zone of that name; raises ``ConfigError`` for one that can't be."""
        return Zone(
            name,
            self.polygon,
            units=self.units,
            anchor=self.anchor,
            classes=self.classes,
            hysteresis=self.hysteresis,
        )


class LineSection(Section):
    """A named, directed line whose crossings are counted."""

    start: Point
    end: Point
    units: Units = "pixels"
    anchor: Anchor = "bottom_center"
    classes: tuple[Text, ...] | None = None
    hysteresis: NotNegative | None = None

    @model_validator(mode="after")
    def _makes_a_line(self) -> Self:
        _check_shape(lambda: self.line("line"))
        return self

    def line(self, name: str) -> Line:
        """The line of that name; raises ``ConfigError`` for one that can't be."""
        return Line(
            name,
            self.start,
            self.end,
            units=self.units,
            anchor=self.anchor,
            classes=self.classes,
            hysteresis=self.hysteresis,
        )


class PrivacySection(Section):
    """What no output may show: named polygons, and objects of some classes."""

    areas: dict[Text, Polygon] = {}
    units: Units = "pixels"
    effect: Effect = "fill"
    classes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _can_be_hidden(self) -> Self:
        try:
            self.privacy()
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("privacy.")) from error
        return self

    def privacy(self) -> Privacy | None:
        """What is to be hidden, if anything; raises ``ConfigError`` for a polygon that can't be."""
        if not self.areas and not self.classes:
            return None
        return Privacy(areas=self.areas, units=self.units, effect=self.effect, classes=self.classes)


class HomographySection(Section):
    """Four points of the ground in the image, and the same four in metres; gives speeds in m/s."""

    image: FourPoints
    metres: FourPoints
    units: Units = "pixels"

    @model_validator(mode="after")
    def _makes_a_map(self) -> Self:
        _check_shape(self.homography)
        return self

    def homography(self) -> Homography:
        """The map to the ground; raises ``ConfigError`` for points that make none."""
        return Homography(image=self.image, metres=self.metres, units=self.units)


def _check_shape(make: Callable[[], object]) -> None:
    """Make the thing that a section describes, so that its own checks are told with the section's line."""
    try:
        make()
    except ConfigError as error:
        raise ValueError(str(error).partition(": ")[2]) from error
