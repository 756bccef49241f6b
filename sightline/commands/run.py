"""``run``: the pipeline on videos and cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.runtime.report import Report, process_started_s
from pipeline.sources.uri import stream_name
from sightline.commands.images import refuse_pictures
from sightline.commands.options import (
    EXIT_INTERRUPTED,
    ClassesOption,
    EngineOption,
    InputSizeOption,
    IouOption,
    LogFormatOption,
    ModelOption,
    PrecisionOption,
    QuietOption,
    VerboseOption,
    WeightsOption,
    some_folder,
    split_names,
)
from sightline.commands.plain_log import set_log
from sightline.commands.signals import reloading_on_hangup, stopping_on_signals
from sightline.commands.systemd import ServiceManager
from sightline.composition.pipeline import build_pipeline
from sightline.composition.reloader import build_reloader
from sightline.composition.running import run_configured
from sightline.composition.written import shown_files
from sightline.config.changes import Changes
from sightline.config.idle import warn_of_idle_settings
from sightline.config.loading import load_config
from sightline.config.schema import Config
from sightline.terminal.preview import PreviewSink
from sightline.terminal.progress import waiting_for
from sightline.terminal.status import showing_status
from sightline.terminal.summary import print_summary

if TYPE_CHECKING:
    from sightline.composition.serving.site import Site


def _streams(sources: Sequence[str]) -> dict[str, Any]:
    """One source as ``source``, several as ``streams`` under names of their own."""
    if len(sources) < 2:
        return {"source": sources[0] if sources else None}
    return {"streams": named_streams(sources)}


def named_streams(sources: Sequence[str]) -> dict[str, dict[str, str]]:
    """Each source under a name of its own."""
    streams: dict[str, dict[str, str]] = {}
    for source in sources:
        name = base = stream_name(source)
        for number in count(2):
            if name not in streams:
                break
            name = f"{base}-{number}"
        streams[name] = {"source": source}
    return streams


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
        typer.Option(help="No output shows what scores less, 0 to 1; see docs/tracking.md. [default: the model's]"),
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
    record: Annotated[
        Path | None,
        typer.Option(
            parser=some_folder,
            metavar="FOLDER",
            help="Keep the camera's own pictures and sound, as they come, in pieces.",
        ),
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
    show: Annotated[bool, typer.Option("--show", help="Show the picture in a window; q ends the run.")] = False,
    web: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve the live page, the API and metrics, such as 127.0.0.1:8080."),
    ] = None,
    web_stay: Annotated[
        bool, typer.Option("--web-stay", help="Go on serving after the end of the video, until stopped.")
    ] = False,
    each: Annotated[
        bool,
        typer.Option("--each", help="Run each file by itself, one after the other; what is done is left out."),
    ] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=64, metavar="N", help="With --each, run so many files at a time.")
    ] = 1,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="X.jsonl", help="With --each, what became of each file. [default: beside the outputs]"),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    log_format: LogFormatOption = "text",
) -> None:
    """Detect, track and count the objects of a video.

    Exit codes: 0 at the end of the video, 130 when interrupted (outputs are complete up to there), 2 for a mistake in
    the command, the configuration or a file name, 1 for anything else that could not be done.
    """
    set_log(log_format=log_format, verbose=verbose, quiet=quiet)
    refuse_pictures(sources or ())
    options: dict[str, Any] = {
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
        "filters": {"classes": split_names(classes)},
        "tracker": {"name": tracker},
        "output": {
            "video": output,
            "fps": fps,
            "audio": False if no_audio else None,
            "jsonl": jsonl,
            "tracks": tracks,
            "report": report,
        },
        "recording": {"folder": record},
        "events": {"endpoint": events},
        "web": {"address": web, "stay": True if web_stay else None},
        "callbacks": callbacks,
    }

    changes = Changes.beside(config)

    def read(streams: Mapping[str, Any], changes: Changes | None = None) -> Config:
        return load_config(config, override or (), {**streams, **options}, changes=changes)

    if each and web is not None:
        raise ConfigError("--web: serves one run, and --each makes many; leave one of them out")
    if each and show:
        raise ConfigError("--show: shows one run, and --each makes many; leave one of them out")
    if each:
        named = {name: stream["source"] for name, stream in named_streams(sources or ()).items()}
        from sightline.commands.each import run_each

        run_each(named, read, manifest=manifest, at_once=at_once, quiet=quiet)
    elif manifest is not None or at_once != 1:
        raise ConfigError("--manifest and --at-once: are for --each, which runs many files one after the other")
    else:
        streams = _streams(sources or ())
        _run(lambda changed: read(streams, changed), changes, path=config, quiet=quiet, show=show)


def _run(read: Callable[[Changes], Config], changes: Changes, *, path: Path | None, quiet: bool, show: bool) -> None:
    """Put the parts together, run them, and write and print what happened."""
    config = read(changes)
    warn_of_idle_settings(config)
    if changes.path is not None and changes.path.exists() and not quiet:
        typer.echo(f"{changes.path}: what was changed while a run went on wins over {path}", err=True)
    with ExitStack() as stack:
        site: Site | None = None
        if config.web.address is not None:
            from sightline.composition.serving.site import Site

            site = stack.enter_context(Site(config))
        report, interrupted = _run_beside(site, config, read, changes, path=path, quiet=quiet, show=show)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if any(stream.error for stream in report.streams.values()):
        raise typer.Exit(1)


def _run_beside(
    site: Site | None,
    config: Config,
    read: Callable[[Changes], Config],
    changes: Changes,
    *,
    path: Path | None,
    quiet: bool,
    show: bool,
) -> tuple[Report, bool]:
    """The run, and who looks at it; returns its report, and whether it was interrupted."""
    with nullcontext() if quiet else waiting_for(f"loading {config.model.name}"):
        preview = PreviewSink(lambda: pipeline.stop()) if show else None
        pipeline = build_pipeline(
            config,
            progress=not quiet,
            path=path,
            sinks=[*([] if preview is None else [preview]), *([] if site is None else site.sinks)],
            started_s=process_started_s(),
        )
    reloader = build_reloader(pipeline, config, lambda: read(changes))
    manager = ServiceManager.of_environment()

    def stop() -> None:
        pipeline.stop()
        if site is not None:
            site.stop()

    with stopping_on_signals(stop) as stopped:
        with ExitStack() as stack:
            stack.enter_context(reloading_on_hangup(manager.reloading(reloader.reload)))
            if site is not None:
                site.begin(pipeline, changes, read, reloader)
                if not quiet:
                    typer.echo(f"web: {site.url}", err=True)
            if pipeline.live and not quiet:
                stack.enter_context(showing_status(pipeline.status, Console(stderr=True)))
            stack.enter_context(manager.watching(pipeline.call))
            report = run_configured(config, pipeline, reloader)
        interrupted = stopped()
        if not quiet:
            print_summary(Console(), report, shown_files(config))
        if site is not None and config.web.stay and not interrupted:
            if not quiet:
                typer.echo(f"web: {site.url} stays open until it is stopped", err=True)
            site.stay()
    return report, interrupted


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(no_args_is_help=True)(run)
