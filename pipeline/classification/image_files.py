"""Names for many image files, a batch at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.images.batches import BrokenPicture, _read

if TYPE_CHECKING:
    from pipeline.classification.classifier import Classification, Classifier


@dataclass(frozen=True, slots=True, eq=False)
class ClassifiedImage:
    """A picture with what it shows.

    Attributes:
        index: its place among the files, from 0.
        path: its file.
        width, height: in pixels, upright.
        classes: the most probable ones, best first.
    """

    index: int
    path: Path
    width: int
    height: int
    classes: tuple[Classification, ...]


def classify_images(
    classifier: Classifier, files: Iterable[str | PathLike[str]], *, top: int = 5
) -> Generator[ClassifiedImage | BrokenPicture, None, None]:
    """What picture files show; each comes out once, in order but for broken ones, which come before their batch.

    Args:
        classifier: any; its ``batch_size`` pictures go through the network at once.
        files: paths of pictures of any kind and size.
        top: how many classes of each.

    Raises:
        ValueError: ``top`` is not positive.
        ModelError: as ``classifier.classify`` does.
    """
    batch = classifier.batch_size
    # All go into one shape, so that the window only serves to keep them small.
    with closing(_read(files, batch, batch, lambda height, width: (1, 1))) as batches:
        for read, broken in batches:
            yield from broken
            answers = classifier.classify([image for _, image in read], top)
            for (entry, image), classes in zip(read, answers, strict=True):
                height, width = image.shape[:2]
                yield ClassifiedImage(entry.index, entry.path, width, height, tuple(classes))
