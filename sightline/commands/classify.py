"""The command that names what pictures show: classify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from pipeline.classification.classifier import Classifier
from pipeline.classification.image_files import classify_images
from pipeline.classification.registry import classifier_names, local_classifier_weights
from pipeline.errors import SourceError
from pipeline.files import read_files, refuse_conflicts
from pipeline.images.batches import BrokenPicture
from pipeline.models.class_names import read_names
from pipeline.printable import encodable, readable
from pipeline.sources.local_files import picture_files
from sightline.commands.images import count_of, find_pictures, refuse_videos, warn
from sightline.commands.options import EXIT_INTERRUPTED, BatchOption, JsonOption, QuietOption, StrictOption
from sightline.commands.signals import stopping_on_signals
from sightline.terminal.progress import PictureProgress
from sinks.files.image_results import ClassifiedRecord, JsonResults, PictureClass, in_order


def classify_command(
    pictures: Annotated[
        list[str], typer.Argument(metavar="IMAGE|FOLDER|PATTERN...", help="Pictures, folders or patterns like '*.jpg'.")
    ],
    model: Annotated[str, typer.Option(help=f"{', '.join(classifier_names())}.")] = "mobilenetv2",
    weights: Annotated[
        Path | None, typer.Option(metavar="X.h5", help="Keras's weights of that network. [default: the published ones]")
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="Class names of one's own weights: a line each, or JSON. [default: ImageNet's]"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to tell of each picture.")] = 5,
    json: JsonOption = None,
    strict: StrictOption = False,
    batch: BatchOption = 8,
    quiet: QuietOption = False,
) -> None:
    """Name what pictures show, each as a whole: the most probable classes, best first.

    Without --json the classes are printed. A file that is no picture is named and left out. Exit codes: 0 also where
    some files were left out, 1 where all were or with --strict one was.
    """
    files = find_pictures(pictures)
    refuse_videos(files)
    class_names = read_names(names) if names is not None else None
    results = JsonResults(json, files=files, class_names=class_names or (), model=model) if json is not None else None
    if results is not None:
        read = [("the weights of the classifier", path) for path in (weights, local_classifier_weights(model))]
        read.append(("the file of class names", names))
        refuse_conflicts((*picture_files(files, pictures), *read_files(read)), [results.files()])
        results.check()
    classifier = Classifier(model, weights=weights, names=class_names, batch_size=batch)
    began_s, done, broken = time.monotonic(), 0, 0
    stop: list[bool] = []
    with stopping_on_signals(lambda: stop.append(True)) as stopped, ExitStack() as stack:
        progress = None if quiet else PictureProgress(len(files))
        say = stack.enter_context(progress or nullcontext(warn))
        if results is not None:
            stack.push(lambda _, error, __: results.close(error))
            results.open()
        for _, record in in_order(_records(classifier, files, top, lambda: bool(stop), say, strict=strict)):
            if results is not None:
                results.write_classified(record)
            elif record.error is None:
                typer.echo(_line(record))
            done += 1
            broken += record.error is not None
            if progress is not None:
                progress.advance()
    if not quiet:
        left_out = f", {count_of(broken, 'file')} left out" if broken else ""
        typer.echo(f"{count_of(done - broken, 'picture')}{left_out} in {time.monotonic() - began_s:.1f} s")
        if results is not None:
            typer.echo(f"results: {readable(results.path)}")
    if stopped():
        raise typer.Exit(EXIT_INTERRUPTED)
    if broken == len(files):
        raise SourceError(f"none of the {len(files)} files is an image that can be read; check one")


def _records(
    classifier: Classifier,
    files: Sequence[Path],
    top: int,
    stopped: Callable[[], bool],
    say: Callable[[str], None],
    *,
    strict: bool,
) -> Iterator[tuple[int, ClassifiedRecord]]:
    with closing(classify_images(classifier, files, top=top)) as found:
        for picture in found:
            if stopped():
                return
            if isinstance(picture, BrokenPicture):
                if strict:
                    raise picture.error
                say(f"{picture.error}; left out")
                yield picture.index, ClassifiedRecord(file=encodable(picture.path), error=str(picture.error))
                continue
            classes = tuple(
                PictureClass(class_name=answer.name, probability=round(answer.probability, 6))
                for answer in picture.classes
            )
            yield (
                picture.index,
                ClassifiedRecord(
                    file=encodable(picture.path), width=picture.width, height=picture.height, classes=classes
                ),
            )


def _line(record: ClassifiedRecord) -> str:
    """What a picture shows, for a person."""
    return f"{readable(record.file)}: " + ", ".join(
        f"{answer.class_name} {answer.probability:.1%}" for answer in record.classes
    )


def register(app: typer.Typer) -> None:
    """Add this command to a command line."""
    app.command("classify", no_args_is_help=True)(classify_command)
