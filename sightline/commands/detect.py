"""The command that looks at pictures: detect."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline.detection.factory import create_detector, default_confidence
from pipeline.detection.image_files import DetectedImage, detect_images
from pipeline.errors import ConfigError, SourceError
from pipeline.files import read_files, refuse_conflicts
from pipeline.images.batches import BrokenPicture
from pipeline.interfaces import Detector
from pipeline.models.class_names import class_ids
from pipeline.models.custom import choose_model
from pipeline.models.registry import DEFAULT_MODEL
from pipeline.printable import encodable, readable
from pipeline.sources.local_files import picture_files
from pipeline.types import Detections
from sightline.commands.images import count_of, find_pictures, refuse_videos, warn
from sightline.commands.options import (
    EXIT_INTERRUPTED,
    BatchOption,
    ClassesOption,
    EngineOption,
    InputSizeOption,
    IouOption,
    JsonOption,
    ModelOption,
    OwnModelsOption,
    PrecisionOption,
    QuietOption,
    StrictOption,
    WeightsOption,
    some_folder,
    split_names,
)
from sightline.commands.signals import stopping_on_signals
from sightline.config.files import configured_files
from sightline.config.loading import load_config
from sightline.terminal.progress import PictureProgress
from sightline.terminal.summary import detector_line
from sinks.files.coco_results import CocoResults
from sinks.files.image_copies import ImageCopies
from sinks.files.image_results import CsvResults, JsonResults, PictureObject, PictureRecord, PictureResults, in_order


def detect_command(
    pictures: Annotated[
        list[str], typer.Argument(metavar="IMAGE|FOLDER|PATTERN...", help="Pictures, folders or patterns like '*.jpg'.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", parser=some_folder, metavar="DIR", help="Write annotated copies into this folder."
        ),
    ] = None,
    extract: Annotated[
        bool, typer.Option("--extract", help="Cut out the objects, into DIR/NAME-objects/person-1.jpg and so on.")
    ] = False,
    json: JsonOption = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="X.csv", help="Write a row for each object.")] = None,
    coco: Annotated[
        Path | None, typer.Option("--coco", metavar="X.json", help="Write the results in COCO's format.")
    ] = None,
    strict: StrictOption = False,
    model: ModelOption = None,
    weights: WeightsOption = None,
    input_size: InputSizeOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    classes: ClassesOption = None,
    confidence: Annotated[
        float | None, typer.Option(help="Score from which a detection counts, 0 to 1. [default: the model's]")
    ] = None,
    iou: IouOption = None,
    config: OwnModelsOption = None,
    batch: BatchOption = 16,
    quiet: QuietOption = False,
) -> None:
    """Find the objects in pictures: annotated copies, the objects cut out, one file of results.

    Without --output, --json, --csv and --coco, what is found is printed. A file that is no picture is named and left
    out. Exit codes: 0 also where some files were left out, 1 where all were or with --strict one was.
    """
    if extract and output is None:
        raise ConfigError("--extract: the cut-out objects need a folder; add --output DIR")
    files = find_pictures(pictures)
    refuse_videos(files)
    settings = load_config(config)
    chosen = choose_model(model or DEFAULT_MODEL, settings.custom_models(), weights)
    class_names = chosen.class_names
    wanted = class_ids(kept, class_names) if (kept := split_names(classes)) else None
    results: list[PictureResults] = [
        kind(path, files=files, class_names=class_names, model=chosen.name)
        for kind, path in ((JsonResults, json), (CsvResults, csv), (CocoResults, coco))
        if path is not None
    ]
    copies = ImageCopies(output, files, class_names, extract=extract) if output is not None else None
    read = read_files([("the weights of the model", weights)])
    read = (*picture_files(files, pictures), *configured_files(settings, chosen, config), *read)
    refuse_conflicts(read, [*([copies.files()] if copies is not None else []), *(result.files() for result in results)])
    for result in results:
        result.check()
    with copies or nullcontext():
        least = default_confidence(chosen, weights) if confidence is None else confidence
        detector = create_detector(
            chosen, weights=weights, input_size=input_size, engine=engine, precision=precision, confidence=least,
            iou=iou, batch_size=batch,
        )  # fmt: skip
        job = _Job(files, detector, class_names, wanted, copies, results, strict=strict, batch=batch, quiet=quiet)
        job.run()


@dataclass(slots=True)
class _Job:
    """The work of the command once all is known to be in place."""

    files: Sequence[Path]
    detector: Detector
    class_names: Sequence[str]
    wanted: Sequence[int] | None
    copies: ImageCopies | None
    results: Sequence[PictureResults]
    strict: bool
    batch: int
    quiet: bool
    broken: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    pictures_with: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Look at the pictures, write what was found, and tell how it went."""
        began_s = time.monotonic()
        done = 0
        stop: list[bool] = []
        with stopping_on_signals(lambda: stop.append(True)) as stopped, ExitStack() as stack:
            progress = None if self.quiet else PictureProgress(len(self.files))
            say = stack.enter_context(progress or nullcontext(warn))
            for result in self.results:
                stack.push(lambda _, error, __, result=result: result.close(error))
                result.open()
            for number, record in in_order(self._records(lambda: bool(stop), say)):
                for result in self.results:
                    result.write(number, record)
                if not self.results and self.copies is None and record.error is None:
                    typer.echo(_line(record))
                done += 1
                if progress is not None:
                    progress.advance()
        if not self.quiet:
            self._summary(done, time.monotonic() - began_s)
        if stopped():
            raise typer.Exit(EXIT_INTERRUPTED)
        if self.broken == len(self.files):
            raise SourceError(f"none of the {len(self.files)} files is an image that can be read; check one")

    def _records(self, stopped: Callable[[], bool], say: Callable[[str], None]) -> Iterator[tuple[int, PictureRecord]]:
        """One for each picture, not in order. Copies are written by a thread, so that the detector need not wait."""
        found = detect_images(self.detector, self.files, batch=self.batch)
        with closing(found), ThreadPoolExecutor(1, "copies") as pool:
            waiting: deque[Future[tuple[int, PictureRecord]]] = deque()
            for picture in found:
                if stopped():
                    break
                if isinstance(picture, BrokenPicture):
                    yield picture.index, self._broken(picture, say)
                    continue
                waiting.append(pool.submit(self._record, picture))
                while len(waiting) > 2 * self.batch:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _broken(self, picture: BrokenPicture, say: Callable[[str], None]) -> PictureRecord:
        if self.strict:
            raise picture.error
        self.broken += 1
        say(f"{picture.error}; left out")
        return PictureRecord(file=encodable(picture.path), error=str(picture.error))

    def _record(self, picture: DetectedImage) -> tuple[int, PictureRecord]:
        found = picture.detections
        if self.wanted is not None:
            found = found.select(np.isin(found.class_id, self.wanted))
        copy: str | None = None
        cut_outs: list[str | None] = [None] * len(found)
        if self.copies is not None:
            copy, cut_outs = self.copies.save(picture.index, picture.image, found)
        objects = self._objects(found, cut_outs)
        counted = Counter(thing.class_name for thing in objects)
        self.objects += counted
        self.pictures_with += Counter(counted.keys())
        height, width = picture.image.shape[:2]
        return picture.index, PictureRecord(
            file=encodable(picture.path), width=width, height=height, annotated=copy, objects=objects
        )

    def _objects(self, found: Detections, files: Sequence[str | None]) -> tuple[PictureObject, ...]:
        rows = zip(found.class_id.tolist(), found.score.tolist(), found.xyxy.tolist(), files, strict=True)
        return tuple(
            PictureObject(
                class_name=self.class_names[number],
                score=round(score, 5),
                xyxy=tuple(round(side, 2) for side in box),
                file=file,
            )
            for number, score, box, file in rows
        )

    def _summary(self, done: int, seconds: float) -> None:
        told = not self.results and self.copies is None
        for name, number in () if told else sorted(self.objects.items(), key=lambda item: (-item[1], item[0])):
            typer.echo(f"{number:6} {name} in {count_of(self.pictures_with[name], 'picture')}")
        left_out = f", {count_of(self.broken, 'file')} left out" if self.broken else ""
        rate = f", {done / seconds:.1f} a second" if seconds > 0 else ""
        typer.echo(f"{count_of(done - self.broken, 'picture')}{left_out}{rate}")
        if not told:
            typer.echo(detector_line(self.detector))
        if self.copies is not None:
            objects = f", {count_of(self.copies.cut_out, 'object')} cut out" if self.copies.cut_out else ""
            written = count_of(self.copies.written, "picture")
            typer.echo(f"copies: {readable(self.copies.folder)} ({written}{objects})")
        for result in self.results:
            typer.echo(f"results: {readable(result.path)}")


def _line(record: PictureRecord) -> str:
    """What was found in a picture, for a person."""
    found = ", ".join(f"{thing.class_name} {thing.score:.0%}" for thing in record.objects)
    return f"{readable(record.file)}: {found or 'nothing'}"


def register(app: typer.Typer) -> None:
    """Add this command to a command line."""
    app.command("detect", no_args_is_help=True)(detect_command)
