"""``notify test``: whether those who are to be told of alerts can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from sinks.integrations.notification import Message


def test_command(
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="One of notify.targets. [default: each of them]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="X.yaml", help="The configuration with its notify section.")
    ] = None,
) -> None:
    """Send a test message with a picture, and say what came of it.

    Exit code 1: a service did not take it, which is told in a line for each.
    """
    from sightline.composition.outputs import notification_targets
    from sightline.config.loading import load_config

    settings = load_config(config)
    names = list(settings.notify.targets)
    if not names:
        raise ConfigError("there is nobody to be told: name the configuration with --config, and targets in its notify")
    if target is not None and target not in names:
        hint = did_you_mean(target, names) or f"there is {', '.join(names)}"
        raise ConfigError(f"notify.targets: there is no {target}; {hint}")
    chosen = names if target is None else [target]
    only = settings.notify.model_copy(update={"targets": {name: settings.notify.targets[name] for name in chosen}})
    targets = notification_targets(settings.model_copy(update={"notify": only}))
    for one in targets.values():
        one.check()
    message = _message()
    troubles = {name: one.send(message) for name, one in targets.items()}
    for name, trouble in troubles.items():
        typer.echo(f"{name}: {'sent' if trouble is None else f'not sent: {trouble}'}", err=trouble is not None)
    if any(troubles.values()):
        raise typer.Exit(1)


def _message() -> Message:
    import cv2
    import numpy as np

    from sinks.integrations.notification import Message

    picture = np.full((180, 320, 3), 64, np.uint8)
    cv2.putText(picture, "Sightline: test", (30, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    return Message("Sightline: test", "Alerts will come like this one.", picture=data)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    notify_app = typer.Typer(help="Messages to people about alerts.", no_args_is_help=True)
    notify_app.command("test")(test_command)
    app.add_typer(notify_app, name="notify")
