"""``doctor``: examine this machine and a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.models.custom import choose_model
from sightline.composition.pipeline import detector_options
from sightline.config.loading import load_config


def doctor(
    source: Annotated[
        str | None, typer.Argument(metavar="VIDEO", help="A video or camera to try; none: the machine alone.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Time the model and engine that this YAML file names.")
    ] = None,
) -> None:
    """Test this machine and a source: what each stage reaches, what holds it back, how many such cameras it carries."""
    from sightline.doctor.examination import examine

    settings = load_config(config)
    model = choose_model(settings.model.name, settings.custom_models(), settings.model.weights)
    diagnosis = examine(source, model=model, options=detector_options(settings), compare=True)
    typer.echo(diagnosis)
    raise typer.Exit(0 if diagnosis.ok else 1)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)
