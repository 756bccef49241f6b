"""Evidence in the report: pictures in the page itself, of the folder alone, and the names of their files without."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.events import Event
from pipeline.types import SourceInfo
from sinks.html_report.charts import duration_text
from sinks.html_report.page import report_html
from sinks.store.sqlite_store import SqliteStore
from tests.support.evidence_events import alert, crossed, ready

NASTY = "<script>alert(1)</script>{x}"


def report(folder: Path, events: Sequence[Event], evidence: Path | None) -> str:
    sink = SqliteStore(folder / "events.db")
    sink.open("yard", SourceInfo(width=64, height=48), [])
    for event in events:
        sink.on_event(event)
    sink.close()
    report_html(folder / "events.db", folder / "report.html", evidence=evidence)
    return (folder / "report.html").read_text()


def pictures(page: str) -> list[tuple[int, ...]]:
    """The sizes of the pictures in it."""
    found = [base64.b64decode(data) for data in re.findall(r'<img alt="" src="data:image/jpeg;base64,([^"]+)"', page)]
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in found]
    return [image.shape[:2] for image in images if image is not None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "evidence"
    (path / "yard").mkdir(parents=True)
    for name, size in (("a", (600, 960)), ("b", (30, 40))):
        cv2.imwrite(str(path / "yard" / f"{name}.jpg"), np.full((*size, 3), 90, np.uint8))
    (path / "yard" / "broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "outside.jpg"), np.zeros((9, 9, 3), np.uint8))
    (path / "yard" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    return path


def test_pictures_are_in_the_page(tmp_path: Path, folder: Path) -> None:
    first, second = alert(1, text=NASTY), crossed(4, minute=3)
    events = [first, ready(2, first, "yard/b.jpg", kind="crop"), ready(3, first, "yard/a.jpg"), second]
    page = report(tmp_path, [*events, ready(5, second, "yard/b.jpg", kind="crop"), crossed(6, evidence=False)], folder)
    assert pictures(page) == [(300, 480), (30, 40)], "the whole one where there is one, and none larger than is shown"
    assert NASTY not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{x}" in page
    assert 'class="critical"' in page
    assert "person #7 crossed gate, in" in page
    assert f"<figcaption>{duration_text(3.0)}<small>person" in page


def test_without_the_folder_the_files_are_named(tmp_path: Path) -> None:
    first = alert(1)
    page = report(tmp_path, [first, ready(2, first, "yard/<a>.jpg")], None)
    assert pictures(page) == []
    assert "yard/&lt;a&gt;.jpg" in page


@pytest.mark.parametrize("path", ["yard/broken.jpg", "yard/gone.jpg", "yard/link.jpg", "../outside.jpg", "/etc/passwd"])
def test_what_is_no_picture_of_the_folder_is_left_out(path: str, tmp_path: Path, folder: Path) -> None:
    first = alert(1)
    page = report(tmp_path, [first, ready(2, first, path)], folder)
    assert pictures(page) == []
    assert "What was seen" in page


def test_alerts_are_shown_before_others_where_there_is_no_room_for_all(tmp_path: Path, folder: Path) -> None:
    events: list[Event] = []
    for number in range(80):
        about = crossed(1 + 2 * number) if number < 75 else alert(1 + 2 * number)
        events += [about, ready(2 + 2 * number, about, "yard/b.jpg")]
    page = report(tmp_path, events, folder)
    assert len(pictures(page)) == 60
    assert page.count('class="critical"') == 5
    assert "20 more are left out" in page


def test_a_run_without_evidence_has_no_such_part(tmp_path: Path) -> None:
    assert "What was seen" not in report(tmp_path, [crossed(1, evidence=False)], None)


def test_a_folder_that_is_not_there_is_no_page_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder of evidence"):
        report(tmp_path, [alert(1)], tmp_path / "evidnece")
    assert not (tmp_path / "report.html").exists()
