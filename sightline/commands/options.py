"""Options that several commands have, told once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError
from sightline.commands.plain_log import LogFormat

EXIT_INTERRUPTED = 130
DEFAULT_WEB_ADDRESS = "127.0.0.1:8080"

ModelOption = Annotated[str | None, typer.Option(help="A name from models list. [default: tiny-yolov3]")]
WeightsOption = Annotated[
    Path | None,
    typer.Option(help="Weights: .weights, .h5, .pt, .pth; or an ONNX network. [default: see models list]"),
]
InputSizeOption = Annotated[
    int | None,
    typer.Option(help="Long side (retinanet: short side) of the input, a multiple of 32. [default: the model's]"),
]
EngineOption = Annotated[
    str | None,
    typer.Option(help="openvino, tensorflow or auto. [default: tensorflow where it can use a GPU, else openvino]"),
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="float32, bfloat16, float16, int8 or auto: the fastest here. [default: auto]")
]
ClassesOption = Annotated[str | None, typer.Option(help="Keep only these classes, such as person,car. [default: all]")]
IouOption = Annotated[
    float | None,
    typer.Option(help="Overlap above which the weaker of two boxes is dropped. [default: the model's]"),
]
OwnModelsOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="X.yaml", help="Your own models: its models section.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail at a file that is no picture, instead of leaving it out.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="X.json", help="Write the results as JSON.")]
BatchOption = Annotated[int, typer.Option(min=1, max=256, help="Pictures that go through the network at once.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Log what goes on; twice: all that helps to find a fault.")
]
LogFormatOption = Annotated[LogFormat, typer.Option(help="Log as text, or as one JSON object a line.")]


def some_folder(value: str) -> Path:
    """A folder's path, which text that is empty, as an unset variable's is, would make the current one."""
    if not value:
        raise typer.BadParameter("is empty; name a folder, such as . for the current one")
    return Path(value)


def split_names(value: str | None) -> tuple[str, ...] | None:
    """Split ``person,car``."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value is not None else None


def some_names(value: str | None, option: str, kind: str, example: str) -> tuple[str, ...] | None:
    """The same for an option that chooses among things of a kind.

    Raises:
        ConfigError: it names none, which would choose nothing.
    """
    names = split_names(value)
    if names == ():
        raise ConfigError(f"{option}: names no {kind}; give some, such as {example}, or leave it out for all of them")
    return names
