"""Sightline's command line. What the commands run is put together in ``composition``."""

from __future__ import annotations

import difflib
import errno
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from composition import build_control, build_pipeline, build_reloader, detector_options, written_files
from pipeline.config import Config, load_config
from pipeline.errors import CallbackError, ConfigError, PipelineError
from pipeline.models.custom import choose_model
from pipeline.plain_log import keep_tracebacks_plain, log_to_standard_error, print_error
from pipeline.printable import readable
from pipeline.redaction import redact
from pipeline.signals import reloading_on_hangup, stopping_on_signals
from pipeline.sources.uri import stream_name
from sinks import (
    classify_command,
    detect_command,
    engine_commands,
    feed_commands,
    model_commands,
    store_commands,
)
from sinks.options import (
    EXIT_INTERRUPTED,
    ClassesOption,
    EngineOption,
    InputSizeOption,
    IouOption,
    ModelOption,
    PrecisionOption,
    QuietOption,
    WeightsOption,
    names,
)
from sinks.output_files import Claim, OutputFile
from sinks.status import showing_status
from sinks.terminal import print_summary

# The base of typer's usage errors, which has no public name of its own.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    help="Sightline turns a video into tracked objects, an annotated MP4, counts and events.",
    epilog="run_pipeline.py VIDEO is short for run_pipeline.py run VIDEO.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _streams(sources: Sequence[str]) -> dict[str, Any]:
    """One source as ``source``, several as ``streams`` under names of their own."""
    if len(sources) < 2:
        return {"source": sources[0] if sources else None}
    streams: dict[str, Any] = {}
    for source in sources:
        name = base = stream_name(source)
        for number in count(2):
            if name not in streams:
                break
            name = f"{base}-{number}"
        streams[name] = {"source": source}
    return {"streams": streams}


