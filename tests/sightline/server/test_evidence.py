"""Pictures of events over HTTP: those that the run knows, and no other file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.events import EvidenceReady
from sightline.composition.serving.site import Site
from sightline.config.loading import load_config
from sightline.server.evidence import EvidenceBook
from sightline.server.feed import EventHub
from tests.support.evidence_events import RUN, alert, ready
from tests.support.served_run import READER, Served, served_run

RIGHT = {"polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "units": "fraction"}


def settings(folder: Path, **more: Any) -> Mapping[str, Any]:
    evidence = {"folder": str(folder / "evidence"), "zones": True, "quality": 80}
    return {"zones": {"right": RIGHT}, "evidence": evidence, **more}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with served_run(folder, settings(folder)) as run:
        run.wait_for(lambda: len(files(run)) >= 2, "evidence")
        yield run


def files(run: Served) -> list[EvidenceReady]:
    return [event for event in list(run.sink.events) if isinstance(event, EvidenceReady)]


def stored(run: Served) -> dict[str, Any]:
    """The first stored event that has a picture."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        events = run.get("/api/events?type=zone.entered&type=zone.left").json()["events"]
        found[:] = [event for event in events if (event["evidence"] or {}).get("crop")]
        return bool(found)

    run.wait_for(look, "a stored event with its picture")
    return found[-1]


def test_an_event_has_the_addresses_of_its_pictures(served: Served) -> None:
    event = stored(served)
    name = event["evidence"]["id"]
    assert event["evidence"] == {
        "id": name,
        "picture": f"/api/evidence/{name}/picture",
        "crop": f"/api/evidence/{name}/crop",
    }
    for kind in ("picture", "crop"):
        answer = served.get(event["evidence"][kind])
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.max() > 200
        (told,) = (one for one in files(served) if (one.evidence, one.kind) == (name, kind))
        assert len(answer.content) == told.size_bytes
    plain = [json.loads(json.dumps(event)) for event in served.get("/api/events?type=track.started").json()["events"]]
    assert all("evidence" not in event for event in plain)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("0123abcd-1/picture", 404),
        ("{name}/clip", 404),
        ("{name}/other", 422),
        ("..%2F..%2Fevents.db/picture", 404),
        ("../../events.db", 404),
        ("' OR 1 --/picture", 422),
        (f"{'1' * 9}-1/picture", 422),
    ],
)
def test_nothing_else_is_served(served: Served, path: str, status: int) -> None:
    name = stored(served)["evidence"]["id"]
    answer = served.get("/api/evidence/" + path.format(name=name))
    assert answer.status_code == status
    assert answer.json()["errors"]


def test_who_may_not_read_gets_no_picture(tmp_path: Path) -> None:
    with served_run(tmp_path, settings(tmp_path), tokens=True) as run:
        run.wait_for(lambda: files(run), "evidence")
        path = f"/api/evidence/{files(run)[0].evidence}/picture"
        assert run.get(path).status_code == 401
        assert run.get(path, headers={"Authorization": f"Bearer {READER}"}).status_code == 200


def test_pictures_of_earlier_runs_are_found_by_the_store(tmp_path: Path) -> None:
    with served_run(tmp_path, settings(tmp_path)) as run:
        run.wait_for(lambda: files(run), "evidence")
        path = f"/api/evidence/{files(run)[0].evidence}/picture"
    with served_run(tmp_path, settings(tmp_path)) as later:
        assert later.get(path).status_code == 200
    with served_run(tmp_path) as without:
        assert without.get(path).status_code == 404


def test_the_newest_are_known_without_a_store(tmp_path: Path) -> None:
    with served_run(tmp_path, settings(tmp_path, store={})) as run:
        run.wait_for(lambda: files(run), "evidence")
        name = files(run)[0].evidence
        assert run.get(f"/api/evidence/{name}/picture").status_code == 200
        assert run.get("/api/evidence/0123abcd-1/picture").status_code == 404


def test_a_picture_is_known_before_anybody_is_told_of_it(tmp_path: Path) -> None:
    given = {"source": "door.mp4", "web": {"address": "127.0.0.1:0"}, "evidence": {"folder": tmp_path, "zones": True}}
    with Site(load_config(None, (), given)) as site:
        kinds = [type(sink) for sink in site.sinks]
    assert kinds.index(EvidenceBook) < kinds.index(EventHub)


def test_a_book_gives_files_of_its_folder_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "evidence", tmp_path / "secret.jpg"
    (folder / "yard").mkdir(parents=True)
    outside.write_bytes(b"secret")
    (folder / "yard" / "a.jpg").write_bytes(b"a")
    (folder / "yard" / "link.jpg").symlink_to(outside)
    (folder / "out").symlink_to(tmp_path)
    book = EvidenceBook(folder)

    def told(path: str, media_type: str = "image/jpeg") -> dict[str, Any]:
        return {"path": path, "media_type": media_type}

    found = book.file(told("yard/a.jpg"))
    assert found is not None
    assert (found.path.read_bytes(), found.media_type) == (b"a", "image/jpeg")
    wrong = [
        "yard/b.jpg",
        "yard",
        "",
        "yard/link.jpg",
        "out/secret.jpg",
        "../secret.jpg",
        str(outside),
        "a\0b",
        "x" * 5000,
    ]
    for path in wrong:
        assert book.file(told(path)) is None, path
    assert book.file(told("yard/a.jpg", "text/html")) is None
    assert book.file({}) is None


def test_a_book_forgets_the_oldest(tmp_path: Path) -> None:
    book = EvidenceBook(tmp_path)
    for seq in range(1, 1102):
        book.on_event(ready(seq + 1, alert(seq), f"yard/{seq}.jpg"))
        book.on_event(alert(seq))
    names = [f"{RUN[:8]}-{seq}" for seq in (1, 101, 102, 1101)]
    assert list(book.known(names)) == names[2:]
