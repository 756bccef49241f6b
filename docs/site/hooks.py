"""What the site shows beyond docs/, and links between the two: they are written for who reads the repository.

MkDocs calls the functions named ``on_...``. A link that leads out of ``docs/`` leads to a page of the site: those of
``PAGES`` stand under a name of their own, any other file that is linked to is shown as text.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

# What has a place of its own in the site, by its path in the repository.
PAGES = {"README.md": "index.md", "README.zh.md": "zh/index.md"}
_PLACES = {place: path for path, place in PAGES.items()}

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")
_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".py": "python", ".service": "ini", ".txt": "text"}
# Chinese and Japanese are written without spaces; between zero-width ones the search finds each character.
_HAN = re.compile(r"(?<=[\u3400-\u9fff])(?=[\u3400-\u9fff])")


def links(markdown: str) -> list[str]:
    """What a page links to or shows, without addresses of other hosts and places within the page."""
    return [target for part in _CODE.split(markdown)[::2] for target in _LINK.findall(part)]


def repository_path(src_uri: str) -> str:
    """Where a page of the site stands in the repository.

    >>> repository_path("index.md"), repository_path("zones.md"), repository_path("benchmarks/README.md")
    ('README.md', 'docs/zones.md', 'benchmarks/README.md')
    """
    return _PLACES.get(src_uri) or (f"docs/{src_uri}" if (ROOT / "docs" / src_uri).exists() else src_uri)


def site_path(path: str) -> str:
    """The place in the site of a file of the repository: a page, a page that shows it, or the file itself.

    >>> site_path("README.md"), site_path("docs/zones.md"), site_path("configs/file.yaml"), site_path("docs/demo.jpg")
    ('index.md', 'zones.md', 'configs/file.yaml.md', 'demo.jpg')
    """
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith((".md", ".png", ".jpg")) else f"{path}.md"


def on_config(config: MkDocsConfig) -> None:
    """Name the places within a page as GitHub does, in any script."""
    from pymdownx.slugs import slugify

    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside of ``docs/``: README, changelog, benchmarks, and every file that a page links to."""
    from mkdocs.structure.files import File, InclusionLevel

    waiting = [*PAGES, "CHANGELOG.md", "benchmarks/README.md"]
    waiting += [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).is_file():
            continue  # MkDocs tells of a link that leads nowhere
        seen.add(path)
        place = site_path(path)
        if files.get_file_from_path(place) is None:
            if place.endswith((".png", ".jpg")):
                file = File.generated(config, place, abs_src_path=str(ROOT / path))
            else:
                # What is shown as text is reached by links alone.
                level = InclusionLevel.UNDEFINED if path.endswith(".md") else InclusionLevel.NOT_IN_NAV
                file = File.generated(config, place, content=_text(path), inclusion=level)
            files.append(file)
        if path.endswith(".md"):
            folder = posixpath.dirname(path)
            text = (ROOT / path).read_text(encoding="utf-8")
            waiting += [posixpath.normpath(posixpath.join(folder, target)) for target in links(text)]
    return files


def _text(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# `{path}`\n\n```{language}\n{text}```\n"


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Have each link lead to where its target stands in the site, and the theme speak the page's language."""
    here = repository_path(page.file.src_uri)
    if page.file.src_uri.startswith("zh/"):
        page.meta["language"] = "zh"

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match[1]))
        if not (ROOT / target).exists():
            return match[1]
        return posixpath.relpath(site_path(target), posixpath.dirname(page.file.src_uri) or ".")

    parts = _CODE.split(markdown)
    parts[::2] = [_LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def on_post_build(config: MkDocsConfig) -> None:
    """Have the search find words in Chinese."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    found = json.loads(index.read_text(encoding="utf-8"))
    for entry in found["docs"]:
        for field in ("title", "text"):
            entry[field] = _HAN.sub("\u200b", entry[field])
    index.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
