"""What the commands on images have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from pipeline.sources.image_folder import find_images


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


def count_of(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def warn(text: str) -> None:
    """Print a warning."""
    typer.echo(f"WARNING: {text}", err=True)
