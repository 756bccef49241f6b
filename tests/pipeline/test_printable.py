"""Names that are no text become text, in every place where they are told."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.printable import encodable, readable
from pipeline.sources.uri import clean_name
from pipeline.stream_names import LONGEST, LONGEST_BYTES, cut, is_plain_name, plain_name

names = st.binary(min_size=1, max_size=40).map(os.fsdecode)
texts = st.one_of(names, st.text(st.characters(), max_size=80))


@given(texts)
def test_any_name_can_be_written_and_shown_in_one_line(text: str) -> None:
    assert msgspec.json.decode(msgspec.json.encode(encodable(text))) == encodable(text)
    for shown in (readable(text), str(SourceError(text)).replace("\n", "")):
        shown.encode()
        assert len(shown.splitlines()) <= 1
        assert "\x1b" not in shown
    cleaned = clean_name(text)
    cleaned.encode()
    assert not any(char.isspace() or char == "/" or not char.isprintable() for char in cleaned)


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_text_stays_as_it_is(text: str) -> None:
    assert encodable(text) == text
    if text.isprintable():
        assert readable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("caf\udce9.jpg", "caf\\xe9.jpg"), ("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("カメラ", "カメラ")],
)
def test_how_it_is_shown(text: str, shown: str) -> None:
    assert readable(text) == shown


@given(texts)
def test_a_stream_name_is_a_safe_and_short_part_of_a_file_name(text: str) -> None:
    name = plain_name(text)
    assert name == "" or is_plain_name(name), name
    assert len(name) <= LONGEST
    assert len(name.encode()) <= LONGEST_BYTES
    assert not set(name) & set('/\\:*?"<>|. \0')
    assert plain_name(name) == name


@given(texts, st.integers(0, 60))
def test_a_text_is_cut_between_letters(text: str, most: int) -> None:
    rest = cut(text, most)
    assert text.startswith(rest)
    assert len(rest.encode("utf-8", "surrogatepass")) <= most


@pytest.mark.parametrize("name", ["カメラ1", "вход", "دوربین", "दरवाज़ा", "día_2", "a" * 64])
def test_letters_of_any_script_are_kept(name: str) -> None:
    assert plain_name(name) == name
    assert is_plain_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "..", "a.b", "目" * 43, "a" * 65, "😀"])
def test_what_is_no_stream_name(name: str) -> None:
    assert not is_plain_name(name)
