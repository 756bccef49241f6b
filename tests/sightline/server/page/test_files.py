"""The page's files as they are read, without a browser: texts in every language, and nothing that runs others' text."""

from __future__ import annotations

import re

import pytest

from sightline.server.app import PAGE

_SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}
_LANGUAGES = ("en", "zh")


def texts(language: str) -> dict[str, str]:
    """The table of a language: what is said, by its key."""
    return dict(re.findall(r'^  "([\w.]+)": "(.*)",$', _SCRIPTS[f"texts_{language}.js"], re.MULTILINE))


def test_every_text_is_there_in_every_language_with_the_same_places() -> None:
    english, chinese = map(texts, _LANGUAGES)
    assert len(english) > 100
    assert english.keys() == chinese.keys()
    for key in english:
        assert sorted(re.findall(r"\{\w+\}", english[key])) == sorted(re.findall(r"\{\w+\}", chinese[key])), key


def test_every_text_that_is_asked_for_is_there_and_every_other_is_asked_for() -> None:
    code = "".join(text for name, text in _SCRIPTS.items() if not name.startswith("texts_"))
    known = set(texts("en"))
    # A key, or with `${...}` in it those that begin and end like it.
    asked = {*re.findall(r'"([a-z]+(?:\.\w+)+)"', code)} & known
    for pattern in re.findall(r"`([a-z]+\.(?:[\w.]|\$\{[^}`]*\})*)`", code):
        parts = [re.escape(part) for part in re.split(r"\$\{[^}]*\}", pattern)]
        asked |= {key for key in known if re.fullmatch(r"[\w.]+".join(parts), key)}
    assert set(re.findall(r'\bt\("([^"]+)"', code)) <= known
    assert known - asked == set()


@pytest.mark.parametrize("name", sorted(path.name for path in PAGE.iterdir()))
def test_no_file_makes_elements_of_text_or_asks_another_host(name: str) -> None:
    text = (PAGE / name).read_text(encoding="utf-8")
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "@import",
    ):
        assert forbidden not in text, forbidden
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)))
    assert addresses <= {"http://www.w3.org"}  # the name of SVG, which nobody asks
