"""The site of the documentation: every page has a place, every link a target, and nothing comes from another host."""

from __future__ import annotations

import doctest
import os
import posixpath
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from pymdownx.slugs import slugify

from docs.site import hooks

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md")
    if "node_modules" not in page.parts
)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_WITHIN = re.compile(r"(?<=\]\()([^)#:\s]*)#([^)\s]+)(?=\))")


def in_navigation(entries: list[Any]) -> list[str]:
    """The pages below an entry of the navigation."""
    found: list[str] = []
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += in_navigation(value) if isinstance(value, list) else [value]
    return found


@cache
def places_in(page: str) -> set[str]:
    """What can be linked to within a page."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    name = slugify(case="lower")
    return {name(re.sub(r"\[([^\]]+)\]\([^)]*\)|[`*]", r"\1", heading), "-") for heading in _HEADING.findall(text)}


def target_of(page: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) if link else page


def test_every_page_has_one_place_in_the_navigation() -> None:
    places = in_navigation(CONFIG["nav"])
    assert sorted(places) == sorted(hooks.site_path(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in hooks.links(text):
        assert (ROOT / target_of(page, link)).is_file(), link
    for link, place in _WITHIN.findall(text):
        target = target_of(page, link)
        if target.endswith(".md"):
            assert place in places_in(target), f"{link}#{place}"


def test_pictures_stay_small_and_are_shown() -> None:
    pictures = [path for path in (ROOT / "docs").rglob("*.jpg") if "node_modules" not in path.parts]
    shown = {target_of(page, link) for page in PAGES for link in hooks.links((ROOT / page).read_text(encoding="utf-8"))}
    assert {str(path.relative_to(ROOT)) for path in pictures} <= shown
    assert sum(path.stat().st_size for path in pictures) < 1_000_000


def test_the_places_of_files_are_as_told() -> None:
    assert doctest.testmod(hooks).failed == 0


class _Loads(HTMLParser):
    """What a page loads, what it links to, and the places within it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a":
            self.linked += [given["href"]] if "href" in given else []
        elif "src" in given or (tag == "link" and given.get("rel") not in ("canonical", "prev", "next", "alternate")):
            self.loaded.append(given.get("src") or given["href"])


@pytest.mark.slow
def test_it_is_built_and_asks_no_other_host(tmp_path: Path) -> None:
    """Strictly, so without a dead link; and what the theme and the reference add leads somewhere, too."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                           env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})  # fmt: skip
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stderr
    pages: dict[Path, _Loads] = {}
    for file in tmp_path.rglob("*.html"):
        pages[file] = _Loads()
        pages[file].feed(file.read_text(encoding="utf-8"))
    assert len(pages) > len(PAGES)
    for file, page in pages.items():
        for address in page.loaded:
            assert not re.match(r"\w+:|//", address) or address.startswith("data:"), (file, address)
            assert file.name == "404.html" or (file.parent / unquote(address.partition("?")[0])).is_file(), address
        for link in page.linked:
            path, _, place = unquote(link).partition("#")
            if re.match(r"\w+:|/", path) or file.name == "404.html":
                continue
            target = (file.parent / path).resolve() if path else file
            assert target.is_file(), (file, link)
            assert not place or target.suffix != ".html" or place in pages[target].places, (file, link)
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style
    chinese = (tmp_path / "zh" / "live.html").read_text(encoding="utf-8")
    assert '<html lang="zh"' in chinese and '<html lang="en"' in (tmp_path / "live.html").read_text(encoding="utf-8")
    index = (tmp_path / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "\N{ZERO WIDTH SPACE}".join("摄像头") in index, "the search finds words that no space is around"
    assert "sightline.analyze" in pages[tmp_path / "reference" / "library.html"].places
