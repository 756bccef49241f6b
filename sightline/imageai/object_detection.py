"""``ObjectDetection``: objects in single pictures, with ImageAI's parameters and its four forms of result."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from pipeline.detection.filters import make_filters
from pipeline.errors import ConfigError, SinkPathError
from pipeline.files import FolderFiles, InputFiles, OutputFiles, refuse_conflicts
from pipeline.images.reading import several_pictures
from pipeline.interfaces import DetectionFilter, Detector
from pipeline.types import Detections, Frame, Image
from sightline.imageai.detection_model import DetectionModel
from sightline.imageai.drawing import DisplayOptions
from sightline.imageai.model_file import PathLike
from sightline.imageai.names import CustomObjects, wanted_classes
from sightline.imageai.picture_lists import output_paths, read_given
from sightline.imageai.results import ObjectList, above, object_list
from sinks.files.image_copies import cut, write_picture
from sinks.output_files import check_output, partial_path, write_error

INPUT_TYPES = ("file", "array", "stream")
OUTPUT_TYPES = ("file", "array")


# Pictures of a list that are read, looked at and written before the next are read.
_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is done with every picture of a call."""

    detector: Detector
    filters: Sequence[DetectionFilter]
    display: DisplayOptions
    extract: bool
    as_arrays: bool


