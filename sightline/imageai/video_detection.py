"""``VideoObjectDetection``: ImageAI's parameters, turned into a stream, its sinks and a pipeline."""

from __future__ import annotations

import os
from fractions import Fraction
from math import ceil, isfinite
from pathlib import Path

from pipeline.detection.filters import make_filters
from pipeline.errors import ConfigError
from pipeline.interfaces import Sink, Source
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.opening import open_source
from pipeline.sources.uri import local_path
from pipeline.types import Frame, TrackedFrame
from sightline.imageai.analysis import AnalysisSink, Function, Functions
from sightline.imageai.detection_model import DetectionModel
from sightline.imageai.drawing import DisplayOptions
from sightline.imageai.inputs import Capture, CaptureSource, FramesAtRate
from sightline.imageai.model_file import PathLike
from sightline.imageai.names import CustomObjects, wanted_classes
from sinks.video.mp4 import Mp4Sink
from trackers.factory import create_tracker


class FirstAndEveryNth:
    """ImageAI's ``frame_detection_interval``: the detector looks at frames 1, N, 2N, 3N and so on."""

    group_size: int | None = None

    def __init__(self, interval: int) -> None:
        if interval < 1:
            raise ConfigError(f"frame_detection_interval: expected 1 or more, got {interval}")
        self._interval = interval
        self._number = 0

    def wants(self, frame: Frame) -> bool:
        """Whether it is this frame's turn; called once per frame, in order."""
        self._number += 1
        return self._number == 1 or self._number % self._interval == 0

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Does nothing: what is seen does not change whose turn it is."""


class VideoObjectDetection(DetectionModel):
    """Objects in videos and cameras, with ImageAI's methods.

        detector = VideoObjectDetection()
        detector.setModelTypeAsTinyYOLOv3()
        detector.loadModel()
        path = detector.detectObjectsFromVideo(input_file_path="in.mp4", output_file_path="out")

    Attributes:
        report: what happened in the last run, the account of every frame included; None before it.
    """

    report: Report | None = None

    def detectObjectsFromVideo(
        self,
        input_file_path: PathLike = "",
        camera_input: Capture | str | int | None = None,
        output_file_path: PathLike = "",
        frames_per_second: float = 20,
        frame_detection_interval: int = 1,
        minimum_percentage_probability: float = 50,
        log_progress: bool = False,
        display_percentage_probability: bool = True,
        display_object_name: bool = True,
        display_box: bool = True,
        save_detected_video: bool = True,
        per_frame_function: Function | None = None,
        per_second_function: Function | None = None,
        per_minute_function: Function | None = None,
        video_complete_function: Function | None = None,
        return_detected_frame: bool = False,
        detection_timeout: float | None = None,
        thread_safe: bool = False,
        custom_objects: CustomObjects | None = None,
    ) -> str | None:
        """Detect, track and draw the objects of a video, and call the functions given with what was found.

        Args:
            input_file_path: the video; or ``camera_input``.
            camera_input: an open ``cv2.VideoCapture``, which is released at the end; also an address such as
                ``rtsp://...``, or the number of a webcam.
            output_file_path: the video to write, without its ending: ``.mp4`` is added.
            frames_per_second: of that video, which lasts as long as its input. In strict mode every frame is written,
                and this is how many of them are a second.
            frame_detection_interval: look at frames 1, N, 2N and so on.
            minimum_percentage_probability: weaker objects are left out.
            log_progress: write a line per frame to standard output.
            display_percentage_probability, display_object_name, display_box: what is drawn.
            save_detected_video: False writes no video.
            per_frame_function: called for every frame that was looked at, with its number (from 1), a list of
                dictionaries (``name``, ``percentage_probability``, ``box_points`` and, unless strict, ``track_id``),
                and the number of objects by name.
            per_second_function, per_minute_function: called for every second or minute of the video, with its number
                (from 1), the lists of its frames, their numbers of objects, and the average number by name.
            video_complete_function: called at the end with the last three of these, for the whole video.
            return_detected_frame: these, but the last, are also given the annotated picture, uint8
                ``(height, width, 3)``, BGR; for a second or minute that of its last frame.
            detection_timeout: stop after so many seconds of the video.
            thread_safe: changes nothing: threads may share a detector in any case.
            custom_objects: what ``CustomObjects`` returned; by default all objects.

        Returns:
            The path of the video, or None if none was written.

        Raises:
            ConfigError: a parameter that can't be used, no model is loaded, or the output would replace the input.
            SourceError, SinkError: the input can't be read, or the output not written.
            CallbackError: a function of the script raised; what it raised is the cause.
        """
        detector = self._detector(minimum_percentage_probability)
        functions = Functions(
            per_frame_function=per_frame_function,
            per_second_function=per_second_function,
            per_minute_function=per_minute_function,
            video_complete_function=video_complete_function,
            return_detected_frame=return_detected_frame,
        )
        display = DisplayOptions(
            percentage_probability=display_percentage_probability,
            object_name=display_object_name,
            box=display_box,
            minimum_percentage=minimum_percentage_probability,
            strict=self._strict,
            class_names=self._spelling(detector),
        )
        output = _output_path(output_file_path) if save_detected_video else None
        fps = _frame_rate(frames_per_second)
        duration_s = self._duration_s(detection_timeout, frames_per_second)
        pace = FirstAndEveryNth(frame_detection_interval)
        filters = make_filters(detector.class_names, classes=wanted_classes(custom_objects, detector.class_names))
        analysis = AnalysisSink(functions, display, fps=frames_per_second, log_progress=log_progress)
        sinks: list[Sink] = [analysis]
        if output is not None:
            sinks.append(self._video(output, fps, display, input_file_path if camera_input is None else ""))
        for sink in sinks:
            sink.check()
        source = self._open(input_file_path, camera_input, fps, detector.reduced_side)
        stream = Stream(
            source=source,
            tracker=create_tracker(),
            sinks=sinks,
            filters=filters,
            detect_every=pace,
            duration_s=duration_s,
        )
        pipeline = Pipeline(stream, detector, reads=self._reads())
        try:
            pipeline.run()
        finally:
            self.report = pipeline.report
        analysis.complete()
        return str(output) if output is not None else None

    # ImageAI 2's name for the same with ``custom_objects``.
    detectCustomObjectsFromVideo = detectObjectsFromVideo  # noqa: N815

    def _open(self, path: PathLike, camera: Capture | str | int | None, fps: Fraction, reduce_to: int | None) -> Source:
        source: Source
        if isinstance(camera, int):
            source = open_source(f"webcam:{camera}")
        elif isinstance(camera, str):
            source = open_source(camera, reduce_to=reduce_to)
        elif camera is not None:
            if not isinstance(camera, Capture):
                raise ConfigError(f"camera_input: expected a cv2.VideoCapture, got {type(camera).__name__}")
            source = CaptureSource(camera)
        elif os.fspath(path):
            source = open_source(os.fspath(path), reduce_to=reduce_to)
        else:
            raise ConfigError("nothing to process: set input_file_path to a video, or camera_input to a camera")
        return FramesAtRate(source, fps) if self._strict else source

    def _video(self, output: Path, fps: Fraction, display: DisplayOptions, input_path: PathLike) -> Mp4Sink:
        source = local_path(os.fspath(input_path))
        is_file = source is not None and Path(source).is_file()
        return Mp4Sink(
            output,
            fps=fps,
            annotate=display.annotator,
            audio_from=source if is_file and not self._strict else None,
            input_path=source if is_file else None,
        )

    def _duration_s(self, timeout_s: float | None, frames_per_second: float) -> float | None:
        if timeout_s is None:
            return None
        if not (isfinite(timeout_s) and timeout_s > 0):
            raise ConfigError(f"detection_timeout: expected more than 0 seconds, got {timeout_s}")
        if not self._strict:
            return timeout_s
        # ImageAI counts a second where the frame's number is a multiple of the rate, and stops when it has read the
        # last of them, without looking at that. Half a frame less, so that rounding plays no part.
        frames = ceil(timeout_s) * Fraction(frames_per_second).numerator - 1
        return float((frames - Fraction(1, 2)) / _frame_rate(frames_per_second))


def _output_path(path: PathLike) -> Path:
    name = os.fspath(path)
    if not name:
        raise ConfigError(
            "output_file_path: name the video to write, without its ending, or set save_detected_video=False"
        )
    return Path(name if name.lower().endswith(".mp4") else f"{name}.mp4")


def _frame_rate(frames_per_second: float) -> Fraction:
    try:
        rate = Fraction(frames_per_second)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"frames_per_second: expected a number, got {frames_per_second!r}") from error
    if not 0 < rate <= 1000:
        raise ConfigError(f"frames_per_second: expected more than 0 and up to 1000, got {frames_per_second}")
    return rate.limit_denominator(1001)
