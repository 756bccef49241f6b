"""What a run leaves behind: the paths that its configuration names, and the files that are there."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.config.schema import Config
from sinks.output_files import is_stream
from sinks.video.retention import segment_names


def written_files(config: Config) -> dict[str, Path]:
    """The paths that a run writes to, by kind; a video in pieces is named as its pieces begin."""
    streams = config.resolved_streams()
    paths = {
        **{f"video of {stream.name}" if len(streams) > 1 else "video": stream.output.video for stream in streams},
        **{
            f"recording of {stream.name}" if len(streams) > 1 else "recording": stream.recording.folder
            for stream in streams
        },
        **{f"tracks of {stream.name}" if len(streams) > 1 else "tracks": stream.output.tracks for stream in streams},
        "events": config.output.jsonl,
        "report": config.output.report,
    }
    return {kind: path for kind, path in paths.items() if path is not None}


def present_files(config: Config) -> list[Path]:
    """The files that are there of what a run writes, pieces included; also those of earlier runs that are called so."""
    from sinks.recording.sink import EVENTS_FOLDER

    found = [path for path in written_files(config).values() if path.is_file()]
    for stream in config.resolved_streams():
        video, folder = stream.output.video, stream.recording.folder
        if video is not None and stream.output.segment_s is not None:
            found += _pieces(video.parent, video.stem)
        if folder is not None:
            found += [path for each in (folder, folder / EVENTS_FOLDER) for path in _pieces(each, stream.name)]
    return found


def shown_files(config: Config) -> dict[str, Path]:
    """What is there of ``written_files``; of a video in pieces a pattern that they have in common."""
    shown = {}
    pieces = {stream.output.video for stream in config.resolved_streams() if stream.output.segment_s is not None}
    for kind, path in written_files(config).items():
        if path in pieces and kind.startswith("video"):
            if _pieces(path.parent, path.stem):
                shown[kind] = path.with_name(f"{path.stem}-*{path.suffix}")
        elif is_stream(path) or os.path.lexists(path):
            shown[kind] = path
    return shown


def _pieces(folder: Path, prefix: str) -> list[Path]:
    names = segment_names(prefix)
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in there if (match := names.fullmatch(path.name)) and not match["partial"]]
