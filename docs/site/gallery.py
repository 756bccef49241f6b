"""Make the pictures of the gallery, each from a real run.

    python -m docs.site.gallery one-by-one-person-detection.mp4

That clip is Intel's, whose licence (CC BY 4.0) lets pictures of it be passed on; the other one is the demo's. Those of
pages are taken by Debian's Chromium.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import yaml

import sightline
from pipeline.models.published import find_packaged
from sample_videos.fetch import BIKES
from sightline.commands.main import main as command_line
from tests.support.mqtt_broker import free_port
from tests.support.page_browser import Visitor, open_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "gallery"

CENTRE = {"units": "fraction", "anchor": "center"}
TABLE: dict[str, Any] = {
    "zones": {"table": {"polygon": [[0.3, 0.2], [0.7, 0.2], [0.7, 0.8], [0.3, 0.8]], **CENTRE}},
    "lines": {"leaving": {"start": [0.7, 1], "end": [0.7, 0], **CENTRE}},
    "filters": {"classes": ["person"]},
}


def run(folder: Path, settings: dict[str, Any], *options: str) -> None:
    """Run the command line with a configuration of that text."""
    (folder / "gallery.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    assert command_line(["run", "--config", str(folder / "gallery.yaml"), "--quiet", *options]) == 0


def picture(folder: Path, name: str, at_s: float, settings: dict[str, Any]) -> None:
    """Keep the picture that a run's video shows at a time."""
    run(folder, {**settings, "output": {"video": str(folder / "out.mp4")}}, "--duration", str(at_s + 1.5))
    with sightline.open_source(folder / "out.mp4") as source:
        frame = next(frame for frame in source if frame.pts_s >= at_s)
        cv2.imwrite(str(FOLDER / name), frame.image, [cv2.IMWRITE_JPEG_QUALITY, 82])


@contextmanager
def served(folder: Path, settings: dict[str, Any]) -> Iterator[str]:
    """The address of the page of a run that has come to its end."""
    (folder / "gallery.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [sys.executable, ROOT / "run_pipeline.py", "run", "--config", folder / "gallery.yaml"]
    with Popen([*command, "--quiet", "--web", address, "--web-stay"]) as process:
        try:
            for _ in range(600):
                time.sleep(0.5)
                try:
                    with urllib.request.urlopen(f"http://{address}/api/streams", timeout=5) as answer:
                        if b'"ended"' in answer.read():
                            break
                except OSError:
                    continue
            yield f"http://{address}/"
        finally:
            process.terminate()


def pages(folder: Path, settings: dict[str, Any]) -> None:
    """Keep what the live page and the report show of a run."""
    store = folder / "events.db"
    report = folder / "report.html"
    with served(folder, {**settings, "store": {"path": str(store)}}) as url, open_browser() as browser:
        for name, view, scheme, locale in (
            ("page-events.jpg", "Events", "dark", "en-GB"),
            ("page-zh.jpg", "计数", "light", "zh-CN"),
        ):
            with Visitor(browser, url, size=(1200, 760), locale=locale, color_scheme=scheme) as visitor:
                visitor.page.get_by_role("link", name=view, exact=True).click()
                visitor.page.wait_for_timeout(3000)
                visitor.page.screenshot(path=FOLDER / name, type="jpeg", quality=80)
        assert command_line(["report-html", str(report), "--store", str(store)]) == 0
        with Visitor(browser, report.as_uri(), size=(1000, 700)) as visitor:
            visitor.page.screenshot(path=FOLDER / "report.jpg", type="jpeg", quality=80, full_page=True)


def main(people: Path) -> None:
    """Make them all."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        picture(folder, "../demo.jpg", 4.8, {"source": str(find_packaged(BIKES))})
        picture(folder, "table.jpg", 28.0, {"source": str(people), **TABLE})
        hidden = {"effect": "blur", "classes": ["person"]}
        picture(folder, "privacy.jpg", 28.0, {"source": str(people), **TABLE, "privacy": hidden})
        pages(folder, {"streams": {"hall": {"source": str(people)}}, **TABLE})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