@app.command(no_args_is_help=True)
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="What to process: videos, cameras; docs/live.md has addresses.", metavar="VIDEO"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings from a YAML file; see configs/.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY.PATH=VALUE", help="Change one setting of the configuration; may be repeated."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="X.mp4", help="Write the annotated video.")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames per second of the annotated video. [default: each at its own time]"),
    ] = None,
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Leave the source's sound out of the annotated video.")
    ] = False,
    model: ModelOption = None,
    weights: WeightsOption = None,
    input_size: InputSizeOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    classes: ClassesOption = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Score from which a detection counts, 0 to 1; see docs/tracking.md. [default: 0.25]"),
    ] = None,
    iou: IouOption = None,
    detect_every: Annotated[
        str | None,
        typer.Option(metavar="N", help="Detect on every N-th frame, or auto: as often as the scene asks. [default: 1]"),
    ] = None,
    tracker: Annotated[
        str | None, typer.Option(help="Which tracker gives objects their ids; see docs/tracking.md.")
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Publish events with ZeroMQ, such as tcp://127.0.0.1:5556.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="X.jsonl", help="Write every event, one JSON object a line.")
    ] = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="X.txt", help="Write the tracks as MOT Challenge text.")
    ] = None,
    callbacks: Annotated[
        Path | None,
        typer.Option(
            metavar="MY_FILE.py", help="Call on_frame, on_second, on_minute, on_event and on_end of this file."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="X.json", help="Write what happened: losses, stage times, objects.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop after this much of the video.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Detect, track and count the objects of a video.

    Exit codes: 0 at the end of the video, 130 when interrupted (outputs are complete up to there), 2 for a mistake in
    the command, the configuration or a file name, 1 for anything else that could not be done.
    """
    options: dict[str, Any] = {
        **_streams(sources or ()),
        "detect_every": int(detect_every) if detect_every and detect_every.isdecimal() else detect_every,
        "duration_s": duration,
        "model": {
            "name": model,
            "weights": weights,
            "input_size": input_size,
            "engine": engine,
            "precision": precision,
            "confidence": confidence,
            "iou": iou,
        },
        "filters": {"classes": names(classes)},
        "tracker": {"name": tracker},
        "output": {
            "video": output,
            "fps": fps,
            "audio": False if no_audio else None,
            "jsonl": jsonl,
            "tracks": tracks,
            "report": report,
        },
        "events": {"endpoint": events},
        "callbacks": callbacks,
    }
    _run(lambda: load_config(config, override or (), options), path=config, quiet=quiet)


def _run(read: Callable[[], Config], *, path: Path | None, quiet: bool) -> None:
    """Put the parts together, run them, and write and print what happened."""
    config = read()
    pipeline = build_pipeline(config, progress=not quiet, path=path)
    reloader = build_reloader(pipeline, config, read)
    # The report comes last; that no other run writes the same one must be known now.
    claim = Claim(config.output.report) if config.output.report is not None else None
    try:
        with stopping_on_signals(pipeline.stop) as stopped, ExitStack() as stack:
            stack.enter_context(reloading_on_hangup(reloader.reload))
            if control := build_control(config, pipeline, reloader):
                stack.enter_context(control)
            if pipeline.live and not quiet:
                stack.enter_context(showing_status(pipeline.status, Console(stderr=True)))
            report = pipeline.run()
    finally:
        if config.output.report is not None and claim is not None:
            if pipeline.report is not None:
                with OutputFile(config.output.report, claim=claim) as file:
                    file.write(pipeline.report.to_json())
            claim.release()
    if not quiet:
        print_summary(Console(), report, written_files(config))
    if stopped():
        raise typer.Exit(EXIT_INTERRUPTED)
    if any(stream.error for stream in report.streams.values()):
        raise typer.Exit(1)


@app.command()
def doctor(
    source: Annotated[
        str | None, typer.Argument(metavar="VIDEO", help="A video or camera to try; none: the machine alone.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Time the model and engine that this YAML file names.")
    ] = None,
) -> None:
    """Test this machine and a source: what each stage reaches, what holds it back, how many such cameras it carries."""
    from sinks.doctor import examine

    settings = load_config(config)
    model = choose_model(settings.model.name, settings.own_models())
    diagnosis = examine(source, model=model, options=detector_options(settings))
    typer.echo(diagnosis)
    raise typer.Exit(0 if diagnosis.ok else 1)


@app.command(no_args_is_help=True)
def control(
    endpoint: Annotated[str, typer.Argument(help="The run's control address, such as tcp://127.0.0.1:5558.")],
    command: Annotated[str, typer.Argument(help="reload, status or stop.")],
) -> None:
    """Send a command to a run that was started with a control address."""
    from sinks.control import send_command

    typer.echo(send_command(endpoint, command))


engine_commands.register(app)
feed_commands.register(app)
model_commands.register(app)
store_commands.register(app)
detect_command.register(app)
classify_command.register(app)


def _with_default_command(arguments: Sequence[str]) -> list[str]:
    """``VIDEO --fps 10`` becomes ``run VIDEO --fps 10``."""
    known = {*typer.main.get_command(app).commands, "--help"}  # type: ignore[attr-defined]
    if not arguments or arguments[0] in known:
        return list(arguments)
    word = arguments[0]
    if word.replace("-", "").isalpha() and not word.startswith("-") and not Path(word).exists():
        near = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "check the path, or see --help for the commands"
        raise ConfigError(f"{word}: there is no such file and no such command; {hint}")
    return ["run", *arguments]


def _usage(error: Exception) -> str:
    """What typer found wrong with the command, in one line; the help where nothing was given."""
    text: str = error.format_message() if hasattr(error, "format_message") else str(error)
    if text.startswith("Usage: "):
        return text
    return f"error: {redact(' '.join(text.split()))} (--help tells more)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Mistakes are one plain line on standard error each."""
    log_to_standard_error()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8
    try:
        given = _with_default_command(sys.argv[1:] if arguments is None else arguments)
        code = app(args=given, prog_name="run_pipeline.py", standalone_mode=False)
    except UsageError as error:
        typer.echo(_usage(error), err=True)
        return 2
    except CallbackError as error:
        if error.__cause__ is not None:
            print_error(error.__cause__)
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except PipelineError as error:
        typer.echo("\n".join(f"error: {line}" for line in str(error).splitlines()), err=True)
        return error.exit_code
    except OSError as error:
        # Any file that any command is given may be called so, and nothing else is wrong then.
        if error.errno != errno.ENAMETOOLONG:
            raise
        typer.echo(
            f"error: {readable(str(error.filename))}: no file has so long a name; choose a shorter one", err=True
        )
        return 2
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _exit(code: int) -> NoReturn:
    """End the process, also while a read of a silent camera is under way, which nothing can call off."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("decode ") for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    keep_tracebacks_plain()
    _exit(main())
