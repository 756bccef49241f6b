"""The commands that concern models: list, fetch and convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.classification.registry import (
    cached_classifier_weights,
    classifier_names,
    find_classifier,
    find_classifier_weights,
    is_published,
)
from pipeline.detection.factory import default_confidence
from pipeline.errors import ConfigError, ModelError, SinkError
from pipeline.files import read_files, refuse_conflicts
from pipeline.hardware import cpu_name
from pipeline.models.costs import known_cost
from pipeline.models.custom import ModelFiles, choose_model, custom_model
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.registry import DEFAULT_MODEL, Model, catalogue, fetch, find_model
from pipeline.models.weights.formats import format_to_write, read_weights, weights_format, write_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from sightline.commands.options import OwnModelsOption
from sightline.config.files import configured_files
from sightline.config.loading import load_config
from sinks.output_files import Claim, check_output, commit, write_error, written_file


def list_command(config: OwnModelsOption = None) -> None:
    """List the models, and where their weights are.

    First the detectors, for run and detect, with COCO's AP, the score that they report from by themselves, licence, who
    published them, and what a picture costs on this machine once doctor has measured it; then the classifiers, for
    classify.
    """
    own = [custom_model(name, files) for name, files in _own(config).items()]
    typer.echo("detectors:")
    for status in catalogue(own):
        typer.echo(_row(status.model.name, status.where, status.path, _told(status.model)))
    typer.echo("classifiers:")
    for classifier in map(find_classifier, classifier_names()):
        path = cached_classifier_weights(classifier)
        typer.echo(_row(classifier.name, "cache" if is_published(classifier, path) else "missing", path, ""))


def _row(name: str, where: str, path: Path, told: str) -> str:
    return f"  {name:14} {where:8} {told}{path}"


def _told(model: Model) -> str:
    """How good a published model is, from which score it reports by itself, whose it is and how it may be used."""
    about = model.about
    told = ""
    if about is not None:
        told = (
            f"AP {about.average_precision:4.1f}  from {default_confidence(model):.2f}  {about.licence}, {about.source}"
        )
    cost = known_cost(model.name, cpu_name())
    measured = f"{cost.picture_ms:.1f} ms" if cost is not None else ""
    return f"{told:53}{measured:>9}  "


def fetch_command(name: Annotated[str, typer.Argument(metavar="NAME", help="A name from models list.")]) -> None:
    """Download a model's weights into the cache, and check them."""
    if name in classifier_names():
        typer.echo(find_classifier_weights(find_classifier(name)))
    else:
        typer.echo(fetch(find_model(name, also=classifier_names())))


def convert_command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Weights of any kind; the content tells which.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="X.weights, X.h5 or X.pt: the suffix says the format.")],
    model: Annotated[
        str | None, typer.Option(help="Whose weights they are. [default: the one of the catalogue that they fit]")
    ] = None,
    config: OwnModelsOption = None,
) -> None:
    """Convert weights between Darknet's .weights, ImageAI 2's .h5 and ImageAI 3's .pt.

    What they compute stays the same: batch norms are adjusted to the small number that each program adds to a variance.
    """
    written = format_to_write(output)
    check_output(output)
    if not source.is_file():
        raise ConfigError(f"{source}: there is no such file; check the path given as IN.")
    read = read_files([("the file to read", source)])
    named = configured_files(load_config(config), find_model(DEFAULT_MODEL), config)
    refuse_conflicts((*read, *named), [written_file("the weights", output)])
    kind = weights_format(source)
    candidates = [choose_model(model, _own(config))] if model is not None else _convertible()
    chosen, network, parameters = _read(source, candidates)
    claim = Claim(output)
    try:
        write_weights(claim.partial, parameters, network, written)
        commit(claim.partial, output)
    except OSError as error:
        claim.partial.unlink(missing_ok=True)
        raise error if isinstance(error, SinkError) else write_error(output, error) from error
    finally:
        claim.release()
    typer.echo(f"{output}: {chosen.name}, {kind} -> {written}")


def _convertible() -> list[Model]:
    return [status.model for status in catalogue() if isinstance(status.model.network(), DarknetNetwork)]


def _read(source: Path, candidates: list[Model]) -> tuple[Model, DarknetNetwork, list[ConvolutionParameters]]:
    """The first of the models that the file fits, its network and its weights."""
    reasons = []
    for candidate in candidates:
        network = candidate.network()
        if not isinstance(network, DarknetNetwork):
            raise ConfigError(
                f"--model: the weights of {candidate.name} come in one format only; leave them as they are."
            )
        try:
            return candidate, network, read_weights(source, network)
        except ModelError as error:
            reasons.append(error)
    if len(set(map(str, reasons))) == 1:
        raise reasons[0]
    names = " nor ".join(candidate.name for candidate in candidates)
    raise ModelError(
        f"{source}: fits neither {names}; name with --model whose weights they are (with --config "
        "a model of your own): then the message tells what does not fit."
    )


def _own(config: Path | None) -> dict[str, ModelFiles]:
    return load_config(config).custom_models() if config is not None else {}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line's."""
    models_app = typer.Typer(help="The models and where their weights come from.", no_args_is_help=True)
    models_app.command("list")(list_command)
    models_app.command("fetch", no_args_is_help=True)(fetch_command)
    models_app.command("convert", no_args_is_help=True)(convert_command)
    app.add_typer(models_app, name="models")
