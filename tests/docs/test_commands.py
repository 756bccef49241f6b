"""Every command and configuration on a page of the documentation is one that there is; every query runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from pipeline.types import SourceInfo
from sightline.commands.main import _with_default_command, _with_web_address, command_line
from sightline.config.loading import load_config
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_runs import recorded_run

ROOT = Path(__file__).parents[2]
PAGES = [
    page for glob in ("README*.md", "docs/*.md", "docs/zh/*.md", "benchmarks/*.md") for page in sorted(ROOT.glob(glob))
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(?:python )?run_pipeline\.py ([^`]+)`|`sightline ((?:run|detect|query|control|models)[^`]*)`")
PROGRAM = re.compile(r"(?:.*\| )?(?:python run_pipeline\.py|sightline) (.+)")


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), text)
        for page in PAGES
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind == language
    ]


def commands() -> list[tuple[str, str]]:
    """Each command with its page: those of the blocks, and those within the text."""
    found: list[tuple[str, str]] = []
    for page, text in blocks("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            if (match := PROGRAM.fullmatch(line.strip())) is not None:
                found.append((page, re.split(r" [|>&]|  +#", match[1])[0]))
    for file in PAGES:
        outside = BLOCK.sub("", file.read_text(encoding="utf-8"))
        found += [
            (str(file.relative_to(ROOT)), one or other)
            for one, other in INLINE.findall(outside)
            if "..." not in one + other
        ]
    return found


def parsed(arguments: list[str]) -> None:
    """Have the command line take the arguments as far as it can without doing anything."""
    command = typer.main.get_command(command_line())
    name, *rest = _with_web_address(_with_default_command(arguments))
    while True:
        command = command.commands[name]  # type: ignore[attr-defined]
        if not hasattr(command, "commands"):
            break
        name, *rest = rest
    command.make_context(name, rest)


def test_there_is_something_to_look_at() -> None:
    assert len(commands()) > 50
    assert len(blocks("yaml")) > 10


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_command_of_a_page_is_one_that_there_is(page: str, command: str) -> None:
    given = shlex.split(command)
    # What stands for a name of one's own, as in ``VIDEO``, is no word of the command line.
    if given[0].isupper():
        given.insert(0, "run")
    if given[1:] and "--help" not in given:
        parsed(given)


# One shows mistakes, which the tests of the configuration look at.
@pytest.mark.parametrize(("page", "text"), [each for each in blocks("yaml") if "confidense" not in each[1]])
def test_a_configuration_of_a_page_is_one_that_there_is(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    load_config(file)


@pytest.mark.parametrize(
    ("page", "sql"),
    [
        *blocks("sql"),
        *((page, shlex.split(command)[1]) for page, command in commands() if command.startswith("query ")),
    ],
)
def test_a_query_of_a_page_runs(page: str, sql: str, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    store.open("cam", SourceInfo(640, 480), ("person", "car"))
    for event in recorded_run(3, 200):
        store.on_event(event)
    store.close()
    for statement in filter(None, map(str.strip, sql.split(";"))):
        assert query(tmp_path / "events.db", statement).columns
