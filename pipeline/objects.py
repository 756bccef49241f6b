"""One object at a time: the rows of ``Detections`` and ``Tracks``, for code that loops over them."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedObject:
    """One object in one image.

    Attributes:
        xyxy: left, top, right, bottom in pixels of the image, x to the right and y down.
        score: 0 to 1.
        class_id: index into the model's class names.
        class_name: such as ``"person"``; ``"class 3"`` where the names are not known.
        image_size: width and height of the image in pixels; None where they are not known.
    """

    xyxy: Box
    score: float
    class_id: int
    class_name: str
    image_size: tuple[int, int] | None = None

    @property
    def xywh(self) -> Box:
        """Left, top, width and height in pixels.

        >>> DetectedObject(xyxy=(10, 20, 40, 100), score=0.9, class_id=0, class_name="person").xywh
        (10, 20, 30, 80)
        """
        left, top, right, bottom = self.xyxy
        return left, top, right - left, bottom - top

    @property
    def xyxyn(self) -> Box:
        """Left, top, right, bottom as parts of the image's width and height.

        Raises:
            ValueError: the size of the image is not known.
        """
        if self.image_size is None:
            raise ValueError("xyxyn: the size of the image is not known here; the objects of a result know it")
        width, height = self.image_size
        left, top, right, bottom = self.xyxy
        return left / width, top / height, right / width, bottom / height

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box in pixels."""
        left, top, right, bottom = self.xyxy
        return (left + right) / 2, (top + bottom) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedObject(DetectedObject):
    """One track at one frame.

    Attributes:
        track_id: from 1 within a run and stream, never reused.
        age_s: seconds of media time since its first detection.
        unseen_s: seconds since its last detection; 0 where it was detected in this very frame.
        zones: names of the zones that it is in, in the order in which they were given.
        speed_mps: over the ground in m/s; None without ``homography``, and while it is not known yet.
    """

    track_id: int
    age_s: float
    unseen_s: float
    zones: tuple[str, ...] = ()
    speed_mps: float | None = None


def class_name_of(class_names: tuple[str, ...], class_id: int) -> str:
    """The name of a class; ``"class 3"`` where it has none.

    >>> class_name_of(("person", "car"), 1), class_name_of((), 3)
    ('car', 'class 3')
    """
    return class_names[class_id] if 0 <= class_id < len(class_names) else f"class {class_id}"
