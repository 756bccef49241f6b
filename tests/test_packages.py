"""The wheel and the source distribution: what is in them, and that the product works from them alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.images import blocks
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], folder: Path) -> str:
    """What a command prints that works without the repository."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, made in a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tracked.returncode != 0:
        pytest.skip("this is no clone, so what belongs to it can't be told")
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run([sys.executable, "-c", "from setuptools.build_meta import build_sdist; build_sdist('dist')"], folder)
    (made,) = (folder / "dist").glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel, made from the source distribution."""
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    run([*build, "-w", source.parent, source], source.parent)
    (made,) = source.parent.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and, instead of fetching them again, the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    # A folder that is named in such a file brings its packages, but not its own such files, one of which would lead
    # to the repository.
    (site / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    install: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin" / "python",
        "install",
        "-q",
        "--no-deps",
    ]
    run([*install, "--no-index", "--ignore-installed", wheel], folder)
    return folder / "bin"


def test_the_wheel_has_the_product_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "pipeline", "sinks", "sightline", "trackers", "run_pipeline.py",
    }  # fmt: skip
    kept = {
        str(path.relative_to(ROOT))
        for part in ("pipeline", "sinks", "sightline", "trackers")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert kept == {name for name in names if name.split("/")[0] in ("pipeline", "sinks", "sightline", "trackers")}


def test_the_source_has_what_the_repository_has(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("README.md", "docs/zones.md", "tests/conftest.py", "configs/demo.yaml", "requirements/runtime.txt"):
        assert name in names
    assert not [name for name in names if "node_modules" in name or name.endswith((".mp4", ".pyc"))]


def test_the_demo_runs_from_the_wheel(programs: Path, demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "sample_videos").mkdir()
    shutil.copy(demo_clip, tmp_path / "sample_videos" / "bikes.mp4")
    shutil.copy(ROOT / "configs" / "demo.yaml", tmp_path)
    where = run([programs / "python", "-c", "import sightline; print(sightline.__file__)"], tmp_path)
    assert str(programs.parent) in where
    assert "Commands" in run([programs / "sightline", "--help"], tmp_path)
    told = run([programs / "sightline", "run", "--config", "demo.yaml", "--duration", "2"], tmp_path)
    assert "50 processed" in told
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in ("demo.mp4", "demo.events.jsonl"))
    assert json.loads((tmp_path / "out" / "demo.report.json").read_text())["streams"]["bikes"]["processed"] == 50


def test_pictures_the_page_and_the_library_work_from_the_wheel(
    programs: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "sign.jpg"), blocks(300, 400))
    assert "1 picture" in run([programs / "sightline", "detect", "sign.jpg", "--output", "out"], tmp_path)
    program = "import sightline; print(type(sightline.detect('sign.jpg')).__name__)"
    assert run([programs / "python", "-c", program], tmp_path).strip() == "Detections"


def test_the_feed_is_read_from_the_wheel(programs: Path, demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    program = (
        "from sinks.feed.client import subscribe\n"
        "for event in subscribe('ipc://feed', follow=False): print(type(event).__name__, flush=True)"
    )
    with subprocess.Popen(
        [programs / "python", "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as reader:
        try:
            # It must be there before the run is over: until it is, somebody else answers.
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(str(tmp_path / "feed"))
                door.listen()
                door.settimeout(PATIENCE_S)
                door.accept()[0].close()
            (tmp_path / "feed").unlink()
            run([programs / "sightline", "run", demo_clip, "--duration", "2", "--events", "ipc://feed"], tmp_path)
            heard, _ = reader.communicate(timeout=PATIENCE_S)
        finally:
            reader.kill()
    kinds = heard.split()
    assert kinds[0] == "FeedSnapshot"
    assert kinds[-1] == "StreamEnded"
