"""No command writes to a file that it reads, or twice to one: every output against every input, before anything is
written. How paths are compared, whatever they are called: ``tests/pipeline/test_files.py``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
import pytest
import typer
from pydantic import BaseModel

from pipeline.errors import ConfigError
from sightline.commands.main import command_line, main
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from sightline.config.schema import Config
from sinks.store.sqlite_store import SqliteStore
from tests.sinks.test_contract import feed
from tests.support.clips import write_clip
from tests.support.onnx_embedding import write_embedding

# Every setting that names a file. A new one belongs in one of these lists, and in RUN_OUTPUTS or RUN_INPUTS below.
WRITTEN = {"output.video", "output.tracks", "output.jsonl", "output.report", "store.path", "webhook.spool"}
WRITTEN |= {"notify.spool", "evidence.folder"}
WRITTEN |= {"cluster.state"}  # by `cluster run` alone, which takes a file that it has not written for a mistake
WRITTEN |= {"streams.*.output.video", "streams.*.output.tracks", "recording.folder", "streams.*.recording.folder"}
READ = {"model.weights", "models.*.weights", "models.*.cfg", "models.*.names", "classify.weights", "classify.names"}
READ |= {"web.changes"}  # nothing but a change over HTTP adds to it
READ |= {"tracker.appearance", "streams.*.tracker.appearance"}
READ |= {"models.*.onnx", "events.keys", "callbacks"}  # besides, as text: source, events.clients, filters.predicate

# Every option and argument of a command that is a path.
OPTIONS_WRITTEN = {
    *(
        "run output",
        "run record",
        "run jsonl",
        "run tracks",
        "run report",
        "run manifest",
        "export output",
        "report-html output",
    ),
    *("detect output", "detect json", "detect csv", "detect coco", "classify json", "models convert output"),
    "keys new folder",  # makes new files only
}
OPTIONS_READ = {
    *("run config", "run weights", "run callbacks", "doctor config", "calibrate config", "calibrate weights"),
    *("query store", "export store", "report-html store", "report-html picture", "detect config", "detect weights"),
    *("classify weights", "classify names", "models list config", "models convert source", "models convert config"),
    *("report-html evidence", "cluster run config", "notify test config", "listen key"),
}


def paths_in(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a configuration whose values are paths."""
    for name, field in model.model_fields.items():
        text = repr(field.annotation)
        if "Path" in text:
            yield prefix + name
        for part in _models(field.annotation):
            star = "*." if "dict[" in text else ""
            yield from paths_in(part, f"{prefix}{name}.{star}")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def path_options(commands: typer.Typer, group: str = "") -> Iterator[str]:
    """The parameters of all commands that are paths."""
    for inner in commands.registered_groups:
        assert inner.typer_instance is not None
        yield from path_options(inner.typer_instance, f"{group}{inner.name} ")
    for command in commands.registered_commands:
        assert command.callback is not None
        for name, kind in get_type_hints(command.callback).items():
            if "Path" in repr(kind):
                yield f"{group}{command.name or command.callback.__name__} {name}"


def test_every_setting_that_is_a_path_is_known_here() -> None:
    assert set(paths_in(Config)) == WRITTEN | READ


