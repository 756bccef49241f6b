"""``cluster``: streams on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sightline.commands.options import LogFormatOption, QuietOption, VerboseOption
from sightline.commands.plain_log import set_log
from sightline.commands.signals import reloading_on_hangup, stopping_on_signals
from sightline.commands.systemd import ServiceManager
from sightline.config.idle import warn_of_idle_settings
from sightline.config.loading import load_config

_DEFAULT_CONTROL = "tcp://127.0.0.1:5558"

ControlOption = Annotated[
    str, typer.Option("--control", metavar="ENDPOINT", help="Where the cluster's driver takes commands.")
]


def run_command(
    config: Annotated[Path, typer.Argument(help="Settings with streams; see configs/cluster.yaml.", metavar="CONFIG")],
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The head of the Ray cluster. [default: Ray on this machine alone]"),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY.PATH=VALUE", help="Change one setting of the configuration; may be repeated."
        ),
    ] = None,
    web: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve a page of the cluster with live pictures, and metrics."),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    log_format: LogFormatOption = "text",
) -> None:
    """Run the streams of a configuration on the machines of a Ray cluster.

    Streams of an earlier run that still go on are taken over. SIGINT and SIGTERM end all of them.
    """
    set_log(log_format=log_format, verbose=verbose, quiet=quiet)
    from sightline.cluster.driver import ClusterRun

    options = {"cluster": {"address": address}, "web": {"address": web}}
    settings = load_config(config, override or (), options)
    warn_of_idle_settings(settings)
    run = ClusterRun(settings, lambda: load_config(config, override or (), options))
    manager = ServiceManager.of_environment()

    def stop() -> None:
        run.end()

    with stopping_on_signals(stop), reloading_on_hangup(manager.reloading(run.reload)), manager.watching(run.call):
        if not quiet:
            typer.echo(f"cluster: commands are taken at {run.control}", err=True)
            if run.url is not None:
                typer.echo(f"web: {run.url}", err=True)
        run.run()


def status_command(control: ControlOption = _DEFAULT_CONTROL) -> None:
    """Print how nodes and streams are doing."""
    _send("status", control)


def drain_command(
    node: Annotated[str, typer.Argument(help="Name of the node, as status prints it.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let streams onto it again.")] = False,
    control: ControlOption = _DEFAULT_CONTROL,
) -> None:
    """Move all streams off a node, and place none on it."""
    _send(f"{'undrain' if undo else 'drain'} {node}", control)


def move_command(
    stream: Annotated[str, typer.Argument(help="Name of the stream.")],
    node: Annotated[str | None, typer.Argument(help="Where it is to run. [default: where there is most room]")] = None,
    control: ControlOption = _DEFAULT_CONTROL,
) -> None:
    """Move a stream to another node, or try one again that was set aside."""
    _send(f"move {stream} {node}" if node is not None else f"move {stream}", control)


def leave_command(control: ControlOption = _DEFAULT_CONTROL) -> None:
    """End the driver and leave all streams running; the next run takes them over."""
    _send("leave", control)


def stop_command(control: ControlOption = _DEFAULT_CONTROL) -> None:
    """End all streams, and the driver."""
    _send("stop", control)


def _send(command: str, control: str) -> None:
    from sightline.server.control_socket import send_command

    reply = send_command(control, command)
    failed = reply.startswith("error")
    typer.echo(reply, err=failed)
    if failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    cluster = typer.Typer(help="Streams on several machines, see docs/cluster.md.", no_args_is_help=True)
    cluster.command("run", no_args_is_help=True)(run_command)
    cluster.command("status")(status_command)
    cluster.command("drain", no_args_is_help=True)(drain_command)
    cluster.command("move", no_args_is_help=True)(move_command)
    cluster.command("leave")(leave_command)
    cluster.command("stop")(stop_command)
    app.add_typer(cluster, name="cluster")
