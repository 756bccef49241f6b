"""``run --each``: many files one after the other, each as a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from pipeline.errors import ConfigError
from pipeline.files import OutputFiles, read_files, refuse_conflicts
from sightline.batch.manifest import Manifest
from sightline.batch.runs import Batch, Job, jobs
from sightline.commands.images import count_of
from sightline.commands.options import EXIT_INTERRUPTED
from sightline.commands.signals import stopping_on_signals
from sightline.composition.written import written_files
from sightline.config.idle import warn_of_idle_settings
from sightline.config.schema import Config
from sinks.output_files import written_file

_MANIFEST = "manifest.jsonl"


def run_each(
    sources: Mapping[str, str],
    read: Callable[[Mapping[str, Any]], Config],
    *,
    manifest: Path | None,
    at_once: int,
    quiet: bool,
) -> None:
    """Run the files that are not done yet, note what becomes of each, and sum up.

    Args:
        sources: paths by the names of their streams.
        read: gives the configuration with its streams.
        manifest: where to note it; None for ``manifest.jsonl`` beside the outputs.
        at_once: how many run at a time.
        quiet: print nothing.

    Raises:
        Exit: with 130 where it was interrupted, and 1 where a file failed.
    """
    if not sources:
        raise ConfigError("--each: name the files to process")
    work = jobs(sources, lambda name, path: read({"streams": {name: {"source": path}}}))
    say = (lambda _: None) if quiet else typer.echo
    warn_of_idle_settings(work[0].config)
    place = manifest or _place(work)
    _refuse_conflicts(place, work)
    with Manifest(place) as record:
        batch = Batch(work, record, at_once=at_once, progress=not quiet and at_once == 1, say=say)
        with stopping_on_signals(batch.stop) as stopped:
            batch.run()
    if not quiet:
        _sum_up(batch, record.path)
    if stopped():
        raise typer.Exit(EXIT_INTERRUPTED)
    if batch.states["failed"]:
        raise typer.Exit(1)


def _place(work: list[Job]) -> Path:
    """The manifest beside the first output; without outputs, in the current folder."""
    first = next((path for job in work for path in written_files(job.config).values()), Path(_MANIFEST))
    return first.with_name(_MANIFEST)


def _refuse_conflicts(manifest: Path, work: list[Job]) -> None:
    """Raise ``ConfigError`` for a manifest that is a file to process, or an output of one."""
    outputs = [
        written_file(f"the {kind} of {job.name}", path)
        for job in work
        for kind, path in written_files(job.config).items()
    ]
    given = read_files([("a file to process", job.input) for job in work])
    refuse_conflicts(given, [OutputFiles("the manifest", manifest, (manifest,)), *outputs])


def _sum_up(batch: Batch, manifest: Path) -> None:
    words = {"done": "done", "skipped": "done before", "failed": "failed", "interrupted": "ended early"}
    left = len(batch.work) - sum(batch.states.values())
    told = [f"{batch.states[state]} {word}" for state, word in words.items() if batch.states[state]]
    told += [f"{left} not begun"] if left else []
    typer.echo(f"{count_of(len(batch.work), 'file')}: {', '.join(told)}")
    for name, count in batch.objects.most_common():
        typer.echo(f"{count:6} {name}")
    typer.echo(f"manifest: {manifest}")
