"""What the commands on images have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from pipeline.errors import ConfigError
from pipeline.images.reading import is_video_file
from pipeline.printable import readable
from pipeline.sources.image_folder import IMAGE_SUFFIXES, find_images


def find_pictures(named: Sequence[str]) -> list[Path]:
    """The files that paths, folders and patterns name, each once, in the order given.

    Raises:
        SourceNotFoundError: nothing is there, or nothing matches.
        SourceError: a folder without images.
    """
    files: dict[Path, Path] = {}
    for path in (path for name in named for path in find_images(name, tell=True)):
        files.setdefault(path.resolve(), path)
    return list(files.values())


def refuse_videos(files: Sequence[Path]) -> None:
    """Raise ``ConfigError`` where all files are videos, which another command is for."""
    if files and all(map(is_video_file, files)):
        raise ConfigError(f"{readable(files[0])}: is a video, not a picture; give it to the command run")


def refuse_pictures(sources: Sequence[str]) -> None:
    """Raise ``ConfigError`` where all sources are single pictures, which another command is for."""
    if sources and all(Path(source).suffix.lower() in IMAGE_SUFFIXES and Path(source).is_file() for source in sources):
        raise ConfigError(f"{readable(sources[0])}: is a picture, not a video; give it to the command detect")


def count_of(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def warn(text: str) -> None:
    """Print a warning."""
    typer.echo(f"WARNING: {text}", err=True)