def test_every_option_that_is_a_path_is_known_here() -> None:
    assert set(path_options(command_line())) == OPTIONS_WRITTEN | OPTIONS_READ


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(arguments: Sequence[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which a command is refused."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: cannot write the ")
    assert line.endswith("; choose another name")
    return line


def refused_run(config: dict[str, Any]) -> str:
    """The same for ``run`` with a configuration, without the command line around it, which takes longer than that."""
    path = Path("run.json")
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError) as caught:
        build_pipeline(load_config(path), progress=False, path=path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@dataclass(frozen=True)
class Output:
    """An output of ``run``: the settings that ask for it, and a file that it would write, both in ``out``."""

    settings: dict[str, dict[str, Any]]
    file: str


RUN_OUTPUTS = {
    "video": Output({"output": {"video": "out/x.mp4"}}, "x.mp4"),
    "unfinished video": Output({"output": {"video": "out/x.mp4"}}, "x.partial.mp4"),
    "video being finished": Output({"output": {"video": "out/x.mp4"}}, "x.partial.finishing.mp4"),
    "segment": Output({"output": {"video": "out/x.mp4", "segment_s": 60}}, "x-20260102T030405Z.mp4"),
    "unfinished segment": Output({"output": {"video": "out", "segment_s": 60}}, "clip-20260102T030405Z.partial.mp4"),
    "recording": Output({"recording": {"folder": "out"}}, "clip-20260102T030405Z.mp4"),
    "unfinished recording": Output({"recording": {"folder": "out"}}, "clip-20260102T030405Z.partial.mkv"),
    "unfinished evidence": Output({"evidence": {"folder": "evidence"}}, ".picture.partial.jpg"),
    "tracks": Output({"output": {"tracks": "out/x.txt"}}, "x.txt"),
    "unfinished tracks": Output({"output": {"tracks": "out/x.txt"}}, "x.partial.txt"),
    "events": Output({"output": {"jsonl": "out/x"}}, "x"),
    "unfinished events": Output({"output": {"jsonl": "out/x"}}, "x.partial"),
    "report": Output({"output": {"report": "out/x.json"}}, "x.json"),
    "unfinished report": Output({"output": {"report": "out/x.json"}}, "x.partial.json"),
    "store": Output({"store": {"path": "out/x.db"}}, "x.db"),
    "log of the store": Output({"store": {"path": "out/x.db"}}, "x.db-wal"),
    "Parquet file": Output({"store": {"path": "out", "format": "parquet"}}, "events-20260102T030405000000Z-1.parquet"),
    "spool": Output({"webhook": {"url": "http://127.0.0.1:1/", "spool": "out"}}, "000000000001-x.json"),
    # Of a target named "out", which has a folder in that of the spool. What HOME holds is not looked at.
    "notifications": Output(
        {"notify": {"spool": "out/..", "targets": {"out": {"url_env": "HOME"}}}}, "000000000001-x.json"
    ),
}

RUN_INPUTS = {
    "source": "clip.mp4",
    "source of another stream": "other.mp4",
    "image of a folder": "shots/1.png",
    "configuration": "run.json",
    "callbacks": "callbacks.py",
    "filter": "filter.py",
    "weights": "x.weights",
    "weights of a model": "own.weights",
    "layers of a model": "own.cfg",
    "ONNX file of a model": "own.onnx",
    "names of a model": "own.names",
    "weights of the classifier": "classifier.h5",
    "names of the classifier": "classifier.txt",
    "network for appearance": "people.onnx",
    "key": "x.key_secret",
    "key of a client": "y.key",
    "keys of clients": "clients/z.key",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of every kind of input."""
    folder = tmp_path_factory.mktemp("inputs")
    write_clip(folder / "clip.mp4", count=3)
    shutil.copy(folder / "clip.mp4", folder / "other.mp4")
    (folder / "shots").mkdir()
    cv2.imwrite(str(folder / "shots" / "1.png"), np.zeros((48, 64, 3), np.uint8))
    (folder / "more").mkdir()
    cv2.imwrite(str(folder / "more" / "3.jpg"), np.zeros((48, 64, 3), np.uint8))
    (folder / "callbacks.py").write_text("def on_end(report):\n    pass\n")
    (folder / "filter.py").write_text("def keep(detections, frame):\n    return detections.score > 0\n")
    (folder / "clients").mkdir()
    write_embedding(folder / "people.onnx")  # the one network that is opened before outputs are looked at
    for name in RUN_INPUTS.values():
        if not (folder / name).exists():
            (folder / name).write_text(f"{name}\n")
    return folder


@pytest.fixture
def inputs(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "clip").symlink_to(tmp_path / "out")  # the folder of the first stream there
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings() -> dict[str, Any]:
    """A configuration that reads all of RUN_INPUTS."""
    own = {"weights": "own.weights", "cfg": "own.cfg", "names": "own.names"}
    return {
        "streams": {"clip": {"source": "clip.mp4"}, "b": {"source": "other.mp4"}, "c": {"source": "shots"}},
        "callbacks": "callbacks.py",
        "filters": {"predicate": "filter.py:keep"},
        "model": {"weights": "x.weights"},
        "models": {"mine": own, "other": {"onnx": "own.onnx"}},
        "classify": {"weights": "classifier.h5", "names": "classifier.txt"},
        "tracker": {"appearance": "people.onnx"},
        "events": {"keys": "x.key_secret", "clients": ["y.key", "clients"]},
    }


def with_outputs(config: dict[str, Any], *outputs: dict[str, Any]) -> dict[str, Any]:
    """Add outputs; those of a stream go to the first one."""
    for output in outputs:
        for section, values in output.items():
            shared = ("jsonl", "report") if section == "output" else () if section == "recording" else values
            own = {key: value for key, value in values.items() if key not in shared}
            if own:
                config["streams"]["clip"].setdefault(section, {}).update(own)
            config.setdefault(section, {}).update({key: value for key, value in values.items() if key not in own})
    return config


@pytest.mark.parametrize(
    ("output", "given"),
    [
        *((output, given) for output in RUN_OUTPUTS for given in ("source of another stream", "configuration")),
        *(("tracks", given) for given in RUN_INPUTS),
    ],
)
def test_no_output_of_a_run_is_an_input(output: str, given: str, inputs: Path) -> None:
    """The input is a link that leads to a file that would be written."""
    chosen, name = RUN_OUTPUTS[output], RUN_INPUTS[given]
    config = with_outputs(settings(), chosen.settings)
    (inputs / "run.json").write_text(json.dumps(config))
    (inputs / name).rename(inputs / "out" / chosen.file)
    (inputs / name).symlink_to(inputs / "out" / chosen.file)
    before = contents(inputs)
    assert "it is " in refused_run(config)
    assert contents(inputs) == before


@pytest.mark.parametrize("option", ["-o", "--jsonl", "--report", "--tracks"])
def test_a_run_from_the_command_line(option: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(inputs)
    for name in ("clip.mp4", "run.json") if option != "-o" else ("clip.mp4",):
        (inputs / "run.json").write_text(json.dumps({"model": {"input_size": 64}}))
        line = refused(["clip.mp4", "-c", "run.json", option, name, "--quiet"], capsys)
        assert ("it is what stream clip reads" if name == "clip.mp4" else "it is the configuration") in line
        assert {**contents(inputs), "run.json": before["run.json"]} == before


@pytest.mark.parametrize("output", RUN_OUTPUTS)
def test_no_output_of_a_run_is_another(output: str, inputs: Path) -> None:
    """No output is there yet."""
    chosen = RUN_OUTPUTS[output]
    before = contents(inputs)
    for key in ("tracks", "jsonl", "report"):
        if key in chosen.settings.get("output", {}) or (key == "report" and output != "tracks"):
            continue
        same = {"output": {key: f"out/../out/{chosen.file}"}}
        assert "would be written there too" in refused_run(with_outputs(settings(), chosen.settings, same))
        assert {**contents(inputs), "run.json": before["run.json"]} == before


def test_two_streams_with_one_output(inputs: Path) -> None:
    (inputs / "link").symlink_to("out")
    for key, segment_s in (("video", None), ("tracks", None), ("video", 60)):
        outputs = [{"output": {key: f"{folder}/x.mp4", "segment_s": segment_s}} for folder in ("out", "link")]
        streams = {"a": {"source": "clip.mp4", **outputs[0]}, "b": {"source": "other.mp4", **outputs[1]}}
        assert "would be written there too" in refused_run({"streams": streams})
    assert not list((inputs / "out").iterdir())


def test_the_weights_that_a_model_has_by_default(
    inputs: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny_weights.stat()
    for command in (["clip.mp4", "--tracks"], ["detect", "shots", "--json"], ["models", "convert", "x.weights"]):
        link = Path("out/x.h5")
        link.symlink_to(tiny_weights)
        assert "it is the weights of the model" in refused([*command, link], capsys)
        link.unlink()
    assert (tiny_weights.stat().st_mtime_ns, tiny_weights.stat().st_size) == (before.st_mtime_ns, before.st_size)


def store(folder: Path) -> None:
    sink = SqliteStore(folder / "events.db")
    feed(sink)
    sink.close()


@pytest.mark.parametrize(
    ("arguments", "written", "inputs_of_it"),
    [
        ("detect shots -c run.json --weights x.weights -o out", "out/1.png", ("shots/1.png", "run.json", "x.weights")),
        ("detect shots -o out --extract", "out/1-objects/person-3.jpg", ("shots/1.png",)),
        (
            "detect shots -c run.json --weights x.weights --json out/x",
            "out/x",
            ("shots/1.png", "run.json", "x.weights"),
        ),
        ("detect shots -c run.json --weights x.weights --csv out/x", "out/x", ("shots/1.png", "run.json", "x.weights")),
        ("detect shots -c run.json --coco out/x", "out/x.partial", ("shots/1.png", "own.names", "own.cfg")),
        (
            "classify shots --weights classifier.h5 --names classifier.txt --json out/x",
            "out/x",
            ("shots/1.png", "classifier.h5", "classifier.txt"),
        ),
        ("models convert x.weights out/x.h5 -c run.json", "out/x.h5", ("x.weights", "run.json", "own.weights")),
        ("models convert x.weights out/x.h5", "out/x.partial.h5", ("x.weights",)),
        ("export out/x.csv", "out/x.csv", ("events.db",)),
        ("export out/x.csv", "out/x.partial.csv", ("events.db",)),
        ("report-html out/x.html --picture shots/1.png", "out/x.html", ("events.db", "shots/1.png")),
        ("calibrate clip.mp4 -c run.json", "cache/int8/x.bin", ("clip.mp4", "run.json")),
    ],
)
def test_no_output_of_another_command_is_an_input(
    arguments: str,
    written: str,
    inputs_of_it: Sequence[str],
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", "cache")
    store(inputs)
    (inputs / "run.json").write_text(json.dumps({"models": settings()["models"]}))
    (inputs / written).parent.mkdir(parents=True, exist_ok=True)
    before = contents(inputs)
    for name in inputs_of_it:
        (inputs / name).rename(inputs / written)
        (inputs / name).symlink_to(inputs / written)
        refused(arguments.split(), capsys)
        (inputs / name).unlink()
        (inputs / written).rename(inputs / name)
        assert contents(inputs) == before, name


@pytest.mark.parametrize(
    "arguments",
    [
        "detect shots -o shots",
        "detect shots/*.png -o shots",
        "detect **/*.png -o new",
        "detect shots **/*.jpg -o out --extract",
        "detect shots -o out --json out/1.png",
        "detect shots -o out --json out/1.partial.png",
        "detect shots -o out --json out",
        "detect shots -o out --extract --json out/1-objects/car-1.jpg",
        "detect shots --json out/x --csv out/../out/x",
        "detect shots --json shots/2.png",
        "classify shots --json shots/2.png",
        "shots --jsonl shots/2.jpg",
        "shots/*.p* --tracks shots/x.png",
    ],
)
def test_what_would_be_read_the_next_time(arguments: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(inputs)
    refused(arguments.split(), capsys)
    assert contents(inputs) == before
