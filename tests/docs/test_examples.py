"""The examples in the product's docstrings, run as they stand there."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for part in ("pipeline", "trackers", "sinks", "sightline")
    for path in (ROOT / part).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def test_the_parts_that_work_alone_have_examples() -> None:
    parts = {".".join(module.split(".")[:2]) for module in MODULES}
    assert {"pipeline.geometry", "pipeline.analytics", "pipeline.event_codec", "pipeline.redaction"} <= parts
    assert {"trackers.factory", "sinks.csv_text"} <= parts


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_give_what_they_say(module: str) -> None:
    examples = [found for found in doctest.DocTestFinder().find(import_module(module)) if found.examples]
    assert examples, "its examples stand where nobody is shown them"
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for each in examples:
        shown: list[str] = []
        runner.run(each, out=shown.append)
        assert not runner.failures, "".join(shown)
