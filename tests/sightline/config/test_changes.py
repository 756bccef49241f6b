"""What was changed while a run went on: read back as it was meant, over a configuration that stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sightline.config.changes import Changes, check_plain
from sightline.config.loading import load_config
from sightline.config.schema import Config

ZONE = {"polygon": [[0, 0], [0.5, 0], [0.5, 1e-7]], "units": "fraction"}
STREAMS = "# Mine.\nfilters: {classes: [person], min_size: [1, 1]}\nzones: {all: {polygon: [[0, 0], [9, 0], [9, 9]]}}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, *overrides: str) -> Config:
    return load_config(path, overrides, changes=Changes.beside(path))


def keep(path: Path, streams: dict[str, Any]) -> None:
    Changes.beside(path).proposed(streams).keep()


def test_a_stream_s_own_keys_win_and_all_else_stays(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        STREAMS + "streams: {door: {source: a.mp4, filters: {confidence: {car: 0.5}}}, yard: {source: b.mp4}}\n",
    )
    keep(path, {"door": {"zones": {"new": ZONE}, "filters": {"confidence": {"dog": 0.25}}}, "yard": None})
    (door,) = read(path, "zones.other={polygon: [[0, 0], [9, 0], [9, 9]]}").resolved_streams()
    assert list(door.zones) == ["new"], "zones are replaced as a whole"
    assert door.filters.classes == ("person",)
    assert door.filters.min_size == (1.0, 1.0)
    assert door.filters.confidence == {"dog": 0.25}
    assert path.read_text().startswith("# Mine.")


def test_one_source_and_streams_that_are_added(tmp_path: Path) -> None:
    path = written(tmp_path, STREAMS + "source: videos/My clip.mp4\n")
    keep(path, {"My-clip": {"zones": {}}, "yard": {"source": "b.mp4"}, "gone": {"zones": {}}})
    first, second = read(path).resolved_streams()
    assert (first.name, first.source, first.zones) == ("My-clip", "videos/My clip.mp4", {})
    assert (second.name, list(second.zones)) == ("yard", ["all"])


def test_a_stream_that_rests(tmp_path: Path) -> None:
    path = written(tmp_path, "streams: {door: {source: a.mp4}, yard: {source: b.mp4}}\n")
    keep(path, {"door": {"enabled": False}})
    config = read(path)
    assert [stream.name for stream in config.resolved_streams()] == ["yard"]
    assert config.disabled_streams() == {"door": "a.mp4"}


def test_nothing_changed_leaves_no_file(tmp_path: Path) -> None:
    path = written(tmp_path, "source: a.mp4\n")
    keep(path, {"a": {"zones": {}}})
    assert (tmp_path / "my.changes.yaml").exists()
    keep(path, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["my.yaml"]


def test_a_configuration_may_name_another_place(tmp_path: Path) -> None:
    place = tmp_path / "state.yaml"
    path = written(tmp_path, f"source: a.mp4\nweb: {{changes: {place}}}\n")
    changes = Changes.beside(path)
    load_config(path, changes=changes)
    changes.proposed({"a": {"lines": {}, "zones": {"new": ZONE}}}).keep()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["my.yaml", "state.yaml"]
    (stream,) = read(path).resolved_streams()
    assert list(stream.zones) == ["new"]
    (stream,) = load_config(None, [f"web.changes={place}"], {"source": "a.mp4"}, changes=Changes()).resolved_streams()
    assert list(stream.zones) == ["new"], "without a configuration, too"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("streams:\n  a:\n    zonnes: {}\n", "my.changes.yaml:3: streams.a.zonnes: unknown key; did you mean zones?"),
        ("filters: {}\n", "my.changes.yaml:1: filters: unknown key"),
        ("- 1\n", "expected keys with values"),
        ("streams: [", "not valid YAML"),
        ("streams: 5\n", "expected a section"),
        ("streams: {a: 5}\n", "streams.a"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    path = written(tmp_path, "source: a.mp4\n")
    (tmp_path / "my.changes.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        read(path)
    assert says in str(raised.value)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=60)
@given(st.dictionaries(names, st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=5))
def test_any_names_and_numbers_are_read_back(lines: dict[str, list[float]]) -> None:
    changes = Changes()
    given_lines = {name: {"start": [0, 0], "end": [1, *end[:1]], "units": "fraction"} for name, end in lines.items()}
    changes.proposed({"door": {"lines": given_lines, "source": "a.mp4"}}).keep()
    (door,) = load_config(None, changes=changes).resolved_streams()
    assert list(door.lines) == list(lines)
    assert [line.end for line in door.lines.values()] == [(1.0, end[0]) for end in lines.values()]


def test_too_much_is_refused_without_being_followed() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, list(range(10_000)), {"a": {str(n): [n] for n in range(9000)}}):
        with pytest.raises(ConfigError, match="nested deeper"):
            check_plain(value, ("zones",))
    with pytest.raises(ConfigError, match="KiB"):
        Changes().proposed({"door": {"source": "x" * 300_000}})


def test_a_file_that_can_t_be_written_is_one_line(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "none" / "my.changes.yaml")
    with pytest.raises(ConfigError, match=r"cannot keep the changes in .*my\.changes\.yaml: No such file"):
        changes.proposed({"a": None}).keep()
