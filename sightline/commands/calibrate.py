"""The command that concerns the engines: calibrate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.interfaces import Source
from pipeline.types import Frame
from sightline.commands.options import InputSizeOption, ModelOption, WeightsOption

_OF_A_CAMERA_S = 60.0


def calibrate_command(
    video: Annotated[
        str, typer.Argument(metavar="VIDEO", help="A video like those to come: a file, or a camera's address.")
    ],
    frames: Annotated[int, typer.Option(min=10, max=5000, help="How many of its frames to calibrate with.")] = 200,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Read only so much of it. [default: all of a file, 60 s of a camera]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Take the model from this YAML file, which the run uses too.")
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    input_size: InputSizeOption = None,
) -> None:
    """Make the network for --engine openvino --precision int8, and say what it gains and costs.

    It is calibrated with frames spread over the video, compared with float32 on others of it, and kept in the cache
    folder for these weights. An ONNX network is tried in several ways, and refused where it agrees with float32 to less
    than 90%.
    """
    from pipeline.detection.onnx.calibration import calibrate_onnx
    from pipeline.detection.yolov3.calibration import calibrate
    from pipeline.files import refuse_conflicts
    from pipeline.models.custom import choose_model
    from pipeline.models.engines.int8_files import calibrated_files
    from pipeline.models.networks.onnx_network import OnnxNetwork
    from pipeline.sources.local_files import source_files
    from pipeline.sources.opening import open_source
    from sightline.config.files import configured_files
    from sightline.config.loading import load_config

    settings = load_config(config, (), {"model": {"name": model, "weights": weights, "input_size": input_size}})
    chosen = choose_model(settings.model.name, settings.custom_models(), settings.model.weights)
    read = (*source_files(video, "VIDEO"), *configured_files(settings, chosen, config))
    refuse_conflicts(read, [calibrated_files()])
    with open_source(video) as source:
        work = calibrate_onnx if isinstance(chosen.network(), OnnxNetwork) else calibrate
        done = work(
            (frame.image for frame in _beginning(source, seconds)),
            _name(video, source),
            model=chosen,
            weights=settings.model.weights,
            input_size=settings.model.input_size,
            count=frames,
            say=lambda text: typer.echo(text, err=True),
        )
    record = done.record
    expected, found = done.found
    typer.echo(
        f"agreement with float32 on {record.held_out} frames that it was not calibrated with: {record.agreement:.1%} "
        f"({expected} objects found in float32, {found} in int8)"
    )
    rates = ", ".join(f"{precision} {rate:g}" for precision, rate in done.images_per_s.items())
    typer.echo(f"images per second of the network alone: {rates}; int8 is {record.speed_up:.2f}x {done.other}")
    typer.echo(f"kept as {done.path}; use it with: --engine openvino --precision int8")


def _beginning(source: Source, seconds: float | None) -> Iterator[Frame]:
    """The frames of so many seconds; None for all, or for a minute of what has no end."""
    if seconds is None:
        seconds = _OF_A_CAMERA_S if source.info.live else None
    first_s: float | None = None

    def wanted(frame: Frame) -> bool:
        nonlocal first_s
        first_s = frame.pts_s if first_s is None else first_s
        return seconds is None or frame.pts_s - first_s < seconds

    return itertools.takewhile(wanted, source)


def _name(video: str, source: Source) -> str:
    """What to call the video: the file's name without its folder, a camera's address without its password."""
    return (source.info.uri or source.stream) if source.info.live else Path(video).name


def register(app: typer.Typer) -> None:
    """Add these commands to a command line."""
    app.command("calibrate", no_args_is_help=True)(calibrate_command)