class ObjectDetection(DetectionModel):
    """Objects in pictures, with ImageAI's methods.

    detector = ObjectDetection()
    detector.setModelTypeAsTinyYOLOv3()
    detector.loadModel()
    objects = detector.detectObjectsFromImage(input_image="in.jpg", output_image_path="out.jpg")
    """

    def detectObjectsFromImage(
        self,
        input_image: Any = "",
        output_image_path: PathLike | None = "",
        input_type: str = "file",
        output_type: str = "file",
        extract_detected_objects: bool = False,
        minimum_percentage_probability: float = 50,
        display_percentage_probability: bool = True,
        display_object_name: bool = True,
        display_box: bool = True,
        thread_safe: bool = False,
        custom_objects: CustomObjects | None = None,
    ) -> Any:
        """Detect the objects of a picture, or of each picture of a list, and draw them.

        Args:
            input_image: a path, an array (BGR, as OpenCV reads it), an open file, bytes or a PIL image; or a list of
                these, which go through the network in batches.
            output_image_path: where the annotated picture goes with ``output_type="file"``; nowhere if it is empty. For
                a list it is a folder, which is made: pictures keep the names of their files, others are numbered.
            input_type: ``file``, ``array`` or ``stream``; what ``input_image`` is shows by itself.
            output_type: ``file``, or ``array`` to be given the pictures instead.
            extract_detected_objects: also cut the objects out.
            minimum_percentage_probability: weaker objects are left out.
            display_percentage_probability, display_object_name, display_box: what is drawn.
            thread_safe: changes nothing: threads may share a detector in any case.
            custom_objects: what ``CustomObjects`` returned; by default all objects.

        Returns:
            The objects, best first: dictionaries with ``name``, ``percentage_probability`` and ``box_points`` (left,
            top, right, bottom in pixels). With ``output_type="array"`` the annotated picture, uint8
            ``(height, width, 3)``, BGR, comes before them, and with ``extract_detected_objects`` the cut-out pictures,
            or the paths of their files, after them. For a list of pictures, a list of all that, in their order.

        Raises:
            ConfigError: a parameter that can't be used, no model is loaded, or the output would replace the input.
            SourceError, SinkError: the picture can't be read, or the output not written.
        """
        detector = self._detector(minimum_percentage_probability)
        _check("input_type", input_type, INPUT_TYPES)
        _check("output_type", output_type, OUTPUT_TYPES)
        several = several_pictures(input_image)
        given = [input_image] if several is None else several
        outputs: Sequence[Path | None] = [None] * len(given)
        if output_image_path and output_type == "file":
            outputs = [Path(output_image_path)] if several is None else output_paths(given, Path(output_image_path))
        elif extract_detected_objects and output_type == "file":
            raise ConfigError("output_image_path: name the picture to write; the cut-out objects go beside it")
        for picture, output in zip(given, outputs, strict=True):
            if output is not None:
                self._check_output(picture, output, extract=extract_detected_objects)
        wanted = wanted_classes(custom_objects, detector.class_names)
        work = _Work(
            detector=detector,
            filters=make_filters(detector.class_names, classes=wanted),
            display=DisplayOptions(
                percentage_probability=display_percentage_probability,
                object_name=display_object_name,
                box=display_box,
                minimum_percentage=minimum_percentage_probability,
                strict=self._strict,
                class_names=self._spelling(detector),
            ),
            extract=extract_detected_objects,
            as_arrays=output_type == "array",
        )
        results: list[Any] = []
        names = ["input_image"] if several is None else [f"input_image[{number}]" for number in range(len(given))]
        for start in range(0, len(given), _BATCH):
            stop = start + _BATCH
            images = [read_given(*each) for each in zip(given[start:stop], names[start:stop], strict=True)]
            found = detector.detect(images)
            results += [self._result(work, *each) for each in zip(images, found, outputs[start:stop], strict=True)]
        return results[0] if several is None else results

    def _result(self, work: _Work, image: Image, found: Detections, output: Path | None) -> Any:
        """What is returned for one picture; what is to be written of it is written."""
        found = above(found, work.display.minimum_percentage)
        for keep in work.filters:
            found = found.select(keep(found, Frame(image, 0, 0.0, 0.0, "picture")))
        objects = object_list(found, work.display.class_names, strict=self._strict)
        cut_out = [cut(image, item["box_points"]).copy() for item in objects] if work.extract else []
        if work.as_arrays:
            annotated = work.display.annotator().draw_objects(image, found)
            return (annotated, objects, cut_out) if work.extract else (annotated, objects)
        if output is not None:
            write_picture(output, work.display.annotator().draw_objects(image, found))
        if not work.extract:
            return objects
        assert output is not None
        return objects, self._write_all(output, objects, cut_out)

    # ImageAI 2's name for the same with ``custom_objects``.
    detectCustomObjectsFromImage = detectObjectsFromImage  # noqa: N815

    def _check_output(self, image: Any, output: Path, *, extract: bool) -> None:
        """Raise if a picture can't be written, or is the one that is read, or the model."""
        names = [image, getattr(image, "name", None), getattr(image, "filename", None)]  # a path, a file, PIL's
        paths = [Path(name) for name in names if isinstance(name, str | os.PathLike)]
        cut_outs = FolderFiles(self._folder(output), re.compile(r".+-\d+(\.partial)?\.jpg"), "person-1.jpg")
        written = OutputFiles("the picture", output, (output, partial_path(output)), (cut_outs,) if extract else ())
        refuse_conflicts([*self._reads(), InputFiles("the picture to read", tuple(paths))], [written])
        check_output(output)
        if not cv2.haveImageWriter(str(output)):
            raise SinkPathError(f"cannot write {output}: no picture format has that ending; choose .jpg or .png")

    def _folder(self, output: Path) -> Path:
        """Where the script's generation of ImageAI puts the cut-out objects."""
        return Path(f"{output}-objects") if self._generation == 2 else output.with_name(f"{output.stem}-extracted")

    def _write_all(self, output: Path, objects: ObjectList, pictures: list[Image]) -> list[str]:
        """Write the cut-out objects; returns the paths."""
        second = self._generation == 2
        folder = self._folder(output)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error
        paths = []
        for number, (item, picture) in enumerate(zip(objects, pictures, strict=True), 1):
            path = folder / f"{item['name'].replace('/', '-') if second else output.stem}-{number}.jpg"
            write_picture(path, picture)
            paths.append(os.fspath(path))
        return paths


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}: got {value!r}, expected {' or '.join(allowed)}")
