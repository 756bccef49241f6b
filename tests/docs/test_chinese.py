"""The Chinese pages show the same commands, configurations and programs as the English ones, and name nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site.hooks import links

ROOT = Path(__file__).parents[2]
PAIRS = {
    "README.zh.md": "README.md",
    **{f"docs/zh/{page.name}": f"docs/{page.name}" for page in sorted((ROOT / "docs" / "zh").glob("*.md"))},
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def shown(page: str) -> list[tuple[str, list[str]]]:
    """The blocks of a page with their language, without remarks, which may be in another one."""
    return [
        (language, [line for raw in text.splitlines() if (line := re.sub(r"(^|\s+)# .*", "", raw).rstrip())])
        for language, text in BLOCK.findall(text_of(page))
    ]


def test_these_pages_are_there() -> None:
    assert {"docs/zh/first-steps.md", "docs/zh/live.md", "docs/zh/zones.md", "docs/zh/from-imageai.md"} <= set(PAIRS)
    for page in PAIRS:
        assert len(re.findall(r"[\u4e00-\u9fff]", text_of(page))) > 400, page


@pytest.mark.parametrize("page", PAIRS)
def test_the_blocks_are_those_of_the_english_page(page: str) -> None:
    assert shown(page) == shown(PAIRS[page])


@pytest.mark.parametrize("page", PAIRS)
def test_what_is_named_is_named_on_the_english_page(page: str) -> None:
    english = text_of(PAIRS[page])
    missing = [name for name in INLINE.findall(BLOCK.sub("", text_of(page))) if name not in english]
    assert set(missing) <= {"docs/zh"}


@pytest.mark.parametrize("page", PAIRS)
def test_a_page_that_is_there_in_chinese_is_linked_to_in_chinese(page: str) -> None:
    """But for places within a page, which the shorter one in Chinese may not have, and for the way back."""
    translated = {(ROOT / english).resolve() for english in PAIRS.values()} - {ROOT / "README.md"}
    for link in links(re.sub(r"\]\([^)]*#[^)]*\)", "", text_of(page))):
        assert (ROOT / page).parent.joinpath(link).resolve() not in translated, link
