"""The commands that concern the event feed: listen, schema and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from pipeline.event_codec import (
    EVENT_TYPES_BY_NAME,
    encode_json,
    event_kind,
    event_type,
    json_schema_text,
    type_name,
)
from pipeline.events import Event, Heartbeat
from pipeline.feed_events import FEED_EVENT_TYPES
from sightline.commands.options import some_names

# Fields of an event that its line shows elsewhere, or that only programs need.
_NOT_SHOWN = {"schema", "seq", "run", "stream", "pts_s", "wall", "origin", "class_name", "track_id"}


def listen_command(
    endpoint: Annotated[str, typer.Argument(help="Where a run publishes, such as tcp://127.0.0.1:5556.")],
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="Only topics STREAM/TYPE/CLASS that begin so; may be repeated."),
    ] = None,
    types: Annotated[
        str | None, typer.Option("--types", help="Only these types, such as line.crossed,window.second.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each event as one JSON object.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with the next run when one ends.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Begin with what the feed still holds of the run.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Give up when nothing is heard for so long.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="X.key_secret", help="This client's secret key.")] = None,
    server_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The publisher's public key, or the file that holds it.")
    ] = None,
) -> None:
    """Print the events of a run as they come, missing none; what can't be had any more is told as feed.gap.

    Ends when the run does, with --follow only when interrupted.
    """
    from sinks.feed.client import subscribe

    chosen = _event_types(types)
    try:
        with subscribe(
            endpoint,
            topics=topic or (),
            follow=follow,
            history=history,
            heartbeats=chosen is not None and type_name(Heartbeat) in chosen,
            timeout_s=timeout,
            keys=key,
            server_key=server_key,
        ) as events:
            for event in events:
                if chosen is None or event_type(event) in chosen:
                    typer.echo(encode_json(event).decode() if json else describe(event))
    except TimeoutError:
        typer.echo(f"error: nothing was heard from {endpoint} for {timeout:g} s; is a run publishing there?", err=True)
        raise typer.Exit(1) from None


def _event_types(types: str | None) -> tuple[str, ...] | None:
    chosen = some_names(types, "--types", "type", "line.crossed")
    known = {*EVENT_TYPES_BY_NAME, *map(type_name, FEED_EVENT_TYPES)}
    for name in chosen or ():
        if name not in known:
            event_kind(name)  # says what there is
    return chosen


def describe(event: Event) -> str:
    """An event in one line for a person."""
    subject = [getattr(event, "class_name", ""), f"#{event.track_id}" if hasattr(event, "track_id") else ""]
    details = {
        name: value
        for name, value in msgspec.structs.asdict(event).items()
        if name not in _NOT_SHOWN and value not in (None, {}, [])
    }
    told = " ".join(f"{name}={_short(value)}" for name, value in details.items())
    columns = [f"{event.pts_s:9.3f} s", event.stream, f"{event_type(event):15}", *filter(None, subject), told]
    return "  ".join(columns).rstrip()


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, msgspec.Struct | dict | list | tuple):
        return msgspec.json.encode(value).decode()
    return str(value)


def schema_command() -> None:
    """Print the JSON Schema of the events, as docs/events.schema.json holds it."""
    typer.echo(json_schema_text(), nl=False)


def keys_new_command(
    name: Annotated[str, typer.Argument(help="What to call the key pair, such as the machine's name.")],
    folder: Annotated[Path, typer.Option(help="Where to put NAME.key and NAME.key_secret.")] = Path("keys"),
) -> None:
    """Make a key pair for a feed that other machines may read: NAME.key is public, NAME.key_secret is not."""
    from sinks.feed.keys import write_keys

    for path in write_keys(name, folder):
        typer.echo(path)


def register(app: typer.Typer) -> None:
    """Add these commands to a command line."""
    app.command("listen", no_args_is_help=True)(listen_command)
    app.command("schema")(schema_command)
    keys = typer.Typer(help="Keys for an event feed that leaves this machine.", no_args_is_help=True)
    keys.command("new", no_args_is_help=True)(keys_new_command)
    app.add_typer(keys, name="keys")
