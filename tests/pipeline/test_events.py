"""The wire schema: what is documented, what is committed, and what readers of today make of messages of tomorrow."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from pipeline.event_codec import (
    decode_json,
    decode_msgpack,
    encode_json,
    encode_msgpack,
    event_type,
    json_schema,
    json_schema_text,
    topic,
    wall_time,
)
from pipeline.events import EVENT_TYPES, Event
from pipeline.feed_events import FEED_EVENT_TYPES
from tests.support.feed_parts import updated
from tests.support.feed_runs import recorded_run

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "events.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(line) for line in re.findall(r"^\{.*\}$", PAGE, re.MULTILINE) if '"type"' in line]
ALL_TYPES = [str(kind.__struct_config__.tag) for kind in EVENT_TYPES + FEED_EVENT_TYPES]


def test_the_committed_schema_is_the_one_in_the_code() -> None:
    committed = json.loads((DOCS / "events.schema.json").read_text(encoding="utf-8"))
    made = json.loads(json_schema_text())
    assert _in_one_order(committed) == _in_one_order(made), (
        "run `python run_pipeline.py schema > docs/events.schema.json`"
    )


def _in_one_order(schema: Any) -> Any:
    """The schema with alternatives sorted: their order says nothing, and msgspec's versions differ in it."""
    if isinstance(schema, dict):
        return {
            key: sorted(map(_in_one_order, value), key=repr) if key == "anyOf" else _in_one_order(value)
            for key, value in schema.items()
        }
    return [_in_one_order(value) for value in schema] if isinstance(schema, list) else schema


def test_every_type_is_documented_once_and_in_order() -> None:
    assert [example["type"] for example in EXAMPLES if example["type"] in ALL_TYPES[:15]] == ALL_TYPES[:15]
    assert sorted(example["type"] for example in EXAMPLES) == sorted(ALL_TYPES)
    assert all(f"`{name}`" in PAGE for name in ALL_TYPES)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["type"] for example in EXAMPLES])
def test_an_example_is_exactly_what_the_code_would_write(example: dict[str, Any]) -> None:
    event = decode_json(json.dumps(example).encode())
    assert event is not None
    assert event_type(event) == example["type"]
    assert json.loads(encode_json(event)) == example
    assert decode_msgpack(encode_msgpack(event)) == event
    assert msgspec.msgpack.decode(encode_msgpack(event)) == example


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["type"] for example in EXAMPLES])
def test_an_example_agrees_with_the_schema(example: dict[str, Any]) -> None:
    schema = json_schema()
    mapping = schema["discriminator"]["mapping"]
    definition = schema["$defs"][mapping[example["type"]].rpartition("/")[2]]
    assert set(example) <= set(definition["properties"])
    assert set(definition["required"]) <= set(example)
    assert definition.get("additionalProperties", True)  # later versions add fields


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["type"] for example in EXAMPLES])
def test_fields_to_come_are_skipped(example: dict[str, Any]) -> None:
    event = decode_json(json.dumps(example).encode())
    extended = {"to come": {"deep": [1]}} | example | {"to_come": None}
    assert decode_json(json.dumps(extended).encode()) == event
    assert decode_msgpack(msgspec.msgpack.encode(extended)) == event


def test_types_and_versions_to_come_are_skipped() -> None:
    for changed in ({"type": "robot.waved"}, {"schema": 2}, {"type": "robot.waved", "schema": 2, "seq": "seven"}):
        message = EXAMPLES[0] | changed
        assert decode_json(json.dumps(message).encode()) is None
        assert decode_msgpack(msgspec.msgpack.encode(message)) is None


@pytest.mark.parametrize("changed", [{"seq": "seven"}, {"width": None}, {"run": 7}, {"type": 7}])
def test_known_types_have_to_be_right(changed: dict[str, Any]) -> None:
    message = EXAMPLES[0] | changed
    with pytest.raises(msgspec.DecodeError):
        decode_json(json.dumps(message).encode())
    with pytest.raises(msgspec.DecodeError):
        decode_msgpack(msgspec.msgpack.encode(message))


@given(data=st.binary(max_size=60))
def test_nonsense_is_an_error_and_no_other(data: bytes) -> None:
    for decode in (decode_json, decode_msgpack):
        with pytest.raises(msgspec.DecodeError):
            decode(data)


@given(seed=st.integers(0, 1000))
def test_events_survive_both_encodings(seed: int) -> None:
    for event in recorded_run(seed, 30):
        assert decode_json(encode_json(event)) == event
        assert decode_msgpack(encode_msgpack(event)) == event
        assert b"\n" not in encode_json(event)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (updated(1, name="żyrafa"), "cam/track.updated/żyrafa"),
        (recorded_run(0, 1)[0], r"(cam|clip|yard-2)/stream\.started/"),
    ],
)
def test_topics(event: Event, expected: str) -> None:
    assert re.fullmatch(expected, topic(event))


@pytest.mark.parametrize("module", ["events", "feed_events"])
def test_the_schema_is_light(module: str) -> None:
    """Readers import it without the rest of the project; see also the test of the client."""
    source = (Path(__file__).parents[2] / "pipeline" / f"{module}.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, re.MULTILINE))
    assert imported - {"pipeline.events"} == {"__future__", "typing", "msgspec"}


@pytest.mark.parametrize(
    ("utc_s", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (0.9996, "1970-01-01T00:00:00.999Z"),
    ],
)
def test_times_are_in_utc_with_milliseconds(utc_s: float, expected: str) -> None:
    assert wall_time(utc_s) == expected
