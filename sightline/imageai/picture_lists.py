"""Pictures as scripts give them, one by one or as a list, and where those of a list are written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, SourceError
from pipeline.images.reading import read_image
from pipeline.sources.image_folder import IMAGE_SUFFIXES
from pipeline.types import Image


def read_given(picture: Any, name: str) -> Image:
    """A picture as uint8 ``(height, width, 3)``, BGR.

    Args:
        picture: a path, an array, bytes, a PIL image, or an open file.
        name: what to call it in messages, such as ``input_image[3]``.

    Raises:
        SourceError: it can't be read; the message names it.
        ConfigError: it is nothing of these.
    """
    try:
        return read_image(picture.read() if hasattr(picture, "read") else picture, name=name)
    except SourceError as error:
        if "[" not in name or str(error).startswith(name):  # a picture by itself is known by its path
            raise
        raise type(error)(f"{name}: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error


def output_paths(pictures: Sequence[Any], folder: Path) -> list[Path]:
    """Where the annotated pictures of a list go: by the names of their files, others by their numbers from 1.

    Raises:
        ConfigError: the folder is called like a picture.
    """
    if folder.suffix.lower() in IMAGE_SUFFIXES and not folder.is_dir():
        raise ConfigError(f"output_image_path: got {os.fspath(folder)!r}, expected a folder for a list of pictures")
    paths: list[Path] = []
    taken: set[str] = set()
    for number, picture in enumerate(pictures, 1):
        named = Path(picture) if isinstance(picture, str | os.PathLike) else Path(f"{number}.jpg")
        suffix = named.suffix if named.suffix.lower() in (".jpg", ".jpeg", ".png") else ".jpg"
        names = (f"{named.stem}{'' if attempt == 1 else f'-{attempt}'}{suffix}" for attempt in count(1))
        name = next(each for each in names if each.casefold() not in taken)
        taken.add(name.casefold())
        paths.append(folder / name)
    return paths
