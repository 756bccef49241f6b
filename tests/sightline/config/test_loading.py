"""The configuration: what it accepts, what it refuses, and how it says so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import ConfigError, PipelineError
from pipeline.sources.uri import stream_name
from pipeline.user_code import load_user_file
from sightline.config.loading import load_config
from sightline.config.problems import allowed, key_paths
from sightline.config.schema import Config, StreamSection, StreamSettings
from sightline.config.yaml_reader import MAX_BYTES, read_yaml

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
CONFIGS = Path(__file__).parents[3] / "configs"


def write(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, *overrides: str, options: dict[str, Any] | None = None) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, options)
    return str(caught.value).replace(str(path), "my.yaml").split("\n")


def test_defaults_are_what_the_file_with_every_key_says() -> None:
    assert load_config(CONFIGS / "file.yaml") == Config() == load_config(None)


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    path = write(tmp_path, "source: ~/in.mp4\noutput: {video: ~/out.mp4, tracks: ~me/x.txt}\n")
    config = load_config(path, ["filters.predicate=~/mine.py:keep"])
    assert config.source == "/home/me/in.mp4"
    assert config.output.video == Path("/home/me/out.mp4")
    assert config.output.tracks == Path("~me/x.txt")
    assert config.filters.predicate == "/home/me/mine.py:keep"


def test_text_that_means_more_to_yaml_is_said_to_need_quotes(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "output:\n  video: {stream}.mp4\n")
    assert problem.startswith("my.yaml:2: is not valid YAML: ")
    assert problem.endswith("; text that begins with { needs quotes: '{...'")
    for value in ("#1.mp4", "&1"):
        with pytest.raises(ConfigError, match=f"begins with {value[0]} needs quotes"):
            load_config(None, [f"output.video={value}"])
    assert load_config(None, ["output.video='#1.mp4'"]).output.video == Path("#1.mp4")


@pytest.mark.parametrize("key", ["recording.folder", "evidence.folder", "store.path", "webhook.spool", "notify.spool"])
def test_the_current_folder_is_a_folder_and_no_text_is_none(key: str) -> None:
    section, name = key.split(".")
    assert getattr(getattr(load_config(None, [f"{key}=."]), section), name) == Path()
    with pytest.raises(ConfigError, match=f'{key}: got "", expected the path of a folder'):
        load_config(None, [f"{key}=''"])


def test_the_current_folder_is_no_file() -> None:
    with pytest.raises(ConfigError, match=r'output.video: got "\.", expected the path of a file'):
        load_config(None, ["output.video=."])


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = write(tmp_path, "duration_s: 3")
    assert load_config(str(path)) == load_config(path)


def test_the_file_with_every_key_names_every_key() -> None:
    data = yaml.safe_load((CONFIGS / "file.yaml").read_text(encoding="utf-8"))
    for path, _ in key_paths(Config):
        if "NAME" in path or path[0] == "homography":
            continue
        section: Any = data
        for key in path:
            assert key in section, path
            section = section[key]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_files_are_valid_and_every_key_is_commented(path: Path) -> None:
    load_config(path)
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(":")
        if key.strip() and not key.lstrip().startswith("#") and rest.strip():
            assert "#" in rest, f"{path.name}: no comment at {line!r}"


def test_the_ranges_in_the_comments_are_the_schema_s() -> None:
    lines = (CONFIGS / "file.yaml").read_text(encoding="utf-8").splitlines()
    checked = 0
    for path, field in key_paths(Config):
        words = allowed(field.annotation, field.metadata)
        if "NAME" in path or not words.startswith(("a number from", "a whole number from")):
            continue
        numbers = set(_NUMBER.findall(words))
        comments = [line.partition("#")[2] for line in lines if line.strip().startswith(f"{path[-1]}:")]
        assert any(numbers <= set(_NUMBER.findall(comment)) for comment in comments), (path, words, comments)
        checked += 1
    assert checked > 8


def test_reads_what_is_given(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            "source: a.mp4\n"
            "model: {confidence: 1e-3, weights: w.weights}\n"
            "filters: {classes: [no, person], region: [[0, 0], [1, 0.5], [2, 2]], predicate: rules/mine.py:keep}\n"
            "tracker: {name: sort, settings: {max_age_s: 1, strict: true}}\n"
            "zones: {door: {polygon: [[0, 0], [1, 0], [1, 1]], units: fraction}}\n",
        )
    )
    assert config.source == "a.mp4"
    assert config.model.confidence == 0.001
    assert config.model.weights == Path("w.weights")
    assert config.filters.classes == ("no", "person")  # YAML 1.1 would have made no a boolean.
    assert config.filters.region == ((0, 0), (1, 0.5), (2, 2))
    assert config.tracker.settings == {"max_age_s": 1, "strict": True}
    assert config.tracker.settings["strict"] is True
    assert config.zones["door"].units == "fraction"


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5556", "tcp://*:*", "tcp://[::1]:5556", "ipc://out/feed"])
def test_what_the_feed_binds_can_be_named(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f'events: {{endpoint: "{endpoint}"}}')
    assert load_config(tmp_path / "my.yaml").events.endpoint == endpoint


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "# nothing\n")) == Config()


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        "source: a.mp4\n"
        "model:\n"
        "  confidense: 0.3\n"
        "  iou: 1.5\n"
        "  input_size: 400\n"
        "  precision: bfloat\n"
        "  square: 1\n"
        "detect_every: 0\n"
        "filters:\n"
        "  classes: person\n"
        "  region: [[0, 0], [1, a]]\n"
    )
    assert problems(tmp_path, text) == [
        "my.yaml:3: model.confidense: unknown key; did you mean confidence? "
        "(allowed in model: name, weights, input_size, anchors, square, engine, precision, confidence, iou, batch, "
        "max_wait_ms)",
        "my.yaml:4: model.iou: got 1.5, expected a number from 0 to 1, or null",
        "my.yaml:5: model.input_size: got 400, expected a whole number from 32 to 2048 that is a multiple of 32, "
        "or null",
        'my.yaml:6: model.precision: got "bfloat", expected one of auto, float32, bfloat16, '
        "float16, int8; did you mean bfloat16 or float32 or float16?",
        "my.yaml:7: model.square: got 1, expected true or false",
        "my.yaml:8: detect_every: got 0, expected a whole number, at least 1, or auto",
        'my.yaml:10: filters.classes: got "person", expected a list, each text, or null',
        'my.yaml:11: filters.region[1]: got [1, "a"], expected a list of exactly 2, each a number',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("confidence: 0.3", "did you mean filters.confidence or model.confidence?"),
        ("modle: {}", "did you mean model or models or node?"),
        ("zones: {a: {}}", "zones.a.polygon: is missing; expected a list of at least 3"),
        ("zones: {a: {polygon: [[0, 0], [1, 1]]}}", "zones.a.polygon: got [[0, 0], [1, 1]], expected a list of at"),
        ("lines: {a: {start: [0, 0], end: [0, 0]}}", "lines.a: start and end are the same point"),
        ("zones: {a: {polygon: [[0, 0], [9, 9], [9, 0], [0, 9]]}}", "zones.a: the polygon's edges cross"),
        ("homography: {image: [[0, 0], [1, 1], [2, 2], [3, 0]], metres: []}", "homography.metres: got [], expected a"),
        ("homography: {image: &p [[0, 0], [1, 1], [2, 2], [3, 0]], metres: *p}", "homography: three of the four"),
        ("filters: {min_size: [5, 5], max_size: [4, 9]}", "filters: min_size is larger than max_size"),
        ("streams: {a/b: {source: x}}", "streams.a/b: got \"a/b\", expected a stream name"),
        ("streams: {a: {}}", "streams.a.source: is missing; expected text"),
        ("source: x\nstreams: {a: {source: x}}", "source and streams are both given"),
        ("output: {fps: 0}", "output.fps: got 0, expected a number above 0 and at most 240, or null"),
        ("output: {fps: .inf}", "output.fps: got Infinity"),
        ("output: {video: ''}", "output.video: got \"\", expected the path of a file"),
        ("duration_s: .nan", "duration_s: got NaN, expected a number above 0, or null"),
        ("duration_s: '3'", 'duration_s: got "3", expected a number above 0, or null'),
        ("detect_every: true", "detect_every: got true, expected a whole number"),
        ("detect_every: 2.5", "detect_every: got 2.5, expected a whole number"),
        ("filters: {min_size: [1]}", "filters.min_size: got [1], expected a list of exactly 2"),
        ("filters: {confidence: {person: 2}}", "filters.confidence.person: got 2, expected a number from 0 to 1"),
        ("filters: {predicate: keep}", 'filters.predicate: got "keep", expected a Python file and a function in it'),
        ("evidence: {alerts: []}", "alerts: got [], expected true or false, or a list of at least 1, each text"),
        ("tracker: {settings: {a: [1]}}", "tracker.settings.a: got [1], expected a number, true or false"),
        ("events: {endpoint: localhost}", "expected tcp://HOST:PORT"),
        ("events: {types: [track.start]}", "expected one of stream.started"),
        ("callback_errors: ignore", "callback_errors: got \"ignore\", expected one of stop, continue"),
        ("model:\n  iou: 0.1\n  iou: 0.2", "my.yaml:3: model.iou: is given twice, first in line 2"),
        ("model: &m {}\nother:\n  <<: *m", "unknown key"),
        ("model:\n  <<: {iou: 1}", "merge keys are not supported"),
        ("[1, 2]", "my.yaml: got [1, 2], expected keys with values"),
        ("hello", 'my.yaml: got "hello", expected keys with values'),
        ("model: {name: [}", "my.yaml:1: is not valid YAML: "),
        ("a: 1\n--- \nb: 2", "my.yaml:2: is not valid YAML: "),
        ("model: {name: *nowhere}", "is not valid YAML: found undefined alias"),
        ("model: {name: !!python/object/apply:os.system [ls]}", "the tag "),
        ("model: {name: \"a\\0b\"}", "expected text without control characters"),
        ("detect_every: 99999999999999999999999999", "is too large a number"),
        ("? [a, b]\n: 1", "my.yaml:1: expected a plain word as key"),
        ("source: 1\nmodel: rtsp://me:x/secret@yz@camera/", "model: got \"rtsp://camera/\""),
        ("source: rtsp://me:secret@camera/\nmodel: rtsp://me:secret@camera/", "model: got \"rtsp://camera/\""),
    ],
)  # fmt: skip
def test_says_what_was_wrong(tmp_path: Path, text: str, expected: str) -> None:
    lines = problems(tmp_path, text)
    assert any(expected in line for line in lines), lines
    assert not any("secret" in line for line in lines)


def test_overrides_and_options_go_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "model: {iou: 0.1, confidence: 0.2, batch: 3}\noutput: {jsonl: a}\n")
    options = {"model": {"confidence": 0.4, "iou": None}, "output": {"video": Path("x.mp4")}, "filters": None}
    config = load_config(path, ["model.iou=0.3", "model.confidence=0.3", "filters.classes=[a, b]"], options)
    assert (config.model.iou, config.model.confidence, config.model.batch) == (0.3, 0.4, 3)
    assert config.filters.classes == ("a", "b")
    assert config.output.video == Path("x.mp4")
    assert config.output.jsonl == Path("a")


def test_an_override_may_set_null_and_whole_sections(tmp_path: Path) -> None:
    path = write(tmp_path, "output: {jsonl: a}\nfilters: {confidence: {person: 0.1}}\n")
    config = load_config(path, ["output.jsonl=", "filters.confidence.car=0.2", "homography=null"])
    assert config.output.jsonl is None
    assert config.filters.confidence == {"person": 0.1, "car": 0.2}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.iou", "--set model.iou: expected key.path=value, such as model.confidence=0.4"),
        ("=3", "--set =3: expected key.path=value, such as model.confidence=0.4"),
        ("model..iou=3", "--set model..iou=3: expected key.path=value, such as model.confidence=0.4"),
        ("modle.iou=3", "--set: modle: unknown key; did you mean model or models or node?"),
        ("model.iou=[", "--set model.iou=[: is not valid YAML: "),
        ("model.iou=3", "--set: model.iou: got 3, expected a number from 0 to 1"),
        ("source.x=3", '--set: source.x: source is "a.mp4", not a section with keys of its own'),
        ("source=[rtsp://me:secret@camera", "is not valid YAML"),
        (".".join("a" * 99) + "=1", "is too long"),
    ],
)
def test_says_what_was_wrong_with_an_override(tmp_path: Path, override: str, expected: str) -> None:
    (line,) = problems(tmp_path, "source: a.mp4", override)
    assert expected in line
    assert "secret" not in line


def test_options_are_named_as_such(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "model: {iou: 0.3}", options={"model": {"iou": 3.0}})
    assert line == "command line: model.iou: got 3.0, expected a number from 0 to 1, or null"


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    cases: list[tuple[Path, str]] = [
        (tmp_path / "none.yaml", "there is no such config file"),
        (tmp_path, "is not a file"),
        (tmp_path / "bad\0name", "there is no such config file"),
    ]
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    binary.write_bytes(b"a: \xff\xfe")
    cases += [(large, "is larger than 256 KiB"), (binary, "is not UTF-8 text")]
    for path, expected in cases:
        with pytest.raises(ConfigError, match=expected) as caught:
            load_config(path)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: " + "[" * 100_000, "nested deeper"),
        ("a: " + "{a: " * 100 + "}" * 100, "nested deeper"),
        ("a: &a [*a]", "nested deeper"),
        ("\n".join(f"{'- ' * depth}-" for depth in range(40)), "my.yaml"),
        (
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "grows to more than",
        ),
        ("".join(f"k{n}: &a{n} 1\n" for n in range(9000)), "and 8950 more problems"),
        ("a: [" + "1," * 100_000 + "]", "holds more than 10000 values"),
    ],
    ids=["open brackets", "nested maps", "recursive alias", "nested lists", "billion laughs", "many keys", "long list"],
)
def test_hostile_files_cost_little(tmp_path: Path, text: str, expected: str) -> None:
    # Following all the aliases would take longer than any test's time limit.
    assert any(expected in line for line in problems(tmp_path, text))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_read_or_refused_plainly(text: str) -> None:
    try:
        document = read_yaml(text, "my.yaml")
        document.raise_problems()
    except PipelineError as error:
        assert all(line.startswith("my.yaml") for line in str(error).split("\n"))


_FINITE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_SCALARS = _FINITE | st.floats()
_KEYS = st.sampled_from([keys[-1] for keys, _ in key_paths(Config)]) | st.text(max_size=5)


@given(
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_options_give_a_config_or_a_config_error(data: object) -> None:
    options = data if isinstance(data, dict) else {"model": data, "zones": {"a": data}, "filters": {"region": data}}
    try:
        config = load_config(None, (), options)
    except ConfigError as error:
        assert str(error)
        assert all(line.startswith("command line") for line in str(error).split("\n"))
    else:
        assert isinstance(config, Config)


@given(st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1), _FINITE, max_size=5))
def test_reads_yaml_as_its_own_writer_wrote_it(data: dict[str, Any]) -> None:
    # JSON is YAML, and says without doubt what is text and what is not.
    document = read_yaml(json.dumps(data), "my.yaml")
    if not document.problems:
        assert document.data == data


def test_streams_take_what_they_do_not_give_from_the_top_level() -> None:
    options = {
        "detect_every": 2,
        "filters": {"classes": ["person"], "min_size": [4, 4]},
        "output": {"video": "out/{stream}.mp4", "annotate": {"show_ids": False}},
        "streams": {
            "door": {"source": "rtsp://me:secret@door/1"},
            "yard": {
                "source": "yard.mp4",
                "detect_every": 5,
                "filters": {"classes": ["car"]},
                "output": {"annotate": {"show_scores": False}, "fps": 10},
            },
        },
    }
    config = load_config(None, (), options)
    door, yard = config.resolved_streams()
    assert (door.name, door.source, door.detect_every) == ("door", "rtsp://me:secret@door/1", 2)
    assert (yard.name, yard.source, yard.detect_every) == ("yard", "yard.mp4", 5)
    assert yard.filters.classes == ("car",)
    assert yard.filters.min_size == (4, 4)
    assert (yard.output.annotate.show_ids, yard.output.annotate.show_scores, yard.output.fps) == (False, False, 10)
    assert door.output.video == Path("out/door.mp4")
    assert yard.output.video == Path("out/yard.mp4")
    assert "secret" not in repr(config) + repr(door)


def test_two_streams_can_not_write_one_file() -> None:
    streams = {"a": {"source": "a.mp4"}, "b": {"source": "b.mp4"}}
    config = load_config(None, (), {"streams": streams, "output": {"video": "x.mp4"}})
    with pytest.raises(ConfigError, match=r"streams\.b\.output\.video: x\.mp4 is also written for stream a"):
        config.resolved_streams()


def test_a_single_source_is_a_stream_named_after_it() -> None:
    (stream,) = load_config(None, ["source=clips/traffic mini.mp4"]).resolved_streams()
    assert (stream.name, stream.source) == ("traffic-mini", "clips/traffic mini.mp4")
    assert Config().resolved_streams() == ()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("bikes.mp4", "bikes"),
        ("/a/b/vtest.avi", "vtest"),
        ("rtsp://me:secret@camera:554/door?x=1", "door"),
        ("rtsp://me:secret@camera", "camera"),
        ("-", "stream"),
        ("webcam:0", "webcam-0"),
        ("día.mp4", "día"),
        ("di\u0301a.mp4", "día"),
        ("カメラ 1.mp4", "カメラ-1"),
        ("rtsp://camera/вход", "вход"),
        ("दरवाज़ा.mp4", "दरवाज़ा"),
        ("目" * 200, "目" * 42),
        ("😀.mp4", "stream"),
        ("x" * 200, "x" * 64),
    ],
)
def test_stream_names(source: str, name: str) -> None:
    assert stream_name(source) == name


def test_a_config_can_not_be_changed() -> None:
    with pytest.raises(ValidationError) as caught:
        Config().detect_every = 3
    assert caught.value.errors()[0]["type"] == "frozen_instance"


def test_the_examples_in_the_documentation_are_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CONFIGS.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    blocks: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    plain, wrong, places, several, pieces = [body for kind, body in blocks if kind == "yaml"]
    (shown,) = [body for kind, body in blocks if kind == "text"]
    (program,) = [body for kind, body in blocks if kind == "python"]
    assert load_config(write(tmp_path, plain)).filters.classes == ("person", "bicycle")
    # As the command line tells them.
    assert [f"error: {line}" for line in problems(tmp_path, wrong)] == shown.splitlines()
    assert load_config(write(tmp_path, places)).homography is not None
    streams = load_config(write(tmp_path, several)).resolved_streams()
    assert [(stream.name, stream.detect_every) for stream in streams] == [("door", 2), ("yard", 5)]
    assert load_config(write(tmp_path, pieces)).output.segment_s == 900
    overrides = [text.strip("'") for text in re.findall(r"--set (\S+)", blocks[2][1])]
    config = load_config(write(tmp_path, plain), overrides)
    assert (config.filters.classes, config.output.annotate.trail_s, config.output.jsonl) == (("person",), 3, None)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    load_user_file(path)
    assert capsys.readouterr().out == "608 out.mp4\n"


def test_the_documentation_names_what_may_differ_between_streams() -> None:
    text = (CONFIGS.parent / "docs" / "configuration.md").read_text(encoding="utf-8").partition("## Several")[2]
    for key in StreamSettings.model_fields:
        assert f"`{key}`" in text, key
    assert set(StreamSection.model_fields) == {"source", "enabled", *StreamSettings.model_fields}
