"""What docs/evidence.md shows works as it stands there, and the page tells of every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.events import EvidenceReady, ZoneEntered
from sightline.composition.pipeline import build_pipeline
from sightline.config.evidence import EvidenceSection
from sightline.config.loading import load_config
from sightline.config.schema import Config
from tests.support.evidence_scene import FPS, FRAMES, scene
from tests.support.fakes import BlobDetector, MemorySink, MemorySource

TEXT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


class PersonDetector(BlobDetector):
    """One that takes bright regions for people."""

    class_names = ("person",)


def test_every_key_is_told() -> None:
    for key in EvidenceSection.model_fields:
        assert f"`{key}`" in TEXT, key


def test_the_example_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = next(text for language, text in BLOCKS if language == "yaml")
    config = load_config(None, (), {"streams": {"gate": {"source": "gate.mp4"}}, **yaml.safe_load(text)})
    source = MemorySource([scene(number) for number in range(FRAMES)], fps=FPS, stream="gate")
    memory = MemorySink()
    build_pipeline(config, sources={"gate": source}, sinks=[memory], detector=PersonDetector()).run()
    entered = next(event for event in memory.events if isinstance(event, ZoneEntered))
    ready = [event for event in memory.events if isinstance(event, EvidenceReady)]
    assert {(event.kind, event.annotated) for event in ready} == {("picture", True), ("crop", False)}
    assert entered.evidence in {event.evidence for event in ready}
    (example,) = [text for language, text in BLOCKS if not language and "picture.jpg" in text]
    pattern = re.sub(r"\d", r"\\d", re.escape(example.split()[0]).replace(r"alert\.started\-212", r"zone\.entered\-2"))
    pattern = pattern.replace(r"\-\d\-picture", r"\-\d+\-picture")
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")]
    assert any(re.fullmatch(pattern, path) for path in written), (pattern, written)


def test_what_there_is_not_is_told_all_at_once(tmp_path: Path) -> None:
    evidence = {"folder": str(tmp_path / "e"), "zones": ["yard", "door"], "lines": ["gate"], "classes": ["persn"]}
    config = load_config(None, (), {"streams": {"gate": {"source": "gate.mp4"}}, "evidence": evidence})
    with pytest.raises(ConfigError) as caught:
        build_pipeline(config, sources={"gate": MemorySource([scene(0)], stream="gate")}, detector=PersonDetector())
    assert len(str(caught.value).splitlines()) == 4
    assert not (tmp_path / "e").exists()


def configured(folder: Path, plain: dict[str, object]) -> Config:
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump(plain))
    return load_config(path)


def test_a_stream_may_have_its_own(tmp_path: Path) -> None:
    streams = {"one": {"source": "a.mp4"}, "two": {"source": "b.mp4", "evidence": {"tracks": True, "crop": "none"}}}
    config = configured(tmp_path, {"streams": streams, "evidence": {"folder": "out", "quality": 70, "zones": True}})
    one, two = (stream.evidence for stream in config.resolved_streams())
    assert (one.tracks, one.crop, one.quality, one.zones) == (False, "clean", 70, True)
    assert (two.tracks, two.crop, two.quality, two.zones) == (True, "none", 70, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"picture": "none", "crop": "none"},
        {"quality": 0},
        {"zones": []},
        {"picture": "drawn"},
        {"keep_days": 0},
        {"max_side": 10},
        {"folders": "x"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        configured(tmp_path, {"source": "a.mp4", "evidence": {"folder": "out", **wrong}})
