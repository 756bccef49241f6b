"""``control``: a command for a run that is under way."""

from __future__ import annotations

from typing import Annotated

import typer


def control(
    endpoint: Annotated[str, typer.Argument(help="The run's control address, such as tcp://127.0.0.1:5558.")],
    command: Annotated[str, typer.Argument(help="reload, status or stop.")],
) -> None:
    """Send a command to a run that was started with a control address. Exit code 1: the run could not do it."""
    from sightline.server.control_socket import send_command

    reply = send_command(endpoint, command)
    failed = reply.startswith("error")
    typer.echo(reply, err=failed)
    if failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(no_args_is_help=True)(control)
